import { Container, Graphics } from "pixi.js";
import { arenaRules } from "../../shared/arena/rules.ts";
import type { Player } from "./arena-state.ts";
import { type Colors, palette } from "./palette.ts";

/** Pixels a world unit. */
const scale = 0.062;

/** The whole arena, small, for where the camera shows only a part of it. */
export class Minimap extends Container {
  readonly #dots = new Graphics();

  constructor() {
    super();
    const ground = new Graphics().ellipse(0, 0, arenaRules.semiAxisX * scale, arenaRules.semiAxisY * scale);
    ground
      .fill({ color: palette.night, alpha: 0.62 })
      .stroke({ width: 1.5, color: palette.bronze, alpha: 0.8 });
    this.addChild(ground, this.#dots);
  }

  /** @param width of the screen in pixels: the map hangs at its right, below the round trip */
  show(players: ReadonlyMap<string, Player>, colors: Colors, ownKey: string, width: number): void {
    this.position.set(width - arenaRules.semiAxisX * scale - 12, arenaRules.semiAxisY * scale + 30);
    this.#dots.clear();
    for (const [key, { x, y }] of players) {
      this.#dots.circle(x * scale, y * scale, key === ownKey ? 3.6 : 2.6).fill(colors.of(key));
    }
  }
}
