import type { ClientOptions } from "@colyseus/sdk";

/** How this client finds its nodes, notices that one is gone, and moves on. All times in ms. */
export interface FailoverOptions {
  /** `given`: the urls in the order given, then what the cluster tells. `latency`: the quickest to answer first. */
  readonly order: "given" | "latency";
  /** While nothing is received for this long, the node is asked for a sign of life. 50 to 60,000. */
  readonly pingIntervalMs: number;
  /** After this long without a frame the node counts as gone. More than `pingIntervalMs`, to 120,000. */
  readonly silenceMs: number;
  /** An HTTP request that is not answered by then goes to the next node. 100 to 60,000. */
  readonly answerMs: number;
  /** An attachment that is not complete by then is tried at the next node. 100 to 60,000. */
  readonly attachMs: number;
  /** How long a room goes on looking for a node before it is left (`onLeave`). 0 to 3,600,000. */
  readonly moveMsMax: number;
  /** Commands that are sent but not yet acknowledged; past it `send` throws `OUTBOX_FULL`. 1 to 65,536. */
  readonly outboxCommandsMax: number;
  /** Their bytes. 1,024 to 67,108,864. */
  readonly outboxBytesMax: number;
  /**
   * Message types of which only the newest counts (`"latest"` on the server), by room name: they carry no
   * number, are not sent again, and while the room is moving only the newest of each type waits.
   */
  readonly latest: Readonly<Record<string, readonly string[]>>;
  /**
   * Message types that are in no log (`"eventual"` on the server), by room name: they carry no number, are not sent again,
   * and while the room is moving they are dropped. One that is not named here takes a number, and so a place in the log.
   */
  readonly eventual: Readonly<Record<string, readonly string[]>>;
}

/** The stock SDK's options (WebSockets only) and `FailoverOptions`. */
export type TestudoClientOptions = Omit<ClientOptions, "protocol"> & Partial<FailoverOptions>;

export const failoverDefaults: FailoverOptions = Object.freeze({
  order: "given",
  pingIntervalMs: 500,
  silenceMs: 1_500,
  answerMs: 2_000,
  attachMs: 3_000,
  moveMsMax: 60_000,
  outboxCommandsMax: 256,
  outboxBytesMax: 256 * 1024,
  latest: Object.freeze({}),
  eventual: Object.freeze({}),
});

type Bounds = Readonly<Record<string, readonly [min: number, max: number]>>;

const bounds: Bounds = {
  pingIntervalMs: [50, 60_000],
  silenceMs: [51, 120_000],
  answerMs: [100, 60_000],
  attachMs: [100, 60_000],
  moveMsMax: [0, 3_600_000],
  outboxCommandsMax: [1, 65_536],
  outboxBytesMax: [1_024, 67_108_864],
};

/** @throws TypeError that names the option, the value and what is allowed. */
export function checkFailoverOptions(given: TestudoClientOptions): FailoverOptions {
  const known = Object.keys(failoverDefaults);
  const chosen = Object.fromEntries(
    Object.entries(given).filter(([name, value]) => known.includes(name) && value !== undefined),
  );
  const options: FailoverOptions = { ...failoverDefaults, ...chosen };
  if ("protocol" in given && given.protocol !== undefined && given.protocol !== "ws") {
    throw new TypeError(`protocol: ${String(given.protocol)}; allowed is only "ws"`);
  }
  if (options.order !== "given" && options.order !== "latency") {
    throw new TypeError(`order: ${String(options.order)}; allowed are "given" and "latency"`);
  }
  for (const [name, [min, max]] of Object.entries(bounds)) {
    const value: unknown = options[name as keyof FailoverOptions];
    if (typeof value !== "number" || !(value >= min && value <= max)) {
      throw new TypeError(`${name}: ${String(value)}; allowed is ${min} to ${max}`);
    }
  }
  if (options.silenceMs <= options.pingIntervalMs) {
    throw new TypeError(
      `silenceMs: ${options.silenceMs}; allowed is more than pingIntervalMs (${options.pingIntervalMs})`,
    );
  }
  return Object.freeze(options);
}
