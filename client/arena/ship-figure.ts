import type { Sprite } from "pixi.js";
import { Container, Graphics, Text } from "pixi.js";
import type { Player } from "./arena-state.ts";
import { newGlow } from "./glow.ts";
import { palette } from "./palette.ts";

/** The hull's drawing is this much smaller than the ship. */
const drawnScale = 1.32;

/** One ship on the canvas: a shield with a spear, its flame, its name. */
export class ShipFigure extends Container {
  readonly #hull = new Container();
  readonly #flame: Container;
  readonly #aura: Sprite;
  readonly #shield: Graphics;
  readonly #label: Text;
  #name = "";

  /** @param color CSS colour. @param own the player's own ship wears a ring */
  constructor(color: string, own: boolean) {
    super();
    this.#aura = newGlow(color, own ? 98 : 72, own ? 0.36 : 0.22);
    this.#flame = flame();
    this.#shield = testudo(color);
    this.#label = new Text({
      text: "",
      style: {
        fontFamily: "Georgia, 'Palatino Linotype', serif",
        fontSize: 19,
        fill: own ? "#ffe9b8" : "#e6d9c2",
        letterSpacing: 0.5,
        dropShadow: { color: "#000000", alpha: 0.9, blur: 4, distance: 0 },
      },
      resolution: 2,
    });
    this.#label.anchor.set(0.5, 0);
    this.#label.y = 43;
    this.#hull.scale.set(drawnScale);
    this.#shield.scale.set(drawnScale);
    const body = hull(color, own);
    // Smooth edges once, in a texture, instead of over the whole canvas in every frame.
    for (const drawing of [body, this.#shield]) drawing.cacheAsTexture({ resolution: 2, antialias: true });
    this.#hull.addChild(this.#flame, body);
    this.addChild(this.#aura, this.#hull, this.#shield, this.#label);
  }

  /** @param atMs the page's clock: flames flicker. @param scale of the camera: names stay readable */
  show(
    player: Pick<Player, "x" | "y" | "angle" | "thrust" | "shielded" | "online" | "name">,
    atMs: number,
    scale: number,
  ): void {
    this.position.set(player.x, player.y);
    this.#hull.rotation = player.angle;
    const flicker = 0.85 + 0.15 * Math.sin(atMs / 23 + player.x);
    this.#flame.scale.set(player.thrust * flicker, 0.7 + 0.3 * player.thrust);
    this.#flame.alpha = player.thrust > 0.02 ? 1 : 0;
    this.#shield.visible = player.shielded;
    this.#shield.rotation = atMs / 900;
    this.#shield.alpha = 0.65 + 0.25 * Math.sin(atMs / 90);
    this.alpha = player.online ? 1 : 0.42;
    this.#label.scale.set(Math.min(1.3, 0.68 / scale));
    if (player.name !== this.#name) {
      this.#name = player.name;
      this.#label.text = player.name;
    }
  }
}

/** Seen from above: a scutum that flies spear first. It looks to the right. */
function hull(color: string, own: boolean): Graphics {
  const graphics = new Graphics();
  // The spear.
  graphics.moveTo(-4, 0).lineTo(30, 0).stroke({ width: 3.2, color: 0xd9c7a3 });
  graphics.poly([28, -5, 42, 0, 28, 5]).fill(0xf4ead6);
  // The shield, bent around its bearer.
  graphics
    .moveTo(14, -17)
    .quadraticCurveTo(22, 0, 14, 17)
    .lineTo(-13, 20)
    .quadraticCurveTo(-6, 0, -13, -20)
    .closePath();
  graphics.fill(0x2a0f0c).stroke({ width: 3.4, color, join: "round" });
  graphics
    .moveTo(10, -11)
    .quadraticCurveTo(16, 0, 10, 11)
    .lineTo(-6, 13)
    .quadraticCurveTo(-1, 0, -6, -13)
    .closePath();
  graphics.fill({ color, alpha: own ? 0.55 : 0.34 });
  graphics
    .circle(6, 0, 5.6)
    .fill(own ? palette.gold : 0xcaa670)
    .stroke({ width: 1.6, color: 0x1c0f08 });
  return graphics;
}

function flame(): Container {
  const container = new Container();
  container.x = -10;
  const outer = newGlow(palette.ember, 30, 0.95);
  outer.anchor.set(0.78, 0.5);
  outer.width = 82;
  outer.height = 32;
  const inner = newGlow(0xfff1c4, 14, 1);
  inner.anchor.set(0.72, 0.5);
  inner.width = 40;
  inner.height = 17;
  container.addChild(outer, inner);
  return container;
}

/** The shield of who has just arrived: six plates around the ship. */
function testudo(color: string): Graphics {
  const graphics = new Graphics();
  for (let plate = 0; plate < 6; plate += 1) {
    const from = ((plate + 0.09) / 6) * 2 * Math.PI;
    const to = ((plate + 0.91) / 6) * 2 * Math.PI;
    const corner = (angle: number, radius: number): [number, number] => [
      Math.cos(angle) * radius,
      Math.sin(angle) * radius,
    ];
    graphics.poly([...corner(from, 38), ...corner(from, 48), ...corner(to, 48), ...corner(to, 38)]);
  }
  return graphics.fill({ color, alpha: 0.5 }).stroke({ width: 1.5, color: palette.parchment, alpha: 0.6 });
}
