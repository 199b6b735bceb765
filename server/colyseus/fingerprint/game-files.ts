import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { type LoadedFiles, loadedFiles, sha256 } from "../preload/loaded-files.ts";

const lockFiles = [
  "package-lock.json",
  "npm-shrinkwrap.json",
  "yarn.lock",
  "pnpm-lock.yaml",
  "bun.lock",
] as const;

const digits = 12;

/** What a game is made of: nothing of it depends on where it lies, or on what was loaded first. */
export interface GameFingerprint {
  readonly hash: string;
  /** Files outside of node_modules. */
  readonly files: number;
  /** Absolute; null: there is none, and the versions of the loaded packages count. */
  readonly lockFile: string | null;
}

/**
 * @param main the program: paths count from the folder of the package.json nearest to it
 * @throws Error if nothing was loaded under the preload's eyes
 */
export function gameFingerprint(main: string, loaded: LoadedFiles = loadedFiles): GameFingerprint {
  const { files, packages } = loaded;
  if (files.size + packages.size === 0)
    throw new Error("the preload has seen no file that this game is made of");
  const folder = dirname(main);
  const root = dirname(nearest(folder, ["package.json"]) ?? main);
  const lockFile = nearest(folder, lockFiles);
  const parts = [...files].map(([path, hash]) => ["file", relative(root, path).replaceAll(sep, "/"), hash]);
  if (lockFile !== null) parts.push(["lock", sha256(readFileSync(lockFile))]);
  else parts.push(...[...packages].map(versionIn));
  const lines = new Set(parts.map((part) => JSON.stringify(part)));
  return { hash: sha256([...lines].sort().join("\n")).slice(0, digits), files: files.size, lockFile };
}

/** This process's game, as it is loaded by now. */
export function ownGame(): GameFingerprint {
  // What a compiler of its own resolves (tsx, in a CommonJS project) no hook is asked for.
  for (const path of Object.keys(createRequire(import.meta.url).cache))
    loadedFiles.note(path.replace(/\?.*$/s, ""));
  const main = mainFile();
  if (main !== null) loadedFiles.note(main);
  return gameFingerprint(main ?? join(process.cwd(), "main"));
}

function mainFile(): string | null {
  const [, main] = process.argv;
  return main !== undefined && existsSync(main) ? realpathSync(main) : null;
}

function nearest(folder: string, names: readonly string[]): string | null {
  for (const name of names) if (existsSync(join(folder, name))) return join(folder, name);
  return dirname(folder) === folder ? null : nearest(dirname(folder), names);
}

function versionIn(folder: string): string[] {
  const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  return ["package", String(name), String(version)];
}
