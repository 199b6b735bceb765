import { Session } from "node:inspector";
import { fileURLToPath } from "node:url";
import type { ClassLike } from "../session/graph/graph-options.ts";

interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** By where it is handed to the inspector. */
const handed = Symbol.for("testudo.handedToInspector");

/** Where a class is written, as the engine knows it; null: it does not. */
function classPlace(ofClass: object): Place | null {
  const session = new Session();
  const scripts = new Map<string, string>();
  let found: Place | null = null;
  session.connect();
  try {
    session.on("Debugger.scriptParsed", ({ params }) => scripts.set(params.scriptId, params.url));
    session.post("Debugger.enable");
    (globalThis as Record<symbol, unknown>)[handed] = ofClass;
    // Answers come before `post` returns.
    session.post(
      "Runtime.evaluate",
      { expression: 'globalThis[Symbol.for("testudo.handedToInspector")]' },
      (_, evaluated) => {
        const objectId = evaluated?.result.objectId;
        if (objectId === undefined) return;
        session.post("Runtime.getProperties", { objectId, ownProperties: true }, (_failed, properties) => {
          const location = properties?.internalProperties?.find(({ name }) => name === "[[FunctionLocation]]")
            ?.value?.value as { scriptId: string; lineNumber: number } | undefined;
          const url = scripts.get(location?.scriptId ?? "") ?? "";
          if (location === undefined || url === "") return;
          found = { file: url.startsWith("file:") ? fileURLToPath(url) : url, line: location.lineNumber + 1 };
        });
      },
    );
  } finally {
    Reflect.deleteProperty(globalThis, handed);
    session.disconnect();
  }
  return found;
}

/** `file:line` of a class, or of the first line of it, or of one that it extends, in which `word` stands. */
export function placeInClass(ofClass: ClassLike, word: RegExp | null = null): string | null {
  let own: string | null = null;
  for (
    let at: unknown = ofClass;
    typeof at === "function" && at !== Function.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    const place = classPlace(at);
    if (place === null) continue;
    if (own !== null && /[\\/]node_modules[\\/]/.test(place.file)) break;
    own ??= `${place.file}:${place.line}`;
    if (word === null) break;
    const line = Function.prototype.toString
      .call(at)
      .split("\n")
      .findIndex((text) => word.test(text));
    if (line >= 0) return `${place.file}:${place.line + line}`;
  }
  return own;
}
