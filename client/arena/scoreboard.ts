import type { Player } from "./arena-state.ts";
import { element, setText } from "./element.ts";
import type { Colors } from "./palette.ts";

/** Who leads, by points; then by fewer shots. */
export class Scoreboard {
  readonly #host: HTMLElement;
  readonly #colors: Colors;
  readonly #ownKey: string;
  readonly #rows = new Map<string, HTMLElement>();

  constructor(host: HTMLElement, colors: Colors, ownKey: string) {
    this.#host = host;
    this.#colors = colors;
    this.#ownKey = ownKey;
  }

  /** @param numeralOf the numeral of a node's shield; "" for none */
  show(players: ReadonlyMap<string, Player>, numeralOf: (node: string) => string): void {
    for (const [key, row] of this.#rows) {
      if (players.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    const order = [...players].sort(
      ([, one], [, other]) => other.score - one.score || one.shots - other.shots,
    );
    for (const [place, [key, player]] of order.entries()) {
      const row = this.#rows.get(key) ?? this.#newRow(key);
      row.dataset["online"] = String(player.online);
      const [, name, node, score, shots] = [...row.children];
      if (name === undefined || node === undefined || score === undefined || shots === undefined) continue;
      setText(name, player.name);
      setText(node, key.startsWith("bot-") ? "bot" : player.online ? numeralOf(player.node) : "away");
      setText(score, String(player.score));
      setText(shots, String(player.shots));
      if (this.#host.children[place] !== row)
        this.#host.insertBefore(row, this.#host.children[place] ?? null);
    }
  }

  #newRow(key: string): HTMLElement {
    const dot = element("i", "dot");
    dot.style.background = this.#colors.of(key);
    const row = element(
      "li",
      key === this.#ownKey ? "own" : "",
      dot,
      element("span", "name"),
      element("span", "where"),
      element("span", "score"),
      element("span", "shots"),
    );
    row.dataset["player"] = key;
    this.#rows.set(key, row);
    return row;
  }
}
