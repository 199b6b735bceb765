import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";

/** Of the project that a folder belongs to; null: it belongs to none. (Node's findPackageJSON takes a file for it then.) */
function manifestOf(folder: string): string | null {
  const manifest = join(folder, "package.json");
  if (existsSync(manifest)) return manifest;
  const parent = dirname(folder);
  return parent === folder ? null : manifestOf(parent);
}

/** Whether Node takes the file for CommonJS. */
export function isCommonJs(file: string): boolean {
  if (/\.[cm][jt]s$/.test(file)) return extname(file).startsWith(".c");
  const manifest = manifestOf(dirname(file));
  if (manifest === null) return true;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { type?: unknown }).type !== "module";
}
