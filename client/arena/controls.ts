import { wrapAngle } from "../../shared/arena/geometry.ts";

/** Keys turn the ship so fast, in radians a second. */
const keyTurnPerSecond = 4.6;
/** Held fire repeats so often. */
const firePeriodMs = 190;

const turnKeys: Readonly<Record<string, number>> = Object.freeze({
  ArrowLeft: -1,
  KeyA: -1,
  ArrowRight: 1,
  KeyD: 1,
});
const thrustKeys: ReadonlySet<string> = new Set(["ArrowUp", "KeyW"]);
const fireKeys: ReadonlySet<string> = new Set(["Space", "Enter"]);

/** Who steers now: the last one that was touched. */
type Helm = "keys" | "pointer" | "stick";

/** Keyboard, pointer and virtual stick, as one wish: where to point, how hard to push, whether to fire. */
export class Controls {
  readonly #held = new Set<string>();
  #helm: Helm = "keys";
  #angle = 0;
  #thrust = 0;
  #pointer: { clientX: number; clientY: number } | null = null;
  #pointerThrusts = false;
  #triggers = new Set<string>();
  /** Fire was pressed and let go again before a frame could see it. */
  #tapped = false;
  #nextShotMs = 0;

  constructor(surface: HTMLElement) {
    window.addEventListener("keydown", (event) => this.#key(event, true));
    window.addEventListener("keyup", (event) => this.#key(event, false));
    window.addEventListener("blur", () => this.#release());
    surface.addEventListener("pointermove", (event) => this.#aim(event));
    surface.addEventListener("pointerdown", (event) => this.#press(event, true));
    window.addEventListener("pointerup", (event) => this.#press(event, false));
    surface.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  get thrust(): number {
    if (this.#helm === "stick") return this.#thrust;
    if ([...thrustKeys].some((key) => this.#held.has(key))) return 1;
    return this.#helm === "pointer" && this.#pointerThrusts ? 1 : 0;
  }

  get angle(): number {
    return this.#angle;
  }

  /** The ship was put elsewhere and looks there now. */
  face(angle: number): void {
    if (this.#helm !== "pointer") this.#angle = angle;
  }

  /** @param ship where the player's ship is drawn. @param toWorld from the page's pixels into the world */
  advance(
    deltaMs: number,
    ship: { readonly x: number; readonly y: number },
    toWorld: (clientX: number, clientY: number) => { x: number; y: number },
  ): void {
    const turn = Object.entries(turnKeys).reduce(
      (sum, [key, way]) => sum + (this.#held.has(key) ? way : 0),
      0,
    );
    if (turn !== 0) {
      this.#helm = "keys";
      this.#angle = wrapAngle(this.#angle + Math.sign(turn) * keyTurnPerSecond * (deltaMs / 1_000));
    } else if (this.#helm === "pointer" && this.#pointer !== null) {
      const target = toWorld(this.#pointer.clientX, this.#pointer.clientY);
      this.#angle = Math.atan2(target.y - ship.y, target.x - ship.x);
    }
  }

  /** Is a shot due? Asks again after `firePeriodMs` while fire is held. */
  takeShot(atMs: number): boolean {
    const wanted = this.#tapped || this.#triggers.size > 0;
    if (!wanted || atMs < this.#nextShotMs) return false;
    this.#tapped = false;
    this.#nextShotMs = atMs + firePeriodMs;
    return true;
  }

  /** @param push 0 to 1; null: the stick was let go, the ship keeps its direction */
  stick(push: { readonly angle: number; readonly thrust: number } | null): void {
    this.#helm = "stick";
    this.#thrust = push === null ? 0 : push.thrust;
    if (push !== null) this.#angle = push.angle;
  }

  /** @param trigger which of several: `button`, a key, the pointer */
  trigger(trigger: string, held: boolean): void {
    if (held) {
      this.#triggers.add(trigger);
      this.#tapped = true;
    } else {
      this.#triggers.delete(trigger);
    }
  }

  #key(event: KeyboardEvent, held: boolean): void {
    const { code } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target instanceof HTMLButtonElement;
    if (fireKeys.has(code) && !onButton) {
      event.preventDefault();
      if (!event.repeat) this.trigger(code, held);
    } else if (code in turnKeys || thrustKeys.has(code)) {
      event.preventDefault();
      if (held) this.#held.add(code);
      else this.#held.delete(code);
      if (held && this.#helm === "stick") this.#helm = "keys";
    }
  }

  #aim(event: PointerEvent): void {
    if (event.pointerType === "touch") return;
    this.#helm = "pointer";
    this.#pointer = { clientX: event.clientX, clientY: event.clientY };
  }

  #press(event: PointerEvent, held: boolean): void {
    if (event.pointerType === "touch") return;
    if (held) this.#aim(event);
    if (event.button === 0) this.trigger("pointer", held);
    if (event.button === 2) this.#pointerThrusts = held;
  }

  #release(): void {
    this.#held.clear();
    this.#triggers.clear();
    this.#pointerThrusts = false;
    this.#thrust = 0;
  }
}
