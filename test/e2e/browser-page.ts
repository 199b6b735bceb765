import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import chromium from "@sparticuz/chromium";
import { type Browser, type BrowserContext, type Page, chromium as playwright } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const patienceMs = 40_000;

/** With a process for each page: one process for all, as the package means it for small machines, dies with its first page. */
const flagsLeftOut: readonly string[] = ["--single-process", "--no-zygote"];

/** dist/arena, from the sources as they are now. */
export async function buildPage(): Promise<void> {
  await promisify(execFile)(
    process.execPath,
    [join(root, "node_modules/vite/bin/vite.js"), "build", "client", "--logLevel", "warn"],
    { cwd: root },
  );
}

const flagsAdded: readonly string[] = [
  "--disable-background-networking",
  // Without a graphics card, putting the page together by WebGL costs eight times what the canvas itself does.
  "--disable-gpu-compositing",
];

export async function openBrowser(): Promise<Browser> {
  return await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: [...chromium.args.filter((flag) => !flagsLeftOut.includes(flag)), ...flagsAdded],
    headless: true,
  });
}

/** What the page tells of itself: see client/arena/debug.ts. */
interface Telling {
  readonly sessionId: string;
  readonly node: string;
  readonly clockMs: number;
  readonly patches: number;
  readonly frames: number;
  readonly score: number;
  readonly shots: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly doubt: string | null;
  readonly shotsLost: number;
  readonly shotsDoubled: number;
  readonly shotsInMatch: number;
  readonly worstGapMs: number | null;
  readonly serversKilled: number;
}

export type Told = Telling & { readonly roomId: string };

// What is there where functions run that are handed to the page: this file's own, so that no other sees a browser.
declare const window: {
  testudo: (Telling & { readonly room: { readonly roomId: string } }) | undefined;
  frames: Frames;
};
declare const document: { getElementById(id: string): { readonly hidden: boolean } | null };
declare function requestAnimationFrame(callback: () => void): void;

/** What was seen in every single frame since the page was opened. */
export interface Frames {
  readonly seen: number;
  /** Times at which the clock, the score or the shots of the match went back, in words. */
  readonly lower: readonly string[];
}

/** Runs in the page, before anything of it: looks in each frame, whoever else is drawing in it. */
function watchFrames(): void {
  const frames = { seen: 0, lower: [] as string[] };
  const last = { clockMs: 0, score: 0, shotsInMatch: 0 };
  const look = (): void => {
    requestAnimationFrame(look);
    const now = window.testudo;
    if (now === undefined) return;
    frames.seen += 1;
    for (const name of ["clockMs", "score", "shotsInMatch"] as const) {
      if (!(now[name] >= last[name])) frames.lower.push(`${name}: ${last[name]}, then ${now[name]}`);
      last[name] = now[name];
    }
  };
  requestAnimationFrame(look);
  window.frames = frames;
}

/** One visitor: a browser context of its own with the arena in it. */
export class ArenaPage {
  readonly page: Page;
  readonly #context: BrowserContext;
  /** Errors that nobody in the page caught. */
  readonly errors: string[] = [];

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context;
    this.page = page;
    page.setDefaultTimeout(patienceMs);
    page.on("pageerror", (error) => this.errors.push(String(error)));
  }

  static async open(browser: Browser, viewport: { width: number; height: number }): Promise<ArenaPage> {
    const context = await browser.newContext({ viewport });
    await context.addInitScript(watchFrames);
    return new ArenaPage(context, await context.newPage());
  }

  /** Enters the arena at a node. */
  async enter(url: string, name: string): Promise<void> {
    await this.page.goto(`${url}/?name=${name}`);
    await this.#entered();
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.#entered();
  }

  async #entered(): Promise<void> {
    await this.page.waitForFunction(
      () => (window.testudo?.patches ?? 0) > 3 && document.getElementById("curtain")?.hidden,
    );
  }

  async tell(): Promise<Told> {
    return await this.page.evaluate(() => {
      const now = window.testudo;
      if (now === undefined) throw new Error("the page has not entered");
      const { room, sessionId, node, clockMs, patches, frames, score, shots, acknowledged, unknown, doubt } =
        now;
      const { shotsLost, shotsDoubled, shotsInMatch, worstGapMs, serversKilled } = now;
      return {
        roomId: room.roomId,
        ...{ sessionId, node, clockMs, patches, frames, score, shots, acknowledged, unknown, doubt },
        ...{ shotsLost, shotsDoubled, shotsInMatch, worstGapMs, serversKilled },
      };
    });
  }

  async frames(): Promise<Frames> {
    return await this.page.evaluate(() => window.frames);
  }

  /** Waits until so many patches have come and so many frames were drawn since, on a node that is not this one. */
  async goesOn(
    since: Told,
    { patches, frames, not }: { patches: number; frames: number; not?: string },
  ): Promise<void> {
    await this.page.waitForFunction(
      ([goal, without]) => {
        const { patches, frames, node } = window.testudo ?? { patches: 0, frames: 0, node: "" };
        return patches >= goal.patches && frames >= goal.frames && node !== "" && node !== without;
      },
      [{ patches: since.patches + patches, frames: since.frames + frames }, not] as const,
    );
  }

  /** Waits until every shot of this page was answered, and gives what it told then. */
  async answered(): Promise<Told> {
    await this.page.waitForFunction(() => {
      const now = window.testudo;
      return (
        now !== undefined &&
        now.acknowledged + now.unknown === now.shots &&
        now.shotsInMatch >= now.acknowledged
      );
    });
    return await this.tell();
  }

  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).textContent()) ?? "";
  }

  /** What is drawn now. */
  async drawn(): Promise<Buffer> {
    return await this.page.locator("#canvas canvas").screenshot();
  }

  async close(): Promise<void> {
    await this.#context.close();
  }
}
