/**
 * The preload: `node --import testudo/register`. Replaces time and chance for code that runs inside a room's apply, and
 * forbids there what no log can repeat (design 5.4). It must come before user modules, which may capture what it
 * replaces; `testudo()` refuses to start without it.
 */
import nodeCrypto from "node:crypto";
import { registerHooks, syncBuiltinESMExports } from "node:module";
import { guardOutside } from "./outside-guard.ts";
import { replaceChance } from "./room-chance.ts";
import { printOnce } from "./room-lines.ts";
import { replaceMicrotasks } from "./room-microtasks.ts";
import { replaceTime } from "./room-time.ts";
import { replaceTimers } from "./room-timer-functions.ts";

const coreIndex = /\/@colyseus\/core\/build\/index\.mjs$/;
const registered = Symbol.for("testudo.registered");

if ((globalThis as Record<symbol, unknown>)[registered] !== true) {
  (globalThis as Record<symbol, unknown>)[registered] = true;
  const nanoidUrl = new URL("./nanoid.ts", import.meta.url).href;
  const matchMakerUrl = new URL("./room-matchmaker.ts", import.meta.url).href;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const own = (url: string) => ({ url, format: "module-typescript", shortCircuit: true });
      if (specifier === "nanoid") return own(nanoidUrl);
      // What Colyseus gives to user code; its own modules go on with the stock one.
      if (specifier === "./MatchMaker.mjs" && coreIndex.test(context.parentURL ?? ""))
        return own(matchMakerUrl);
      return nextResolve(specifier, context);
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
