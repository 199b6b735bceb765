import { createHash } from "node:crypto";
import fs from "node:fs";
import { sep } from "node:path";
import { fileURLToPath } from "node:url";

// Room code may load a file late: what the preload puts in the place of these refuses there.
const { readFileSync } = fs;

const noFile = new Set(["ENOENT", "ENOTDIR", "EISDIR"]);
const installed = `${sep}node_modules${sep}`;

/** What the process has loaded: by the preload, which comes before any of it. */
export class LoadedFiles {
  /** SHA-256 of each file outside of node_modules, by absolute path: as it was when it was loaded. */
  readonly files = new Map<string, string>();
  /** The folders of installed packages. */
  readonly packages = new Set<string>();
  readonly #seen = new Set<string>();

  /** What has no file, such as a module of Node, is passed over. */
  noteUrl(url: string): void {
    if (this.#seen.has(url)) return;
    this.#seen.add(url);
    if (url.startsWith("file:")) this.note(fileURLToPath(url));
  }

  note(path: string): void {
    const at = path.lastIndexOf(installed);
    if (at >= 0) this.packages.add(packageFolder(path, at + installed.length));
    else if (!this.files.has(path)) this.#read(path);
  }

  #read(path: string): void {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      // Asked for (`import.meta.resolve`), and no file: loading it would have failed.
      if (noFile.has((error as NodeJS.ErrnoException).code ?? "")) return;
      throw error;
    }
    this.files.set(path, sha256(bytes));
  }
}

export function sha256(content: Uint8Array | string): string {
  return createHash("sha256").update(content).digest("hex");
}

function packageFolder(path: string, from: number): string {
  const [scope = "", name = ""] = path.slice(from).split(sep);
  return path.slice(0, from) + (scope.startsWith("@") ? scope + sep + name : scope);
}

const key = Symbol.for("testudo.loadedFiles");
const shared = globalThis as { [key]?: LoadedFiles };

shared[key] ??= new LoadedFiles();

/** One a process, however often this module is in it. */
export const loadedFiles: LoadedFiles = shared[key];
