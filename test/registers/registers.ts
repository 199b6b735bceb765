import type { GroupEngine } from "../../server/group/engine.ts";
import { ProposalError } from "../../server/group/proposal-error.ts";
import type { RegisterInput, RegisterOutput, Value } from "../linearizability/register-model.ts";
import { type RegisterMachine, type RegisterResult, shelfOf } from "./register-machine.ts";
import { registerMenu } from "./register-menu.ts";

/** What a node knows of one of its operations. */
export type Performed =
  | { readonly type: "ok"; readonly output: RegisterOutput }
  /** Applied once; what it gave is not known. */
  | { readonly type: "applied" }
  /** Never applied. */
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "unknown"; readonly reason: string };

/** The registers of one node's groups: what its clients ask. */
export class Registers {
  readonly #engine: GroupEngine;
  readonly #machines: readonly RegisterMachine[];
  /** The last number given, by group and shelf. */
  readonly #sequences = new Map<string, number>();

  constructor(engine: GroupEngine, machines: readonly RegisterMachine[]) {
    this.#engine = engine;
    this.#machines = machines;
  }

  /** Through the log; reads too. */
  async perform(
    group: number,
    key: string,
    input: RegisterInput,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<Performed> {
    const stream = `${group} ${shelfOf(key)}`;
    const sequence = (this.#sequences.get(stream) ?? 0) + 1;
    const command = registerMenu.encode(input.type, { ...input, key, sequence } as never);
    // Numbers are given only to what is sent: a hole would hold up everything after it.
    if (!this.#engine.accepts(group, command.length)) return { type: "failed", reason: "OVERLOADED" };
    this.#sequences.set(stream, sequence);
    try {
      const result = (await this.#engine.propose(group, command, { timeoutMs })) as RegisterResult;
      if (result === "expired") throw new Error(`${key}: this start of the node was ended by a later one`);
      return result === "forgotten" ? { type: "applied" } : { type: "ok", output: result };
    } catch (error) {
      return { type: "unknown", reason: codeOf(error) };
    }
  }

  /** Without an entry in the log. */
  async read(
    group: number,
    key: string,
    options: { consistency: "linearizable" | "lease"; timeoutMs: number },
  ): Promise<Performed> {
    try {
      await this.#engine.read(group, options);
      return { type: "ok", output: { value: this.#machine(group).value(key) } };
    } catch (error) {
      return { type: "failed", reason: codeOf(error) };
    }
  }

  /** Of this replica, as of `index`; it may lag. Null: it stands at no one moment, or too far behind. */
  async readHere(
    group: number,
    key: string,
  ): Promise<{ readonly index: number; readonly ageMs: number; readonly value: Value } | null> {
    try {
      const { index, ageMs } = await this.#engine.read(group, { consistency: "local" });
      return { index, ageMs, value: this.#machine(group).value(key) };
    } catch (error) {
      codeOf(error);
      return null;
    }
  }

  #machine(group: number): RegisterMachine {
    const machine = this.#machines[group];
    if (machine === undefined) throw new Error(`there is no group ${group}`);
    return machine;
  }
}

/** @throws whatever is no refusal */
function codeOf(error: unknown): string {
  if (error instanceof ProposalError) return error.code;
  throw error;
}
