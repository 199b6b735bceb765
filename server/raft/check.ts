/** A programmer's error: the state is not what the protocol guarantees, so going on would do harm. */
export class RaftBroken extends Error {
  override name = "RaftBroken";
}

/** `node:assert` is out of reach for code that must also run without Node. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new RaftBroken(what);
}
