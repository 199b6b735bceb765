/** What `import … from "testudo"` gives: Colyseus rooms that outlive their servers. */
import type { ServerOptions } from "@colyseus/core";
import { failHard, type Log, writeLastLine } from "./cluster/log.ts";
import { exitCodeOf } from "./cluster/node-error.ts";
import { OptionError } from "./cluster/option-error.ts";
import { configFileNone } from "./cluster/option-sources.ts";
import { type NodeOptions, readNodeOptions } from "./cluster/options.ts";
import { stopWithProcess } from "./cluster/process-life.ts";
import { Election } from "./menu/election.ts";
import { KeeperError } from "./menu/keeper-error.ts";
import type { Kv } from "./menu/kv.ts";
import type { Locks } from "./menu/locks.ts";
import { Testudo } from "./testudo.ts";

export type { Effect, Effects } from "./colyseus/effects.ts";
export type { KeyedPresence, LoggedPresence, PresenceMethod } from "./colyseus/presence/shared-presence.ts";
export { TestudoPresence } from "./colyseus/presence/testudo-presence.ts";
export { type ReplicatedRoom, replicated } from "./colyseus/replicated.ts";
export type { ReplicatedOptions } from "./colyseus/seam.ts";
export { TestudoDriver } from "./colyseus/testudo-driver.ts";
export type { Election, Leader, Leadership } from "./menu/election.ts";
export type { HeldLock } from "./menu/held-lock.ts";
export { KeeperError } from "./menu/keeper-error.ts";
export type { Kv, KvChanged, KvDo, KvFound, KvIf, KvRead, KvWriting } from "./menu/kv.ts";
export { command, defineMenu, MenuError } from "./menu/menu.ts";
export { EffectError } from "./session/effect-outcome.ts";
export type { EffectCall } from "./session/room-program.ts";
export { SessionError } from "./session/session-error.ts";

/** What of a node is said in code, and not where its options stand. */
export interface GivenOptions {
  /**
   * A cluster of this process alone, in memory, for development and tests: the command line, which then is a test runner's,
   * and testudo.json are not read; `TESTUDO_…` variables are.
   */
  readonly memory?: boolean;
}

/** Options from flags, before `TESTUDO_…` variables, before testudo.json; a wrong one ends the process with 2. */
function optionsOrExit({ memory = false }: GivenOptions): NodeOptions {
  const { env } = process;
  const inMemory = {
    argv: ["--memory", `--config=${configFileNone}`],
    env: { TESTUDO_LOG_LEVEL: "warn", ...env },
  };
  try {
    const read = readNodeOptions({
      ...(memory ? inMemory : { argv: process.argv.slice(2), env }),
      cwd: process.cwd(),
    });
    if (read.type === "options") return read.options;
    process.stdout.write(read.text);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    writeLastLine(`testudo: ${error.message}`);
    process.exit(exitCodeOf(error));
  }
}

let started: Testudo | null = null;
let endProcess: ((reason: string, timeoutMs?: number) => void) | null = null;

/**
 * This process's node: Colyseus's handlers, rooms and driver are module globals, so there is one at a time. In memory another
 * one may follow when its server was shut down.
 */
export function startTestudo(given: GivenOptions = {}): Testudo {
  const options = optionsOrExit(given);
  const testudo = new Testudo(options);
  started = testudo;
  endProcess ??= tieToProcess(testudo.log, options);
  const end = endProcess;
  testudo.onAskedToEnd((timeoutMs) => end("testudo drain", timeoutMs ?? undefined));
  return testudo;
}

/** Once: whichever node runs then is the one that ends. */
function tieToProcess(log: Log, { id, stopTimeoutMs }: NodeOptions): NonNullable<typeof endProcess> {
  return stopWithProcess({
    drain: async (timeoutMs) => await started?.drain(timeoutMs),
    hurry: () => started?.hurry(),
    stop: async () => await started?.stop(),
    stopTimeoutMs,
    log,
    fail: failHard({ node: id, log }),
  });
}

/**
 * Makes a Colyseus server a node of a Testudo cluster: `defineServer({ ...testudo(), rooms })`, then `server.listen(port)`.
 * How the node runs comes from flags, the environment or testudo.json: see `--help`.
 */
export function testudo(given: GivenOptions = {}): ServerOptions {
  return startTestudo(given).serverOptions;
}

/**
 * Keys and values that all nodes of the cluster share; to be used once `server.listen()` has resolved, from anywhere but
 * inside of replicated rooms (there: in an effect).
 * @throws KeeperError KEEPER_NOT_RUNNING if this process has no node
 */
export function kv(): Kv {
  return running().kv;
}

/** Locks that all nodes of the cluster share; where `kv()` may be used. @throws KeeperError KEEPER_NOT_RUNNING */
export function locks(): Locks {
  return running().locks;
}

/**
 * One leader at a time, of all that stand for it on any node; where `kv()` may be used.
 * @throws KeeperError ARGUMENT, KEEPER_NOT_RUNNING
 */
export function election(name: string): Election {
  return new Election(name, running());
}

function running(): Testudo {
  if (started !== null) return started;
  throw new KeeperError("KEEPER_NOT_RUNNING", "this process has no node yet: call testudo() first");
}
