import type { Room } from "@colyseus/core";
import { type EffectPromise, refusedEffect } from "../session/room-effects.ts";
import type { EffectCall } from "../session/room-program.ts";
import { outsideLog, SessionError } from "../session/session-error.ts";
import { isCall } from "./room-calls.ts";
import { applying } from "./seam.ts";

/** Something that a room waits for and that is not in its log: a look-up, a payment, another service. */
export interface Effect<Argument = unknown, Result = unknown> {
  /** In log time, which stands still while there is no leader; 5000. */
  readonly timeoutMs?: number;
  /**
   * Runs outside of the room on the leader's node, at least once: a leader that falls has it run again, with the same key.
   * @returns plain data; what it throws or rejects with comes out with its words and its code
   */
  run(argument: Argument, call: EffectCall): Result;
}

// biome-ignore lint/suspicious/noExplicitAny: each takes something of its own
export type Effects = Record<string, Effect<any, any>>;

/**
 * Runs one of the room's `effects` on the leader's node; its outcome enters the log, and settles the promise on every
 * replica at the same place. Rejects with an EffectError (what `run` failed with, EFFECT_TIMEOUT, EFFECT_CANCELLED,
 * EFFECT_RESULT_NOT_PLAIN, EFFECT_RESULT_TOO_BIG) or a SessionError (EFFECT_UNKNOWN, EFFECT_IN_CREATE,
 * EFFECTS_TOO_MANY, EFFECT_ARGUMENT_TOO_BIG, NOT_PLAIN_DATA).
 * @param argument plain data
 */
export type EffectMethod = <E extends Effects, Name extends keyof E & string>(
  this: { readonly effects: E },
  name: Name,
  ...argument: Parameters<E[Name]["run"]> extends readonly [] ? [] : [argument: Parameters<E[Name]["run"]>[0]]
) => EffectPromise<Awaited<ReturnType<E[Name]["run"]>>>;

const timeoutDefaultMs = 5_000;

const effectsOf = new WeakMap<object, Effects>();

/** The field is code, not data: a checkpoint leaves it out. */
export function isEffects(room: object, value: unknown): boolean {
  return value !== undefined && effectsOf.get(room) === value;
}

/**
 * Takes note of what the room's class has in `effects`. A field of that name which has no `run` in it is the room's own
 * data, as ever.
 * @throws SessionError NOT_SUPPORTED
 */
export function takeEffects(room: Room): void {
  const { effects } = room as unknown as { effects?: unknown };
  if (!isTable(effects) || !Object.values(effects).some(hasRun)) return;
  for (const [name, effect] of Object.entries(effects)) {
    if (isCall(name))
      throw new SessionError(
        "NOT_SUPPORTED",
        `effects.${name} of ${room.constructor.name}: names that begin with "presence." or "matchMaker." are those of what a room asks of these; call it otherwise`,
      );
    const timeoutMs = isTable(effect) ? effect["timeoutMs"] : undefined;
    const isTime = typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs < Number.POSITIVE_INFINITY;
    if (hasRun(effect) && (timeoutMs === undefined || isTime)) continue;
    throw new SessionError(
      "NOT_SUPPORTED",
      `effects.${name} of ${room.constructor.name} is no effect: { timeoutMs: milliseconds, run: (argument, { key, signal }) => … }`,
    );
  }
  // Every replica, every restore must have the same ones.
  effectsOf.set(room, Object.freeze(effects) as Effects);
}

/** @throws SessionError EFFECT_UNKNOWN */
export function timeoutOf(room: Room, name: string): number {
  return effect(room, name).timeoutMs ?? timeoutDefaultMs;
}

/** Outside of the room's world. */
export function runEffect(room: Room, name: string, argument: unknown, call: EffectCall): unknown {
  return effect(room, name).run(argument, call);
}

export function effectMethods(): Record<string, (this: Room, name: string, argument?: unknown) => unknown> {
  return {
    effect(this: Room, name, argument) {
      const seam = applying(this);
      if (seam === null) throw outsideLog(`${this.constructor.name}.effect() was called outside of the room`);
      try {
        return seam.environment.world.effects.make({ name, argument, timeoutMs: timeoutOf(this, name) });
      } catch (error) {
        return refusedEffect(error);
      }
    },
  };
}

function effect(room: Room, name: string): Effect {
  const effects = effectsOf.get(room) ?? {};
  if (Object.hasOwn(effects, name)) return effects[name] as Effect;
  const known = Object.keys(effects);
  const has = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
  throw new SessionError(
    "EFFECT_UNKNOWN",
    `${room.constructor.name} has no effect "${name}": ${has}; effects = { name: { timeoutMs, run } } declares them`,
  );
}

function isTable(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function hasRun(value: unknown): value is Effect {
  return (
    typeof value === "object" && value !== null && typeof (value as { run?: unknown }).run === "function"
  );
}
