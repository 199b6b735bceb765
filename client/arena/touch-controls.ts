import type { Controls } from "./controls.ts";

/** How far the stick's knob goes, in CSS pixels. */
const reachPx = 46;
/** Nearer to the middle than this share nothing happens. */
const deadZone = 0.16;

/** A stick on the left and a fire button on the right, for thumbs. Shown where the pointer is coarse. */
export function attachTouchControls(
  stick: HTMLElement,
  knob: HTMLElement,
  button: HTMLElement,
  controls: Controls,
): void {
  let finger: number | null = null;

  const follow = (event: PointerEvent): void => {
    const box = stick.getBoundingClientRect();
    const x = event.clientX - (box.left + box.width / 2);
    const y = event.clientY - (box.top + box.height / 2);
    const length = Math.hypot(x, y);
    const share = Math.min(1, length / reachPx);
    const drawn = length === 0 ? 0 : (share * reachPx) / length;
    knob.style.transform = `translate(${x * drawn}px, ${y * drawn}px)`;
    if (share > deadZone) controls.stick({ angle: Math.atan2(y, x), thrust: share });
  };
  const letGo = (event: PointerEvent): void => {
    if (event.pointerId !== finger) return;
    finger = null;
    knob.style.transform = "";
    controls.stick(null);
  };

  stick.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    finger = event.pointerId;
    stick.setPointerCapture(event.pointerId);
    follow(event);
  });
  stick.addEventListener("pointermove", (event) => {
    if (event.pointerId === finger) follow(event);
  });
  stick.addEventListener("pointerup", letGo);
  stick.addEventListener("pointercancel", letGo);

  button.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    button.setPointerCapture(event.pointerId);
    controls.trigger("button", true);
  });
  for (const end of ["pointerup", "pointercancel"] as const)
    button.addEventListener(end, () => controls.trigger("button", false));
}
