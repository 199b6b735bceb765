/** Colours of the arena, as numbers for the canvas. `style.css` has the page's. */
export const palette = Object.freeze({
  night: 0x0b0807,
  sand: 0x4b3725,
  sandEdge: 0x1e150e,
  bronze: 0xb98545,
  gold: 0xf3c969,
  blood: 0x9c2b22,
  bloodDark: 0x4f1511,
  parchment: 0xf1e6d2,
  ember: 0xff9d4a,
});

const people = Object.freeze([
  "#5fd0e6",
  "#ff7a6b",
  "#9be36b",
  "#c79bff",
  "#ff9ecb",
  "#6ea8ff",
  "#ffb35c",
  "#5ee0b0",
  "#e9e27a",
  "#e58cff",
  "#8fd7ff",
]);
const bots = Object.freeze(["#a9927a", "#93a08c", "#a58a96", "#8d98a8"]);
const ownColor = "#f3c969";

/** Gives every ship a colour of its own: gold for the player's, quiet ones for bots, by key for the rest. */
export class Colors {
  readonly #own: string;
  readonly #given = new Map<string, string>();

  constructor(ownKey: string) {
    this.#own = ownKey;
  }

  /** A CSS colour. */
  of(key: string): string {
    if (key === this.#own) return ownColor;
    const given = this.#given.get(key);
    if (given !== undefined) return given;
    const colors = key.startsWith("bot-") ? bots : people;
    let start = 0;
    for (const letter of key) start = (start * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
    const taken = new Set(this.#given.values());
    const order = colors.map((_, step) => colors[(start + step) % colors.length] ?? ownColor);
    const color = order.find((candidate) => !taken.has(candidate)) ?? order[0] ?? ownColor;
    this.#given.set(key, color);
    return color;
  }

  /** Takes back the colours of ships that have left. */
  keep(keys: ReadonlyMap<string, unknown>): void {
    for (const key of this.#given.keys()) if (!keys.has(key)) this.#given.delete(key);
  }
}
