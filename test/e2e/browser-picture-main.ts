/**
 * Makes the README's picture, docs/arena.png: a page of a real cluster in the middle of a match, seconds after the
 * server that it was on was killed. `node --import ./server/colyseus/register.ts test/e2e/browser-picture-main.ts`
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, type Room } from "@colyseus/sdk";
import { ArenaPage, buildPage, openBrowser } from "./browser-page.ts";
import { palettePng } from "./browser-palette.ts";
import { type Cluster, sleep, withCluster } from "./cluster.ts";

const file = fileURLToPath(new URL("../../docs/arena.png", import.meta.url));
const size = Object.freeze({ width: 1_440, height: 900 });
const others: readonly string[] = ["Marcus", "Flavia", "Cato", "Sabina"];
/** Until everybody has scored a little. */
const playMs = 12_000;
/** The page's own words about the kill are on the screen, the fallen shield lies. */
const afterKillMs = 1_500;
const stepMs = 120;

interface Ship {
  readonly x: number;
  readonly y: number;
}

interface Arena {
  readonly players: { forEach(each: (ship: Ship, sessionId: string) => void): void };
}

// What is there where functions run that are handed to the page.
declare const document: { createElement(tag: "canvas"): Canvas };
declare function createImageBitmap(
  blob: unknown,
): Promise<{ readonly width: number; readonly height: number }>;
interface Canvas {
  width: number;
  height: number;
  getContext(kind: "2d"): {
    drawImage(image: unknown, x: number, y: number): void;
    getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray };
  };
}

await buildPage();
await withCluster({}, async (cluster) => {
  const browser = await openBrowser();
  try {
    const visitor = await ArenaPage.open(browser, size);
    await visitor.enter(cluster.url("n1"), "Livia");
    const png = await takePicture(cluster, visitor);
    mkdirSync(dirname(file), { recursive: true });
    const picture = palettePng({ ...size, rgba: await pixelsOf(png, visitor) });
    writeFileSync(file, picture);
    process.stdout.write(`${file}: ${picture.length} bytes\n`);
  } finally {
    await browser.close();
  }
});

async function takePicture(cluster: Cluster, visitor: ArenaPage): Promise<Buffer> {
  const { page } = visitor;
  const join = (name: string, at: number) =>
    new Client(cluster.url(at % 2 === 0 ? "n2" : "n3")).joinOrCreate<Arena>("arena", { name });
  const rooms = await Promise.all(others.map(join));
  const { sessionId } = await visitor.tell();
  const play = async (ms: number) => {
    const fromMs = performance.now();
    for (let step = 0; performance.now() - fromMs < ms; step++) {
      for (const [at, room] of rooms.entries()) hunt(room, at, step);
      await aim(visitor, rooms[0] as Room<unknown, Arena>, sessionId);
      await sleep(stepMs);
    }
  };
  await page.keyboard.down("Space");
  await play(playMs);
  await cluster.kill("n1");
  await page.waitForSelector('[data-node="n1"][data-life="fallen"]');
  await play(afterKillMs);
  const png = await page.screenshot();
  await Promise.all(rooms.map((room) => room.leave()));
  return png;
}

/** Flies at whoever is nearest, a little past, and fires now and then. */
function hunt(room: Room<unknown, Arena>, at: number, step: number): void {
  const prey = nearest(room.state, room.sessionId);
  if (prey === null) return;
  const angle = Math.atan2(prey.y, prey.x) + 0.5 * Math.sin(step / 8 + at * 1.7);
  room.send("steer", { angle, thrust: Math.hypot(prey.x, prey.y) > 220 ? 0.8 : 0.25 });
  // For a picture any shot will do.
  if ((step + at * 2) % 5 === 0) room.request("fire").catch(() => undefined);
}

/** The visitor's mouse points at whoever is nearest. */
async function aim({ page }: ArenaPage, room: Room<unknown, Arena>, sessionId: string): Promise<void> {
  const prey = nearest(room.state, sessionId);
  const box = await page.locator("#canvas").boundingBox();
  if (prey === null || box === null) return;
  const scale = box.width / 2_400;
  await page.mouse.move(
    box.x + box.width / 2 + (prey.own.x + prey.x) * scale,
    box.y + box.height / 2 + (prey.own.y + prey.y) * scale,
  );
}

/** From the own ship to the nearest other one. */
function nearest(state: Arena, sessionId: string): { x: number; y: number; own: Ship } | null {
  const ships = new Map<string, Ship>();
  state.players?.forEach(({ x, y }, id) => {
    ships.set(id, { x, y });
  });
  const own = ships.get(sessionId);
  if (own === undefined) return null;
  ships.delete(sessionId);
  const [found] = [...ships.values()]
    .map(({ x, y }) => ({ x: x - own.x, y: y - own.y, own }))
    .sort((a, b) => Math.hypot(a.x, a.y) - Math.hypot(b.x, b.y));
  return found ?? null;
}

/** The browser knows how to read its own pictures. */
async function pixelsOf(png: Buffer, { page }: ArenaPage): Promise<Uint8Array> {
  const pixels = await page.evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes]));
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    let text = "";
    for (let at = 0; at < data.length; at += 30_000)
      text += String.fromCharCode(...data.subarray(at, at + 30_000));
    return btoa(text);
  }, png.toString("base64"));
  return Buffer.from(pixels, "base64");
}
