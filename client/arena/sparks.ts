import { Container, type Sprite } from "pixi.js";
import { newGlow } from "./glow.ts";

const sparksMax = 160;
/** Share of its speed that a spark has left after a second. */
const dragPerSecond = 2.6;

interface Spark {
  readonly sprite: Sprite;
  vx: number;
  vy: number;
  lifeMs: number;
  lifeMsMax: number;
  radius: number;
}

/** Sparks and flashes: for the eye only. The oldest gives way when there are too many. */
export class Sparks extends Container {
  readonly #sparks: Spark[] = [];
  #next = 0;

  constructor() {
    super();
    for (let index = 0; index < sparksMax; index += 1) {
      const sprite = newGlow(0xffffff, 8, 0);
      sprite.visible = false;
      this.addChild(sprite);
      this.#sparks.push({ sprite, vx: 0, vy: 0, lifeMs: 0, lifeMsMax: 1, radius: 8 });
    }
  }

  /** A ship is struck. */
  burst(x: number, y: number, color: string): void {
    this.#light({ x, y, vx: 0, vy: 0, radius: 120, lifeMs: 380, color: "#fff3d0" });
    for (let index = 0; index < 26; index += 1) {
      const angle = Math.random() * 2 * Math.PI;
      const speed = 90 + Math.random() * 420;
      this.#light({
        x,
        y,
        vx: Math.cos(angle) * speed,
        vy: Math.sin(angle) * speed,
        radius: 7 + Math.random() * 11,
        lifeMs: 380 + Math.random() * 520,
        color: index % 3 === 0 ? "#ffd9a0" : color,
      });
    }
  }

  /** A missile leaves. */
  flash(x: number, y: number, angle: number): void {
    this.#light({
      x: x + Math.cos(angle) * 40,
      y: y + Math.sin(angle) * 40,
      vx: 0,
      vy: 0,
      radius: 38,
      lifeMs: 130,
      color: "#ffe7b0",
    });
  }

  advance(deltaMs: number): void {
    const seconds = deltaMs / 1_000;
    for (const spark of this.#sparks) {
      if (spark.lifeMs <= 0) continue;
      spark.lifeMs -= deltaMs;
      const share = Math.max(0, spark.lifeMs / spark.lifeMsMax);
      spark.vx *= Math.max(0, 1 - dragPerSecond * seconds);
      spark.vy *= Math.max(0, 1 - dragPerSecond * seconds);
      spark.sprite.x += spark.vx * seconds;
      spark.sprite.y += spark.vy * seconds;
      spark.sprite.alpha = share;
      spark.sprite.setSize(spark.radius * 2 * (0.4 + 0.6 * share));
      spark.sprite.visible = spark.lifeMs > 0;
    }
  }

  #light(light: {
    x: number;
    y: number;
    vx: number;
    vy: number;
    radius: number;
    lifeMs: number;
    color: string;
  }): void {
    const spark = this.#sparks[this.#next];
    this.#next = (this.#next + 1) % sparksMax;
    if (spark === undefined) return;
    spark.vx = light.vx;
    spark.vy = light.vy;
    spark.radius = light.radius;
    spark.lifeMs = light.lifeMs;
    spark.lifeMsMax = light.lifeMs;
    spark.sprite.position.set(light.x, light.y);
    spark.sprite.tint = light.color;
    spark.sprite.visible = true;
  }
}
