import { byId, element, setText } from "./element.ts";
import type { GapMeter } from "./gap-meter.ts";
import type { Agreement } from "./replica-seals.ts";
import type { ShotCounter } from "./shot-counter.ts";
import { clockText, countText, msText } from "./wording.ts";

const noticeMs = 6_000;
const noticesMax = 3;
/** Without a patch for so long the arena shows that it waits. */
const silenceMs = 250;

export interface HudScene {
  readonly clockMs: number;
  readonly atMs: number;
  readonly serversKilled: number;
  readonly shots: ShotCounter;
  readonly gaps: GapMeter;
  readonly roundTripMs: number | null;
  readonly agreement: Agreement;
}

/** The match clock, the counters, and what has just happened. */
export class Hud {
  readonly #clock = byId("clock");
  readonly #killed = byId("servers-killed");
  readonly #lost = byId("shots-lost");
  readonly #shotsNote = byId("shots-note");
  readonly #worst = byId("worst-gap");
  readonly #last = byId("last-gap");
  readonly #trip = byId("round-trip");
  readonly #seals = byId("agreement");
  readonly #notices = byId("notices");
  readonly #arena = byId("arena");

  show(scene: HudScene): void {
    const { shots, gaps } = scene;
    setText(this.#clock, clockText(scene.clockMs));
    setText(this.#killed, String(scene.serversKilled));
    setText(this.#lost, String(shots.lost + shots.doubled));
    setText(this.#shotsNote, `${countText(shots.acknowledged)} of ${countText(shots.shots)} confirmed`);
    setText(this.#worst, msText(gaps.worstGapMs));
    setText(this.#last, `last ${msText(gaps.lastGapMs)}`);
    setText(this.#trip, `round trip ${msText(scene.roundTripMs)}`);
    const agreement = agreementText(scene.agreement);
    setText(this.#seals, agreement);
    this.#seals.dataset["type"] = scene.agreement.type;
    this.#arena.dataset["silent"] = String(gaps.silentMs(scene.atMs) > silenceMs);
  }

  notice(text: string, kind: "fell" | "rose" | "moved" | "error"): void {
    const line = element("li", kind, text);
    this.#notices.prepend(line);
    while (this.#notices.children.length > noticesMax) this.#notices.lastElementChild?.remove();
    setTimeout(() => line.remove(), noticeMs);
  }

  /** Nothing goes on: says why, in the middle of the arena. */
  stop(text: string): void {
    const curtain = byId("curtain");
    setText(curtain, text);
    curtain.hidden = false;
  }

  start(): void {
    byId("curtain").hidden = true;
  }
}

function agreementText(agreement: Agreement): string {
  switch (agreement.type) {
    case "open":
      return "states not compared yet";
    case "equal":
      return `same state on ${agreement.replicas} servers (entry ${countText(agreement.index)})`;
    case "different":
      return `STATES DIFFER at entry ${countText(agreement.index)}`;
  }
}
