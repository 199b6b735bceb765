import { AsyncLocalStorage } from "node:async_hooks";
import type { Room } from "@colyseus/core";
import { EffectError, type EffectErrorCode } from "../../session/effect-outcome.ts";
import { sessionLimits } from "../../session/limits.ts";
import { type EffectPromise, refusedEffect } from "../../session/room-effects.ts";
import { SessionError } from "../../session/session-error.ts";
import { runEffect, timeoutOf } from "../effects.ts";

interface Instance {
  readonly room: Room;
  /** Its number, among all of the room. */
  readonly run: number;
}

/** What room code does because of one input, also behind what it awaits. */
interface Cause {
  readonly input: number;
  effects: number;
}

/**
 * Effects of a room that its leader runs. They just run, where the room is; what goes beyond its code goes by the same words as
 * in any other room. If a hook or handler begins again with the next leader, so do its effects, with the keys that they had.
 */
export class LiveEffects {
  readonly #roomId: string;
  readonly #instance: () => Instance;
  readonly #cause = new AsyncLocalStorage<Cause>();
  readonly #open = new Set<AbortController>();
  #made = 0;
  #isOver = false;

  constructor(roomId: string, instance: () => Instance) {
    this.#roomId = roomId;
    this.#instance = instance;
  }

  /** Room code that is told of an input. */
  because<T>(input: number, act: () => T): T {
    return this.#cause.run({ input, effects: 0 }, act);
  }

  make(name: string, argument: unknown): EffectPromise<unknown> {
    // Nobody hears of it any more.
    if (this.#isOver) return Object.assign(new Promise(() => {}), { cancel: () => {} });
    const { room } = this.#instance();
    let timeoutMs: number;
    try {
      timeoutMs = timeoutOf(room, name);
      this.#checkCount();
    } catch (error) {
      return refusedEffect(error);
    }
    const abort = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const end = () => {
      clearTimeout(timer);
      this.#open.delete(abort);
    };
    const fail = (code: EffectErrorCode, message: string) => {
      if (!this.#open.has(abort)) return;
      end();
      reject(new EffectError(code, message));
      abort.abort();
    };
    const late = () => fail("EFFECT_TIMEOUT", `effect "${name}" took more than ${timeoutMs} ms`);
    const timer = setTimeout(late, timeoutMs);
    const settle = (act: () => void) => {
      if (!this.#open.has(abort)) return;
      end();
      act();
    };
    this.#open.add(abort);
    abort.signal.addEventListener("abort", end);
    const call = { key: this.#nextKey(), signal: abort.signal };
    void (async () => await runEffect(room, name, argument, call))().then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
    const cancel = () => {
      // Nobody need be there who hears of it.
      promise.catch(() => {});
      fail("EFFECT_CANCELLED", "the room's code has cancelled the effect");
    };
    return Object.assign(promise, { cancel });
  }

  #checkCount(): void {
    const { effectsMax } = sessionLimits;
    if (this.#open.size < effectsMax) return;
    const most = `a room waits for at most ${effectsMax} effects at once: await some of them first`;
    throw new SessionError("EFFECTS_TOO_MANY", most);
  }

  /** Of what no input has led to nobody begins anew: its keys are this instance's. */
  #nextKey(): string {
    const cause = this.#cause.getStore();
    return cause === undefined
      ? `${this.#roomId}:${this.#instance().run}:${++this.#made}`
      : `${this.#roomId}:input-${cause.input}:${++cause.effects}`;
  }

  /** The instance is over: nobody waits, and whoever runs one is told. */
  end(): void {
    this.#isOver = true;
    for (const abort of this.#open) abort.abort();
  }
}
