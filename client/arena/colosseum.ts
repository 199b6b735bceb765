import { Container, FillGradient, Graphics, Mesh, PlaneGeometry, type Renderer } from "pixi.js";
import { arenaRules } from "../../shared/arena/rules.ts";
import { newGlow } from "./glow.ts";
import { palette } from "./palette.ts";

const { semiAxisX: a, semiAxisY: b } = arenaRules;
const shieldsMax = 64;
const torches = 8;

/** The arena itself: sand, a ring of shields, the stands in the dark. Nothing of it moves but the torches. */
export class Colosseum extends Container {
  readonly #torches: Container[] = [];

  constructor(renderer: Renderer) {
    super();
    const ground = new Container();
    ground.addChild(stands(), floor(), emblem(), wall());
    const { x, y, width, height } = ground.getLocalBounds();
    const geometry = new PlaneGeometry({ width, height, verticesX: 2, verticesY: 2 });
    // A picture as large as the screen: the plain shader is much lighter than the one for batches of many textures.
    geometry.batchMode = "no-batch";
    const texture = renderer.generateTexture({ target: ground, resolution: 1, antialias: true });
    const picture = new Mesh({ geometry, texture });
    picture.position.set(x, y);
    this.addChild(picture);
    ground.destroy({ children: true });
    for (let torch = 0; torch < torches; torch += 1) {
      const angle = ((torch + 0.5) / torches) * 2 * Math.PI;
      const light = newGlow(palette.ember, 190, 0.2);
      light.position.set(Math.cos(angle) * (a + 22), Math.sin(angle) * (b + 22));
      const flame = newGlow(palette.gold, 26, 0.9);
      flame.position.copyFrom(light.position);
      this.#torches.push(light);
      this.addChild(light, flame);
    }
  }

  /** @param atMs the page's clock: torches flicker */
  flicker(atMs: number): void {
    for (const [index, torch] of this.#torches.entries()) {
      torch.alpha = 0.19 + 0.04 * Math.sin(atMs / 190 + index * 2.1) + 0.02 * Math.sin(atMs / 67 + index);
    }
  }
}

function stands(): Graphics {
  const graphics = new Graphics();
  for (let tier = 9; tier >= 1; tier -= 1) {
    const shade =
      [0x1c130d, 0x1a110c, 0x18100b, 0x160f0a, 0x140d09, 0x120c08, 0x100b08, 0x0e0a07, 0x0c0807][tier - 1] ??
      palette.night;
    graphics
      .ellipse(0, 0, a + 44 + tier * 26, b + 44 + tier * 26)
      .fill(shade)
      .stroke({ width: 1.5, color: 0x2a1c12, alpha: 0.8 - tier * 0.08 });
  }
  for (let step = 0; step < 96; step += 1) {
    const angle = (step / 96) * 2 * Math.PI;
    const [x, y] = [Math.cos(angle), Math.sin(angle)];
    graphics.moveTo(x * (a + 60), y * (b + 60)).lineTo(x * (a + 260), y * (b + 260));
  }
  graphics.stroke({ width: 1, color: 0x000000, alpha: 0.35 });
  return graphics;
}

function floor(): Graphics {
  const gradient = new FillGradient({
    type: "radial",
    center: { x: 0.5, y: 0.5 },
    innerRadius: 0,
    outerCenter: { x: 0.5, y: 0.5 },
    outerRadius: 0.5,
    colorStops: [
      { offset: 0, color: 0x63492f },
      { offset: 0.55, color: palette.sand },
      { offset: 0.86, color: 0x302216 },
      { offset: 1, color: palette.sandEdge },
    ],
    textureSpace: "local",
  });
  const graphics = new Graphics().ellipse(0, 0, a, b).fill(gradient);
  for (const share of [0.34, 0.67, 0.9]) {
    graphics.ellipse(0, 0, a * share, b * share).stroke({ width: 1.5, color: palette.bronze, alpha: 0.13 });
  }
  for (let spoke = 0; spoke < 24; spoke += 1) {
    const angle = (spoke / 24) * 2 * Math.PI;
    const [x, y] = [Math.cos(angle), Math.sin(angle)];
    graphics.moveTo(x * a * 0.34, y * b * 0.34).lineTo(x * a * 0.9, y * b * 0.9);
  }
  return graphics.stroke({ width: 1, color: palette.bronze, alpha: 0.06 });
}

/** The middle: a testudo seen from above, three by three shields. */
function emblem(): Graphics {
  const graphics = new Graphics();
  for (let row = -1; row <= 1; row += 1) {
    for (let column = -1; column <= 1; column += 1) {
      const x = column * 64;
      const y = row * 84;
      graphics
        .roundRect(x - 29, y - 39, 58, 78, 13)
        .fill({ color: palette.blood, alpha: 0.13 })
        .stroke({ width: 2, color: palette.bronze, alpha: 0.28 });
      graphics.circle(x, y, 9).stroke({ width: 2, color: palette.bronze, alpha: 0.3 });
      graphics
        .moveTo(x, y - 33)
        .lineTo(x, y - 12)
        .moveTo(x, y + 12)
        .lineTo(x, y + 33);
      graphics
        .moveTo(x - 23, y)
        .lineTo(x - 12, y)
        .moveTo(x + 12, y)
        .lineTo(x + 23, y);
      graphics.stroke({ width: 1.5, color: palette.bronze, alpha: 0.22 });
    }
  }
  return graphics;
}

/** Shields all around, boss by boss, along the ellipse at equal distances. */
function wall(): Container {
  const ring = new Container();
  const band = new Graphics().ellipse(0, 0, a + 22, b + 22).stroke({ width: 44, color: 0x0d0806 });
  ring.addChild(band);
  const outline: { x: number; y: number; length: number }[] = [{ x: a + 20, y: 0, length: 0 }];
  for (let step = 1; step <= 1440; step += 1) {
    const angle = (step / 1440) * 2 * Math.PI;
    const last = outline.at(-1) ?? { x: 0, y: 0, length: 0 };
    const x = Math.cos(angle) * (a + 20);
    const y = Math.sin(angle) * (b + 20);
    outline.push({ x, y, length: last.length + Math.hypot(x - last.x, y - last.y) });
  }
  const around = outline.at(-1)?.length ?? 0;
  const width = around / shieldsMax - 4;
  for (let index = 0; index < shieldsMax; index += 1) {
    const place = outline.find(({ length }) => length >= (index / shieldsMax) * around);
    if (place === undefined) continue;
    const shield = scutum(width);
    shield.position.set(place.x, place.y);
    shield.rotation = Math.atan2(place.y / (b * b), place.x / (a * a)) + Math.PI / 2;
    ring.addChild(shield);
  }
  ring.addChild(new Graphics().ellipse(0, 0, a, b).stroke({ width: 3, color: palette.bronze, alpha: 0.75 }));
  return ring;
}

function scutum(width: number): Graphics {
  const graphics = new Graphics();
  graphics
    .roundRect(-width / 2, -17, width, 34, 7)
    .fill(palette.bloodDark)
    .stroke({ width: 2, color: palette.bronze, alpha: 0.75 });
  graphics.roundRect(-width / 2 + 5, -12, width - 10, 24, 4).fill({ color: palette.blood, alpha: 0.55 });
  graphics
    .moveTo(-width / 2 + 8, 0)
    .lineTo(width / 2 - 8, 0)
    .stroke({ width: 1.5, color: palette.gold, alpha: 0.4 });
  return graphics.circle(0, 0, 5.5).fill(palette.bronze).stroke({ width: 1.5, color: 0x2a1a0c });
}
