import { pack, unpack } from "msgpackr";
import { EffectError, type EffectErrorCode, type EffectOutcome, effectFailed } from "./effect-outcome.ts";
import { sessionLimits } from "./limits.ts";
import { checkPlainData } from "./plain-data.ts";
import { currentWorld, type World } from "./sandbox.ts";
import { outsideLog, SessionError } from "./session-error.ts";

/** In the checkpoint, and compared. A room is saved only while none is open. */
export interface EffectsState {
  /** How many there have ever been: numbers never come again, whatever the room was restored from. */
  readonly made: number;
  readonly open: readonly number[];
}

export interface EffectWish {
  readonly name: string;
  /** Plain data. */
  readonly argument: unknown;
  /** In log time: it stands still while there is no leader. */
  readonly timeoutMs: number;
}

/** What room code waits for. */
export interface EffectPromise<T> extends Promise<T> {
  /** Nobody waits for it any more: it rejects with EFFECT_CANCELLED, and the signal of whoever runs it is aborted. */
  cancel(): void;
}

/** An effect whose outcome is not agreed yet. */
export class OpenEffect {
  /** From 1, in the order of the log. */
  readonly number: number;
  readonly name: string;
  /** The same for every attempt, by whichever node. */
  readonly key: string;
  /** Its outcome may still count. */
  isOpen = true;
  readonly #argument: Uint8Array;

  constructor(fields: Pick<OpenEffect, "number" | "name" | "key">, argument: Uint8Array) {
    this.number = fields.number;
    this.name = fields.name;
    this.key = fields.key;
    this.#argument = argument;
  }

  /** As it was when the effect was made; each attempt has its own. */
  get argument(): unknown {
    return unpack(this.#argument) as unknown;
  }
}

interface RoomEffectsParts {
  readonly roomId: string;
  readonly world: World;
  /** The room is being created, or restored. */
  readonly isCreating: () => boolean;
  readonly opened: (effect: OpenEffect) => void;
}

/**
 * What one room waits for from outside (design 5.4): opened by its code, at the same place on every replica, and settled by
 * the log alone, by an outcome, its time-out or a cancel, whichever comes first.
 */
export class RoomEffects {
  readonly #parts: RoomEffectsParts;
  readonly #open = new Map<number, { effect: OpenEffect; settle: (outcome: EffectOutcome) => void }>();
  #made = 0;

  constructor(parts: RoomEffectsParts) {
    this.#parts = parts;
  }

  get state(): EffectsState {
    return { made: this.#made, open: [...this.#open.keys()] };
  }

  restore({ made }: EffectsState): void {
    this.#made = made;
  }

  get isWaiting(): boolean {
    return this.#open.size > 0;
  }

  /** What is waited for, oldest first. */
  *open(): Iterable<OpenEffect> {
    for (const { effect } of this.#open.values()) yield effect;
  }

  /** In the room's world. It rejects with a SessionError for what cannot be made: EFFECT_IN_CREATE, EFFECTS_TOO_MANY, NOT_PLAIN_DATA, EFFECT_ARGUMENT_TOO_BIG. */
  make({ name, argument, timeoutMs }: EffectWish): EffectPromise<unknown> {
    const { world, opened } = this.#parts;
    let bytes: Uint8Array;
    try {
      bytes = this.#packed(name, argument);
    } catch (error) {
      return refusedEffect(error);
    }
    const number = ++this.#made;
    const effect = new OpenEffect({ number, name, key: `${this.#parts.roomId}:${number}` }, bytes);
    const late = () =>
      this.#fail(number, "EFFECT_TIMEOUT", `effect "${name}" took more than ${timeoutMs} ms`);
    const timer = world.setTimer(late, timeoutMs, null, []);
    const promise = new Promise<unknown>((resolve, reject) => {
      const settle = (outcome: EffectOutcome) => {
        effect.isOpen = false;
        this.#open.delete(number);
        world.clearTimer(timer);
        if (outcome.type === "result") resolve(outcome.value);
        else reject(new EffectError(outcome.code, outcome.message));
      };
      this.#open.set(number, { effect, settle });
    });
    opened(effect);
    return Object.assign(promise, { cancel: () => this.#cancel(number, promise) });
  }

  /** One that is settled already, or was never made, is let be. */
  settle(number: number, outcome: EffectOutcome): void {
    this.#open.get(number)?.settle(outcome);
  }

  /** The replica goes: whoever runs one of these need not go on. */
  end(): void {
    for (const { effect } of this.#open.values()) effect.isOpen = false;
    this.#open.clear();
  }

  #packed(name: string, argument: unknown): Uint8Array {
    if (this.#parts.isCreating())
      throw new SessionError(
        "EFFECT_IN_CREATE",
        `effect "${name}" in onCreate: a room is made by one entry, which waits for nothing. Load it before, and pass it as an option; or from onJoin, a handler or a clock timer`,
      );
    if (this.#open.size >= sessionLimits.effectsMax)
      throw new SessionError(
        "EFFECTS_TOO_MANY",
        `a room waits for at most ${sessionLimits.effectsMax} effects at once: await some of them first`,
      );
    checkPlainData(argument, `the argument of effect "${name}"`);
    // Copied: what the room does with its own afterwards must not show in a later attempt.
    const bytes = pack(argument);
    if (bytes.length <= sessionLimits.effectBytesMax) return Uint8Array.from(bytes);
    throw new SessionError(
      "EFFECT_ARGUMENT_TOO_BIG",
      `the argument of effect "${name}" has ${bytes.length} bytes, at most ${sessionLimits.effectBytesMax}: pass less`,
    );
  }

  #cancel(number: number, promise: Promise<unknown>): void {
    const { world } = this.#parts;
    if (currentWorld() !== world)
      throw outsideLog(`an effect of ${world.label} was cancelled outside of the room`);
    // Nobody need be there who hears of it.
    promise.catch(() => {});
    this.#fail(number, "EFFECT_CANCELLED", "the room's code has cancelled the effect");
  }

  #fail(number: number, code: EffectErrorCode, message: string): void {
    this.settle(number, effectFailed(code, message));
  }
}

/** One that was never made. */
export function refusedEffect(error: unknown): EffectPromise<never> {
  return Object.assign(Promise.reject(error), { cancel: () => {} });
}
