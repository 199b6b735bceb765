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

const registered = Symbol.for("testudo.registered");

if ((globalThis as Record<symbol, unknown>)[registered] !== true) {
  (globalThis as Record<symbol, unknown>)[registered] = true;
  const nanoidUrl = new URL("./nanoid.ts", import.meta.url).href;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      return specifier === "nanoid"
        ? { url: nanoidUrl, format: "module-typescript", shortCircuit: true }
        : nextResolve(specifier, context);
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
