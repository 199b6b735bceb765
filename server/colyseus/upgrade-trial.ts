import { codesOf, upgradable } from "../session/code-switch.ts";
import { inMacrotask } from "../session/macrotask.ts";
import type { RoomMarks } from "../session/room-mark.ts";
import type { RoomWatch } from "../session/room-watch.ts";
import type { Sessions } from "../session/sessions.ts";

/** Whether this node's code takes over a room of another code as it is now. */
export type Trial =
  /** `hasLeft`: it has run under this node's code before. */
  | { readonly type: "works"; readonly hasLeft: boolean }
  /** It was not at rest, or nobody who has it has answered. */
  | { readonly type: "notNow"; readonly why: string }
  | { readonly type: "fails"; readonly why: string };

interface UpgradeTrialParts {
  readonly sessions: Sessions;
  readonly watch: RoomWatch;
  readonly marks: RoomMarks;
  /** Why this node's code cannot bring such a checkpoint to life; null: it can. In a macrotask. */
  readonly failure: (checkpoint: Uint8Array) => string | null;
}

/**
 * Brings a copy of a room to life under this node's code, its `onUpgrade` included, beside everything that is agreed: what
 * fails here would have the room stand still once it is switched.
 */
export class UpgradeTrial {
  readonly #parts: UpgradeTrialParts;

  constructor(parts: UpgradeTrialParts) {
    this.#parts = parts;
  }

  /** @param own this node's code */
  async of(roomId: string, own: string): Promise<Trial> {
    const { sessions, watch, marks, failure } = this.#parts;
    const group = sessions.groupOf(roomId) ?? 0;
    const mark = marks.of(roomId);
    if (mark?.act === "upgrade")
      return {
        type: "fails",
        why: `an earlier start of this node did not come back from a trial: ${mark.why}`,
      };
    const copied = await sessions.divergences.trialCopy(group, roomId).catch((error: Error) => error);
    if (copied instanceof Error) return { type: "notNow", why: copied.message };
    const { code, left } = codesOf(copied.bytes);
    if (code === own) return { type: "notNow", why: "it has been switched, and is on its way" };
    return await inMacrotask((): Trial => {
      watch.begin({ group, roomId, act: "upgrade", index: copied.index });
      try {
        const why = failure(upgradable(copied.bytes, own));
        if (why !== null) return { type: "fails", why };
        return { type: "works", hasLeft: left.includes(own) };
      } finally {
        watch.end();
      }
    });
  }
}
