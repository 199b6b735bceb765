import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Of the package that this file is in: in a checkout, and built. */
export function testudoVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (!existsSync(manifest) && dirname(folder) !== folder) continue;
    return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
  }
}
