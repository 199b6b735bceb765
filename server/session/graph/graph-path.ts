/** How one gets from an object to what it holds. */
export type StepType = "property" | "index" | "mapKey" | "mapValue" | "setValue";

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const keyLengthMax = 60;

/**
 * One step of a path, as one would write it: `.deck`, `["two words"]`, `[3]`, `.get("p1")`; keys and values that have
 * no such way by their place: `.keys[2]`, `.values[2]`.
 */
export function stepText(type: StepType, key: unknown): string {
  switch (type) {
    case "property":
      return identifier.test(String(key)) ? `.${String(key)}` : `[${quoted(String(key))}]`;
    case "index":
      return `[${String(key)}]`;
    case "mapKey":
      return `.keys[${String(key)}]`;
    case "setValue":
      return `.values[${String(key)}]`;
    case "mapValue":
      return `.get(${typeof key === "string" ? quoted(key) : typeof key === "object" ? "…" : String(key)})`;
  }
}

export function quoted(text: string): string {
  return JSON.stringify(text.length > keyLengthMax ? `${text.slice(0, keyLengthMax)}…` : text);
}

const stepsShownMax = 40;

/** A path of very many steps is shown by its two ends. */
export function pathText(root: string, steps: readonly string[]): string {
  if (steps.length <= stepsShownMax) return root + steps.join("");
  const half = stepsShownMax / 2;
  return `${root}${steps.slice(0, half).join("")} … ${steps.slice(-half).join("")}`;
}
