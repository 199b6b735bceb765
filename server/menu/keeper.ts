import { type KeeperGroup, KeeperLine } from "./keeper-group.ts";
import { KeeperMachine } from "./keeper-machine.ts";
import { Kv } from "./kv.ts";
import { kvMenu } from "./kv-menu.ts";
import { type KvChange, KvState } from "./kv-state.ts";
import { MenuKeep } from "./menu-keep.ts";

interface KeeperParts {
  /** Runs it in a macrotask of its own. */
  readonly later: (run: () => void) => void;
  /** What somebody listens with has thrown. */
  readonly failed: (error: unknown) => void;
  /** Throws where nothing may be asked for: inside of a room. */
  readonly guard: (what: string) => void;
}

/** What the nodes keep together and belongs to no room: this node's replica of it, and the ways to it. */
export class Keeper {
  readonly machine: KeeperMachine;
  readonly kv: Kv;
  readonly #line: KeeperLine;

  constructor({ guard, ...parts }: KeeperParts) {
    this.#line = new KeeperLine(guard);
    const kv = new MenuKeep<KvState, KvChange>({
      ...parts,
      menu: kvMenu,
      make: (saved) => new KvState(saved),
    });
    this.machine = new KeeperMachine({ kv });
    this.kv = new Kv(kv, this.#line);
  }

  /** The groups run: from now on it can be asked. */
  bind(group: KeeperGroup): void {
    this.#line.bind(group);
  }
}
