import { KeeperError } from "./keeper-error.ts";
import type { KeeperLine, Reading, Waiting } from "./keeper-group.ts";
import { keeperLimits } from "./keeper-limits.ts";
import type { MenuKeep } from "./menu-keep.ts";
import { presenceMenu } from "./presence-menu.ts";
import type { PresenceMessage, PresenceState, ReadMethod, WriteMethod } from "./presence-state.ts";
import { checkKey } from "./value-codec.ts";

/** Strings, sets, hashes, lists and channels, as Redis has them, that all nodes of the cluster share. */
export class PresenceKeys {
  readonly #keep: MenuKeep<PresenceState, PresenceMessage>;
  readonly #line: KeeperLine;

  constructor(keep: MenuKeep<PresenceState, PresenceMessage>, line: KeeperLine) {
    this.#keep = keep;
    this.#line = line;
  }

  /** @param args keys, and what is looked for in them @throws ARGUMENT, WRONG_TYPE, and what the group says */
  async read(method: ReadMethod, args: readonly unknown[], how?: Reading): Promise<unknown> {
    const texts = textsOf(method, args);
    await this.#line.read("presence", how);
    return this.#keep.state.read(method, texts);
  }

  /**
   * Through the log, also what only reads.
   * @param once the same call, asked for again with the same key, by any node: what it gave then (of the newest 4,096, for
   * 60 s of log time)
   * @throws ARGUMENT, VALUE_TOO_BIG, MENU_TOO_LONG (64 KiB), WRONG_TYPE, NOT_A_NUMBER, FULL, and what the group says
   */
  async call(
    method: ReadMethod | WriteMethod,
    args: readonly unknown[],
    { once = null, ...how }: Waiting & { readonly once?: string | null } = {},
  ): Promise<unknown> {
    if (once !== null) checkKey(once, "call's own key");
    const argument = { method, args: textsOf(method, args), once };
    const command = presenceMenu.encode("call", argument, this.#line.level);
    return await this.#line.propose("presence", command, how);
  }

  /**
   * Calls back for each message that is published in the channel, once and in order, in a macrotask of its own.
   * @param after go on behind this position; null: what comes from now on
   * @returns ends it
   * @throws TOO_MANY_WATCHES, WATCH_TOO_OLD
   */
  listen(
    channel: string,
    after: number | null,
    { tell, lost }: { tell: (message: PresenceMessage) => void; lost: (error: KeeperError) => void },
  ): () => void {
    checkKey(channel, "channel");
    this.#line.checkPlace("subscribe");
    return this.#keep.feed.listen({ topic: channel, all: false, tell, lost }, after);
  }

  /** Whatever is published from now on comes behind it, and what was published before does not. */
  async position(how?: Waiting): Promise<number> {
    return (await this.#line.read("presence", how)).index;
  }

  /** Once one of the lists has an element on this node; whoever comes first has it. The result gives that up. */
  onceAny(keys: readonly string[], then: () => void): () => void {
    const isAny = (state: PresenceState) =>
      keys.some((key) => state.read("exists", [key]) === true && state.read("llen", [key]) !== 0);
    return this.#keep.once(isAny, then);
  }
}

/** Methods all of whose arguments are keys. */
const ofKeys: ReadonlySet<string> = new Set(["sinter", "rpopFirst"]);

/** @throws KeeperError ARGUMENT, VALUE_TOO_BIG */
function textsOf(method: string, args: readonly unknown[]): string[] {
  return args.map((arg, place) => {
    const isKey = place === 0 || ofKeys.has(method);
    const text = typeof arg === "number" || typeof arg === "boolean" ? String(arg) : arg;
    if (isKey) {
      checkKey(text, `key of ${method}`);
      return text;
    }
    if (typeof text !== "string")
      throw new KeeperError(
        "ARGUMENT",
        `argument ${place + 1} of ${method} is ${text === null ? "null" : `a ${typeof text}`}: a string or a number is expected`,
      );
    const { valueBytesMax } = keeperLimits;
    const bytes = Buffer.byteLength(text);
    if (bytes > valueBytesMax)
      throw new KeeperError(
        "VALUE_TOO_BIG",
        `argument ${place + 1} of ${method} takes ${bytes} bytes, ${valueBytesMax} are allowed`,
      );
    if (!text.isWellFormed())
      throw new KeeperError("ARGUMENT", `argument ${place + 1} of ${method} is no well-formed text`);
    return text;
  });
}
