import { Sprite, Texture } from "pixi.js";

const sizePx = 128;
let texture: Texture | null = null;

/** A soft round light: white in the middle, nothing at the edge. */
function glowTexture(): Texture {
  if (texture !== null) return texture;
  const canvas = document.createElement("canvas");
  canvas.width = sizePx;
  canvas.height = sizePx;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no 2D canvas");
  const half = sizePx / 2;
  const gradient = context.createRadialGradient(half, half, 0, half, half, half);
  gradient.addColorStop(0, "rgba(255,255,255,1)");
  gradient.addColorStop(0.25, "rgba(255,255,255,0.55)");
  gradient.addColorStop(0.6, "rgba(255,255,255,0.12)");
  gradient.addColorStop(1, "rgba(255,255,255,0)");
  context.fillStyle = gradient;
  context.fillRect(0, 0, sizePx, sizePx);
  texture = Texture.from(canvas);
  return texture;
}

/** @param radius world units */
export function newGlow(color: number | string, radius: number, alpha: number): Sprite {
  const sprite = new Sprite(glowTexture());
  sprite.anchor.set(0.5);
  sprite.tint = color;
  sprite.alpha = alpha;
  sprite.blendMode = "add";
  sprite.width = radius * 2;
  sprite.height = radius * 2;
  return sprite;
}
