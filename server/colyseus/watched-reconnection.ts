import type { RoomEnvironment } from "../session/room-program.ts";

const watched = new WeakMap<object, WatchedReconnection>();

/** Colyseus gives one Deferred for a seat, however often it is kept. */
export function watchedReconnection(
  deferred: PromiseLike<unknown>,
  environment: RoomEnvironment,
): WatchedReconnection {
  const known = watched.get(deferred) ?? new WatchedReconnection(deferred, environment);
  watched.set(deferred, known);
  return known;
}

/**
 * What `allowReconnection` gives to room code: Colyseus's Deferred, but whoever waits for it is seen. Without a waiter
 * it is plain data, and the room stays at rest; with one, a closure is open until the seat is settled (design 5.5).
 */
export class WatchedReconnection<T = unknown> implements PromiseLike<T> {
  readonly #deferred: PromiseLike<T> & {
    resolve?: (value: unknown) => void;
    reject?: (reason: unknown) => void;
  };
  readonly #environment: RoomEnvironment;

  constructor(deferred: PromiseLike<T>, environment: RoomEnvironment) {
    this.#deferred = deferred;
    this.#environment = environment;
  }

  // biome-ignore lint/suspicious/noThenProperty: Colyseus's Deferred is a thenable, so this must be one
  then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const settled = Promise.resolve(this.#deferred.then(fulfilled, rejected));
    this.#environment.watch(settled, "allowReconnection()");
    return settled as Promise<A | B>;
  }

  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, rejected);
  }

  finally(done?: (() => void) | null): Promise<T> {
    return this.then(
      (value) => {
        done?.();
        return value;
      },
      (reason: unknown) => {
        done?.();
        throw reason;
      },
    );
  }

  resolve(value?: unknown): void {
    this.#deferred.resolve?.(value);
  }

  reject(reason?: unknown): void {
    this.#deferred.reject?.(reason);
  }
}
