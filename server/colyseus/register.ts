/**
 * The preload: `node --import testudo/register`. Replaces time and chance for code that runs inside a room's apply, and
 * forbids there what no log can repeat (design 5.4). It must come before user modules, which may capture what it
 * replaces; `testudo()` refuses to start without it.
 */
import nodeCrypto from "node:crypto";
import { registerHooks, syncBuiltinESMExports } from "node:module";
import { extname } from "node:path";
import { loadedFiles } from "./preload/loaded-files.ts";
import { guardOutside } from "./preload/outside-guard.ts";
import { replaceChance } from "./preload/room-chance.ts";
import { printOnce } from "./preload/room-lines.ts";
import { replaceMicrotasks } from "./preload/room-microtasks.ts";
import { replaceTime } from "./preload/room-time.ts";
import { replaceTimers } from "./preload/room-timer-functions.ts";

const coreIndex = /\/@colyseus\/core\/build\/index\.mjs$/;
/** `@colyseus/schema` has a copy of its own for `require()`, whose classes are no schemas to the rooms of the other one. */
const colyseus = /^(?:@colyseus\/|colyseus(?:\/|$))/;
/** What `import` resolves with: Node requires such modules, too. */
const importing = ["node", "import", "module-sync", "node-addons"];

const registered = Symbol.for("testudo.registered");

if ((globalThis as Record<symbol, unknown>)[registered] !== true) {
  (globalThis as Record<symbol, unknown>)[registered] = true;
  const own = (name: string) => new URL(`./${name}${extname(import.meta.filename)}`, import.meta.url).href;
  const [nanoidUrl, matchMakerUrl] = [own("preload/nanoid"), own("presence/room-matchmaker")];
  registerHooks({
    resolve(specifier, context, nextResolve) {
      if (specifier === "nanoid") return { url: nanoidUrl, shortCircuit: true };
      // What Colyseus gives to user code; its own modules go on with the stock one.
      if (specifier === "./MatchMaker.mjs" && coreIndex.test(context.parentURL ?? ""))
        return { url: matchMakerUrl, shortCircuit: true };
      const conditions = colyseus.test(specifier) ? importing : context.conditions;
      const found = nextResolve(specifier, { ...context, conditions });
      loadedFiles.noteUrl(found.url);
      return found;
    },
  });
  replaceTime();
  replaceChance(nodeCrypto);
  replaceTimers();
  replaceMicrotasks();
  guardOutside();
  printOnce();
  syncBuiltinESMExports();
}
