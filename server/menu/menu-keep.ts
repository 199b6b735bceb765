import { Feed } from "./feed.ts";
import type { Journal, JournalItem } from "./journal.ts";
import type { Keep } from "./keeper-machine.ts";
import type { CommandContext } from "./menu.ts";

interface KeepState<Item extends JournalItem> extends Pick<Keep, "expire" | "nextExpiryMs" | "save"> {
  readonly journal: Journal<Item>;
}

interface MenuKeepParts<State> {
  readonly menu: { apply(state: State, command: Uint8Array, context: CommandContext): unknown };
  readonly make: (saved?: unknown) => State;
  readonly listenersMax: number;
  /** Runs it in a macrotask of its own. */
  readonly later: (run: () => void) => void;
  /** A listener has thrown. */
  readonly failed: (error: unknown) => void;
}

/** A menu's state on this node, and who listens to it here. */
export class MenuKeep<State extends KeepState<Item>, Item extends JournalItem> implements Keep {
  readonly #parts: MenuKeepParts<State>;
  readonly feed: Feed<Item>;
  readonly #waiting = new Set<() => void>();
  #state: State;

  constructor(parts: MenuKeepParts<State>) {
    this.#parts = parts;
    this.#state = parts.make();
    this.feed = new Feed({ ...parts, journal: () => this.#state.journal });
  }

  /** As of the last applied command: another one after a restore. */
  get state(): State {
    return this.#state;
  }

  apply(command: Uint8Array, context: CommandContext): unknown {
    return this.#parts.menu.apply(this.#state, command, context);
  }

  expire(context: CommandContext): void {
    this.#state.expire(context);
  }

  nextExpiryMs(): number | null {
    return this.#state.nextExpiryMs();
  }

  save(): unknown {
    return this.#state.save();
  }

  restore(saved: unknown): void {
    this.#state = this.#parts.make(saved);
  }

  drained(): void {
    this.feed.drained();
    for (const look of this.#waiting) look();
  }

  /** Calls back once, in a macrotask of its own, as soon as it holds of this node's replica; the result gives that up. */
  once(holds: (state: State) => boolean, then: () => void): () => void {
    const look = () => {
      if (holds(this.#state) && this.#waiting.delete(look)) this.#parts.later(then);
    };
    this.#waiting.add(look);
    look();
    return () => this.#waiting.delete(look);
  }
}
