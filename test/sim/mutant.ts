import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import type { Mode } from "./simulation.ts";

/** A planted bug: one small change of the product's text, loaded only by the simulator (see mutant-main.ts). */
export interface Mutant {
  /** Kebab-case, and unique. */
  readonly name: string;
  /** Below the repository's top. */
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What goes wrong with it: why a simulator has to notice. */
  readonly why: string;
}

/**
 * Whoever knows nothing of rooms is hunted with registers mostly, which are many more seeds a minute; of every few seeds
 * one has rooms all the same, since they make checkpoints of many parts.
 */
const roomsEvery = 4;

/** What the cluster serves while this mutant is hunted with that seed. */
export function modeOf({ file }: Mutant, seed: number): Mode {
  const isAboutRooms = file.startsWith("server/session/") || file.startsWith("server/colyseus/");
  return isAboutRooms || seed % roomsEvery === 0 ? "rooms" : "registers";
}

const top = new URL("../../", import.meta.url);

/** @throws if the change no longer fits the file: then the mutant has to be written anew, or it would prove nothing */
export function mutate(source: string, { name, file, find, replace }: Mutant): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    const what = `its text occurs ${parts.length - 1} times in ${file}, expected is once`;
    throw new Error(`the mutant "${name}" no longer fits: ${what}: ${find}`);
  }
  return parts.join(replace);
}

/** From now on the mutant's file is loaded with its bug. To be called before anything of the product is imported. */
export function plant(mutant: Mutant): { readonly isLoaded: boolean } {
  const { href } = new URL(mutant.file, top);
  const planted = { isLoaded: false };
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== href) return loaded;
      planted.isLoaded = true;
      return { ...loaded, source: mutate(Buffer.from(loaded.source as Uint8Array).toString("utf8"), mutant) };
    },
  });
  return planted;
}

export function pathOf({ file }: Mutant): string {
  return fileURLToPath(new URL(file, top));
}
