import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import type { Mode } from "./simulation.ts";

/** One small change of the product's text. */
export interface Change {
  /** Below the repository's top. */
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** A planted bug, loaded only by the simulator (see mutant-main.ts). */
export interface Mutant extends Change {
  /** Kebab-case, and unique. */
  readonly name: string;
  /** Where one thing is looked after twice: what takes the other one away. */
  readonly also?: Change;
  /** If only one of them can tell. */
  readonly mode?: Mode;
  /** What goes wrong with it: why a simulator has to notice. */
  readonly why: string;
}

/**
 * Whoever knows nothing of rooms is hunted with registers mostly, which are many more seeds a minute; of every few seeds
 * one has rooms all the same, since they make checkpoints of many parts.
 */
const roomsEvery = 4;

/** What the cluster serves while this mutant is hunted with that seed. */
export function modeOf({ file, mode }: Mutant, seed: number): Mode {
  if (mode !== undefined) return mode;
  if (file.startsWith("server/menu/lock") || file.startsWith("server/menu/kv")) return "keeper";
  const isAboutRooms = file.startsWith("server/session/") || file.startsWith("server/colyseus/");
  return isAboutRooms || seed % roomsEvery === 0 ? "rooms" : "registers";
}

const top = new URL("../../", import.meta.url);

export function changesOf(mutant: Mutant): readonly Change[] {
  return mutant.also === undefined ? [mutant] : [mutant, mutant.also];
}

/** @throws if the change no longer fits the file: then the mutant has to be written anew, or it would prove nothing */
export function mutate(name: string, source: string, { file, find, replace }: Change): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    const what = `its text occurs ${parts.length - 1} times in ${file}, expected is once`;
    throw new Error(`the mutant "${name}" no longer fits: ${what}: ${find}`);
  }
  return parts.join(replace);
}

/** From now on the mutant's files are loaded with its bug. To be called before anything of the product is imported. */
export function plant(mutant: Mutant): { readonly isLoaded: boolean } {
  const changes = new Map(changesOf(mutant).map((change) => [new URL(change.file, top).href, change]));
  const loaded = new Set<string>();
  registerHooks({
    load(url, context, nextLoad) {
      const module = nextLoad(url, context);
      const change = changes.get(url);
      if (change === undefined) return module;
      loaded.add(url);
      const source = Buffer.from(module.source as Uint8Array).toString("utf8");
      return { ...module, source: mutate(mutant.name, source, change) };
    },
  });
  return {
    get isLoaded() {
      return loaded.size === changes.size;
    },
  };
}

export function pathOf({ file }: Change): string {
  return fileURLToPath(new URL(file, top));
}
