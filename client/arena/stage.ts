import { Application, Container, type WebGLRenderer } from "pixi.js";
import type { Missile } from "../../shared/arena/missile.ts";
import type { Player } from "./arena-state.ts";
import { type View, viewOf } from "./camera.ts";
import { Colosseum } from "./colosseum.ts";
import { newGlow } from "./glow.ts";
import { Minimap } from "./minimap.ts";
import { type Colors, palette } from "./palette.ts";
import { ShipFigure } from "./ship-figure.ts";
import { Sparks } from "./sparks.ts";
import type { Frame } from "./timeline.ts";

/** A ship that is this far from where it was a frame ago was struck and came back elsewhere. */
const jump = 90;

/** Where no graphics card draws but the processor, it shall have time left for the servers on the same machine. */
const softwareFramesPerSecondMax = 20;
const softwareNames = /swiftshader|llvmpipe|software|basic render/i;

/** The canvas: draws one frame after the other, and knows nothing of where they come from. */
export class Stage {
  readonly #app: Application;
  readonly #colors: Colors;
  readonly #ownKey: string;
  readonly #world = new Container();
  readonly #colosseum: Colosseum;
  readonly #missiles = new Container();
  readonly #ships = new Container();
  readonly #sparks = new Sparks();
  readonly #minimap = new Minimap();
  readonly #figures = new Map<string, { figure: ShipFigure; x: number; y: number }>();
  readonly #bolts = new Map<string, Container>();
  #view: View = { scale: 1, x: 0, y: 0, whole: true };

  static async open(host: HTMLElement, colors: Colors, ownKey: string): Promise<Stage> {
    const app = new Application();
    await app.init({
      resizeTo: host,
      background: palette.night,
      antialias: false,
      autoDensity: true,
      resolution: Math.min(2, window.devicePixelRatio),
      preference: "webgl",
    });
    app.canvas.setAttribute("aria-label", "The arena");
    host.append(app.canvas);
    if (isSoftware(app)) app.ticker.maxFPS = softwareFramesPerSecondMax;
    return new Stage(app, colors, ownKey);
  }

  private constructor(app: Application, colors: Colors, ownKey: string) {
    this.#app = app;
    this.#colors = colors;
    this.#ownKey = ownKey;
    this.#colosseum = new Colosseum(app.renderer);
    this.#world.addChild(this.#colosseum, this.#missiles, this.#ships, this.#sparks);
    app.stage.addChild(this.#world, this.#minimap);
  }

  get canvas(): HTMLCanvasElement {
    return this.#app.canvas;
  }

  /** Calls back once a frame, before it is drawn. */
  onFrame(callback: (deltaMs: number) => void): void {
    this.#app.ticker.add((ticker) => callback(ticker.deltaMS));
  }

  /** A point of the page (CSS pixels) in the world. */
  toWorld(clientX: number, clientY: number): { x: number; y: number } {
    const box = this.#app.canvas.getBoundingClientRect();
    return {
      x: (clientX - box.left - this.#view.x) / this.#view.scale,
      y: (clientY - box.top - this.#view.y) / this.#view.scale,
    };
  }

  flash(x: number, y: number, angle: number): void {
    this.#sparks.flash(x, y, angle);
  }

  draw(frame: Frame, atMs: number, deltaMs: number): void {
    const focus = frame.players.get(this.#ownKey) ?? { x: 0, y: 0 };
    this.#view = viewOf(this.#app.screen, focus);
    this.#world.scale.set(this.#view.scale);
    this.#world.position.set(this.#view.x, this.#view.y);
    this.#colosseum.flicker(atMs);
    this.#drawShips(frame.players, atMs);
    this.#drawMissiles(frame.missiles);
    this.#sparks.advance(deltaMs);
    this.#minimap.visible = !this.#view.whole;
    if (this.#minimap.visible)
      this.#minimap.show(frame.players, this.#colors, this.#ownKey, this.#app.screen.width);
  }

  #drawShips(players: ReadonlyMap<string, Player>, atMs: number): void {
    for (const [key, { figure }] of this.#figures) {
      if (players.has(key)) continue;
      figure.destroy({ children: true });
      this.#figures.delete(key);
    }
    for (const [key, player] of players) {
      const color = this.#colors.of(key);
      const known = this.#figures.get(key);
      const drawn = known ?? {
        figure: new ShipFigure(color, key === this.#ownKey),
        x: player.x,
        y: player.y,
      };
      if (known === undefined) {
        this.#figures.set(key, drawn);
        this.#ships.addChild(drawn.figure);
      } else if (player.shielded && Math.hypot(player.x - drawn.x, player.y - drawn.y) > jump) {
        this.#sparks.burst(drawn.x, drawn.y, color);
      }
      drawn.x = player.x;
      drawn.y = player.y;
      drawn.figure.show(player, atMs, this.#view.scale);
    }
  }

  #drawMissiles(missiles: ReadonlyMap<string, Missile>): void {
    for (const [id, bolt] of this.#bolts) {
      if (missiles.has(id)) continue;
      bolt.destroy({ children: true });
      this.#bolts.delete(id);
    }
    for (const [id, missile] of missiles) {
      let bolt = this.#bolts.get(id);
      if (bolt === undefined) {
        bolt = newBolt(this.#colors.of(missile.owner));
        this.#bolts.set(id, bolt);
        this.#missiles.addChild(bolt);
      }
      bolt.position.set(missile.x, missile.y);
      bolt.rotation = missile.angle;
    }
  }
}

function isSoftware(app: Application): boolean {
  const { gl } = app.renderer as WebGLRenderer;
  const info = gl?.getExtension("WEBGL_debug_renderer_info") ?? null;
  return info !== null && softwareNames.test(String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)));
}

/** A pilum in flight. */
function newBolt(color: string): Container {
  const bolt = new Container();
  const trail = newGlow(color, 10, 1);
  trail.anchor.set(0.82, 0.5);
  trail.width = 120;
  trail.height = 18;
  const shaft = newGlow(0xffffff, 10, 1);
  shaft.width = 86;
  shaft.height = 12;
  bolt.addChild(trail, shaft);
  return bolt;
}
