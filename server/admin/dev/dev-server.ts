import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { type FSWatcher, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { HandedDisk } from "../../cluster/handed-disk.ts";
import type { LostRoom } from "../../colyseus/room-handover.ts";
import type { UnkeptPlayers } from "../../colyseus/unkept-players.ts";
import { startStudio } from "../studio-process.ts";
import type { DevNews, DevOrder } from "./dev-news.ts";

/** What `testudo dev` tells, a line each. */
export type DevEvent =
  | { readonly event: "serving"; readonly url: string; readonly file: string }
  | { readonly event: "reloaded"; readonly ms: number; readonly changed: readonly string[] }
  | ({ readonly event: "room-lost" } & LostRoom)
  | ({ readonly event: "players-left" } & UnkeptPlayers)
  | { readonly event: "failed"; readonly why: string; readonly goesOn: boolean };

export interface DevServerOptions {
  readonly file: string;
  readonly port: number;
  /** Modules that Node loads before the file. */
  readonly imports: readonly string[];
  readonly cwd: string;
  readonly tell: (event: DevEvent) => void;
  /** What the code writes. */
  readonly write: (text: string) => void;
}

/** An editor saves a file in several steps. */
const settleMs = 100;

/** A process for each version of the code: the next one takes over what the last one had in memory. */
export class DevServer {
  readonly #options: DevServerOptions;
  readonly #files = new Set<string>();
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #changed = new Set<string>();
  /** Names of rooms of which it is known that they keep nobody: told once, and not at each change of a file. */
  readonly #unkept = new Set<string>();
  /** Serves clients. */
  #current: ChildProcess | null = null;
  /** Loads the next version of the code, or waits for the last one's memory. */
  #next: ChildProcess | null = null;
  /** What no process has just now. */
  #disk: HandedDisk | null = null;
  #settle: NodeJS.Timeout | null = null;
  #begunMs = 0;
  #stopped: () => void = () => {};
  #isStopping = false;

  constructor(options: DevServerOptions) {
    this.#options = options;
  }

  /** Resolves once it is stopped. */
  run(): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    this.#watch(this.#options.file);
    this.#load();
    return stopped;
  }

  async stop(): Promise<void> {
    if (this.#isStopping) {
      for (const child of [this.#current, this.#next]) child?.kill("SIGKILL");
      return;
    }
    this.#isStopping = true;
    clearTimeout(this.#settle ?? undefined);
    for (const watcher of this.#watchers.values()) watcher.close();
    const children = [this.#current, this.#next].filter((child) => child !== null);
    await Promise.all(
      children.map(async (child) => {
        const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : null;
        child.kill("SIGTERM");
        await ended;
      }),
    );
    this.#stopped();
  }

  #load(): void {
    const { imports, cwd, port, file, write } = this.#options;
    this.#next?.kill("SIGKILL");
    this.#begunMs = performance.now();
    const child = startStudio("admin/dev/dev-main", {
      cwd,
      imports,
      wrote: write,
      env: {
        TESTUDO_LOG_LEVEL: "warn",
        ...process.env,
        TESTUDO_CONFIG: "none",
        TESTUDO_MEMORY: "true",
        TESTUDO_DEVELOPMENT: "true",
        TESTUDO_PORT: String(port),
      },
    });
    child.on("message", (news) => this.#hear(child, news as DevNews));
    child.on("close", (code, signal) => this.#ended(child, signal ?? `exit code ${code}`));
    this.#next = child;
    order(child, { type: "load", file });
  }

  #hear(child: ChildProcess, news: DevNews): void {
    if (news.type === "file") return this.#watch(news.path);
    if (news.type === "handed") this.#disk = news.disk;
    if (news.type === "unkept") this.#tellUnkept(news.players);
    if (child !== this.#next) return;
    if (news.type === "serving") this.#serving(child, news.lost);
    else if (news.type !== "loaded") return;
    else if (this.#current === null) order(child, { type: "start", disk: this.#disk });
    else order(this.#current, { type: "handOver" });
  }

  #serving(child: ChildProcess, lost: readonly LostRoom[]): void {
    const { tell, file, port } = this.#options;
    const isReload = this.#disk !== null;
    this.#disk = null;
    this.#next = null;
    this.#current = child;
    for (const room of lost) tell({ event: "room-lost", ...room });
    if (!isReload) return tell({ event: "serving", url: `http://localhost:${port}`, file });
    tell({
      event: "reloaded",
      ms: Math.round(performance.now() - this.#begunMs),
      changed: [...this.#changed],
    });
    this.#changed.clear();
  }

  #tellUnkept(players: readonly UnkeptPlayers[]): void {
    for (const each of players) {
      if (this.#unkept.has(each.roomName)) continue;
      this.#unkept.add(each.roomName);
      this.#options.tell({ event: "players-left", ...each });
    }
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#isStopping) return;
    const { tell } = this.#options;
    if (child === this.#next) {
      this.#next = null;
      const rooms = this.#disk === null ? "" : "; the rooms wait for code that does";
      const goesOn = this.#current !== null;
      tell({ event: "failed", why: `the code as it is now does not start (${how})${rooms}`, goesOn });
    } else if (child === this.#current) {
      this.#current = null;
      if (this.#disk !== null && this.#next !== null)
        return order(this.#next, { type: "start", disk: this.#disk });
      const why = `the server has ended by itself (${how}), and its rooms with it: change a file to start anew`;
      tell({ event: "failed", why, goesOn: false });
    }
  }

  #watch(path: string): void {
    const folder = dirname(path);
    this.#files.add(path);
    if (this.#watchers.has(folder)) return;
    const watcher = watch(folder, (_event, name) => {
      const changed = join(folder, basename(name ?? ""));
      if (this.#files.has(changed)) this.#change(changed);
    });
    this.#watchers.set(folder, watcher);
  }

  #change(path: string): void {
    if (this.#isStopping) return;
    this.#changed.add(path);
    clearTimeout(this.#settle ?? undefined);
    this.#settle = setTimeout(() => this.#load(), settleMs);
  }
}

function order(child: ChildProcess, what: DevOrder): void {
  // One that has just ended is told of by its end.
  child.send(what, () => {});
}
