/** A folder in which the package is installed, with projects in it. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a studio has installed beside it, as of this checkout: from npm's cache, if `npm ci` has filled it. */
const beside = [
  "@colyseus/core",
  "@colyseus/schema",
  "@colyseus/sdk",
  "@colyseus/ws-transport",
  "express",
  "tsx",
];

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export function run(file: string, args: readonly string[], cwd: string): Promise<Ran> {
  // An npm script's own settings are not for other projects.
  const { npm_config_local_prefix: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(file, args, { cwd, env, maxBuffer: 2 ** 26 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
  });
}

async function must(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, out, err } = await run(file, args, cwd);
  if (code !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${code}:\n${out}${err}`);
  return out;
}

interface Manifest {
  readonly version: string;
}

/** @returns what the tarball has */
async function installInto(folder: string): Promise<string[]> {
  const told = await must("npm", ["pack", "--json", "--pack-destination", folder], root);
  const json = JSON.parse(/^\[\n.*/ms.exec(told)?.[0] ?? "[]") as {
    filename: string;
    files: { path: string }[];
  }[];
  const tarball = json[0];
  if (tarball === undefined) throw new Error(`npm pack gave nothing: ${told}`);
  const versions = beside.map((name) => {
    const manifest = readFileSync(join(root, "node_modules", name, "package.json"), "utf8");
    return `${name}@${(JSON.parse(manifest) as Manifest).version}`;
  });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "scratch", private: true }));
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund"];
  await must("npm", ["install", ...quiet, `./${tarball.filename}`, ...versions], folder);
  return tarball.files.map(({ path }) => path);
}

export class Scratch {
  readonly folder: string;
  /** Of the tarball, below `package/`. */
  readonly packed: readonly string[];

  private constructor(folder: string, packed: readonly string[]) {
    this.folder = folder;
    this.packed = packed;
  }

  /** `npm pack`, and `npm install` of what that gave. */
  static async install(): Promise<Scratch> {
    const folder = mkdtempSync(join(tmpdir(), "testudo-package-"));
    try {
      return new Scratch(folder, await installInto(folder));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** @returns its folder */
  project(name: string, files: Readonly<Record<string, string>>): string {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
    return folder;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
