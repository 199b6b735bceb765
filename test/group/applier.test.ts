import { test } from "uvu";
import * as assert from "uvu/assert";
import { Applier } from "../../server/group/applier.ts";
import type { Machine } from "../../server/group/machine.ts";
import { commandOf, decodeEnvelope, encodeEnvelope } from "../../server/group/proposal-envelope.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import type { Entry } from "../../server/raft/entry.ts";

function entry(index: number, command: number[] | null): Entry {
  const data =
    command === null
      ? new Uint8Array(0)
      : encodeEnvelope({ nodeId: "n1", bootCount: 1, sequence: index }, Uint8Array.from(command));
  const type = command === null ? "noop" : "command";
  return { index, term: 1, type, logTimeMs: index, wallTimeMs: index, data };
}

test("[Q6] a machine hears of all that is committed before the first of it is applied; no-ops are not its business", () => {
  const heard: string[] = [];
  const machine = {
    beginRestore: () => {},
    endRestore: () => {},
    foresee: ({ index, command }) => heard.push(`${index} ahead: ${command.join()}`),
    apply: ({ index, command }) => {
      heard.push(`${index}: ${command.join()}`);
      return { type: "done", value: null };
    },
    drained: () => {},
  } as Partial<Machine> as Machine;
  const nothing = () => {};
  const base = { index: 0, configuration: emptyConfiguration };
  const applier = new Applier(
    {
      ...{ machine, nodeId: "n1", bootCount: 1, readBytes: 1, read: nothing },
      ...{ answered: nothing, gap: nothing, caughtUp: nothing },
    },
    base,
  );
  applier.restore(new Map(), { base, throughIndex: 0 });
  applier.push([entry(1, null), entry(2, [7, 1]), entry(3, null), entry(4, [8])]);
  assert.is(
    applier.run(() => false),
    true,
  );
  assert.equal(heard, ["2 ahead: 7,1", "4 ahead: 8", "2: 7,1", "4: 8"]);
});

test("[Q6] the command of an envelope is what decoding it gives", () => {
  for (const nodeId of ["n", "n1", "ñandú", "x".repeat(255)]) {
    for (const command of [[], [1], [1, 2, 3]]) {
      const data = encodeEnvelope({ nodeId, bootCount: 9, sequence: 3 }, Uint8Array.from(command));
      assert.equal([...commandOf(data)], [...(decodeEnvelope(data)?.command ?? [])]);
      assert.equal([...commandOf(data)], command);
    }
  }
});

test.run();
