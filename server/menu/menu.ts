import assert from "node:assert/strict";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { pack, unpack } from "msgpackr";
import { type AgreedLevel, firstLevel } from "../raft/level.ts";

/** What a command knows of its place in the log. */
export interface CommandContext {
  readonly index: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
  /** What the group has agreed on there: what a command does otherwise from a level on goes by this (raft/level.ts). */
  readonly level: number;
}

/** One command of a menu: what it takes (any Standard Schema: zod, valibot, arktype, …) and how it changes the state. */
export interface Command<State, Argument, Result> {
  readonly schema: StandardSchemaV1<unknown, Argument>;
  /** Deterministic in state, argument and context. A throw is a programmer's error and ends the process. */
  readonly apply: (state: State, argument: Argument, context: CommandContext) => Result;
  /** The level that it came with (raft/level.ts): it is proposed to no group that has not agreed on it. By default the first. */
  readonly since?: number;
  /** For a command that there are very many of: an encoding of its own, which checks for itself, instead of the schema and MessagePack. */
  readonly codec?: Codec<Argument>;
}

export interface Codec<Argument> {
  /** The argument behind `headroom` bytes that the menu fills in. */
  encode(argument: Argument, headroom: number): Uint8Array;
  /** @throws Error if the bytes are garbled */
  decode(bytes: Uint8Array): Argument;
}

/** One query: reads a replica's state, never changes it. */
export type Query<State, Argument, Result> = (state: State, argument: Argument) => Result;

// biome-ignore lint/suspicious/noExplicitAny: a menu holds commands of many types; `encode` and `apply` tie them again
type AnyCommand = Command<any, any, any>;
// biome-ignore lint/suspicious/noExplicitAny: as above
type AnyQuery = Query<any, any, any>;

// biome-ignore lint/suspicious/noExplicitAny: the parts that are not asked for
type ArgumentOf<C> = C extends Command<any, infer Argument, any> ? Argument : never;
// biome-ignore lint/suspicious/noExplicitAny: the parts that are not asked for
type StateOf<Commands> = Commands[keyof Commands] extends Command<infer State, any, any> ? State : never;

export class MenuError extends Error {
  /** `MENU_TOO_NEW`: not all members run a version of Testudo that knows the command. Try again when they do. */
  readonly code: "MENU_ARGUMENT" | "MENU_UNKNOWN_COMMAND" | "MENU_GARBLED" | "MENU_TOO_LONG" | "MENU_TOO_NEW";

  constructor(code: MenuError["code"], message: string) {
    super(message);
    this.name = "MenuError";
    this.code = code;
  }
}

export const commandBytesMax = 64 * 1024;

/** The commands and queries of one replicated state machine: what may be agreed, and nothing else (design 2). */
export interface Menu<Commands extends Record<string, AnyCommand>, Queries extends Record<string, AnyQuery>> {
  readonly name: string;
  readonly commands: Commands;
  readonly queries: Queries;
  /**
   * Checks the argument before it becomes a proposal.
   * @param agreed what the group that is to apply it has agreed on, as applied on this node: it only rises. Without, only
   * what every version knows can be had.
   * @throws MenuError MENU_TOO_NEW; MENU_ARGUMENT with the path and the schema's own words; MENU_TOO_LONG past 64 KiB
   */
  encode<Name extends keyof Commands & string>(
    name: Name,
    argument: ArgumentOf<Commands[Name]>,
    agreed?: AgreedLevel,
  ): Uint8Array;
  /** @throws MenuError MENU_GARBLED, MENU_UNKNOWN_COMMAND */
  decode(bytes: Uint8Array): { readonly name: keyof Commands & string; readonly argument: unknown };
  /** What an encoded command begins with. */
  numberOf(name: keyof Commands & string): number;
  /** Applies one encoded command; what it returns is the proposer's result. */
  apply(state: StateOf<Commands>, bytes: Uint8Array, context: CommandContext): unknown;
}

/** Ties a command's schema and apply together. */
export function command<State, Argument, Result>(
  schema: StandardSchemaV1<unknown, Argument>,
  apply: (state: State, argument: Argument, context: CommandContext) => Result,
  how: Pick<Command<State, Argument, Result>, "since" | "codec"> = {},
): Command<State, Argument, Result> {
  return { schema, apply, ...how };
}

/**
 * Declares a replicated state machine. The order of `commands` is their number on the wire and in the log: new ones go
 * at the end, with the level that they come with (`since`), none is ever taken out.
 */
export function defineMenu<
  Commands extends Record<string, AnyCommand>,
  Queries extends Record<string, AnyQuery> = Record<string, never>,
>(definition: {
  readonly name: string;
  readonly commands: Commands;
  readonly queries?: Queries;
}): Menu<Commands, Queries> {
  const names = Object.keys(definition.commands) as (keyof Commands & string)[];
  assert(
    names.length > 0 && names.length <= 255,
    `a menu has 1 to 255 commands, "${definition.name}" has ${names.length}`,
  );
  const numbers = new Map<string, number>(names.map((name, number) => [name, number]));

  function decode(bytes: Uint8Array) {
    const name = names[bytes[0] ?? 255];
    if (name === undefined) {
      throw new MenuError(
        "MENU_UNKNOWN_COMMAND",
        `menu "${definition.name}" has no command number ${bytes[0]}: its numbers are 0 to ${names.length - 1}`,
      );
    }
    try {
      const { codec } = definition.commands[name] as AnyCommand;
      const rest = bytes.subarray(1);
      return {
        name,
        argument: codec === undefined ? (unpack(rest) as unknown) : (codec.decode(rest) as unknown),
      };
    } catch (cause) {
      throw new MenuError(
        "MENU_GARBLED",
        `the argument of "${definition.name}.${name}" cannot be decoded: ${String(cause)}`,
      );
    }
  }

  function numberOf(name: keyof Commands & string): number {
    const number = numbers.get(name);
    if (number !== undefined) return number;
    throw new MenuError(
      "MENU_UNKNOWN_COMMAND",
      `menu "${definition.name}" has no command "${name}": it has ${names.join(", ")}`,
    );
  }

  return {
    name: definition.name,
    commands: definition.commands,
    queries: definition.queries ?? ({} as Queries),
    encode(name, argument, agreed = nothingAgreed) {
      const number = numberOf(name);
      const one = definition.commands[name] as AnyCommand;
      checkAgreed(`${definition.name}.${name}`, one.since ?? firstLevel, agreed);
      const bytes =
        one.codec?.encode(argument, 1) ??
        behindHeadroom(pack(validated(one, argument, `${definition.name}.${name}`)));
      if (bytes.length > commandBytesMax) {
        throw new MenuError(
          "MENU_TOO_LONG",
          `"${definition.name}.${name}" takes at most ${commandBytesMax} bytes, this is ${bytes.length}: send less at once`,
        );
      }
      bytes[0] = number;
      return bytes;
    },
    decode,
    numberOf,
    apply(state, bytes, context) {
      const { name, argument } = decode(bytes);
      return (definition.commands[name] as AnyCommand).apply(state, argument, context);
    },
  };
}

const nothingAgreed: AgreedLevel = { level: firstLevel, heldBackBy: () => [] };

/** A replica that does not know a command could only end, or differ from the others. */
function checkAgreed(label: string, since: number, { level, heldBackBy }: AgreedLevel): void {
  if (level >= since) return;
  const missing = heldBackBy().map(({ nodeId, levelMax }) =>
    levelMax === null ? `${nodeId} is not there` : `${nodeId} knows only ${levelMax}`,
  );
  const who = missing.length === 0 ? "" : `; ${missing.join(", ")}`;
  throw new MenuError(
    "MENU_TOO_NEW",
    `"${label}" needs level ${since}, its group has agreed on ${level}: it is there once all nodes run a version of Testudo that knows it${who}`,
  );
}

/** A copy, with a byte in front for the command's number. */
function behindHeadroom(packed: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(packed.length + 1);
  bytes.set(packed, 1);
  return bytes;
}

function validated(command: AnyCommand, argument: unknown, label: string): unknown {
  const result = command.schema["~standard"].validate(argument);
  if (result instanceof Promise)
    throw new MenuError("MENU_ARGUMENT", `the schema of "${label}" is asynchronous: use a synchronous one`);
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map((issue) => {
    const path = (issue.path ?? [])
      .map((step) => (typeof step === "object" ? String(step.key) : String(step)))
      .join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  throw new MenuError("MENU_ARGUMENT", `"${label}" was refused: ${issues.join("; ")}`);
}
