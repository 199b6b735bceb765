import type { Configuration } from "../raft/configuration.ts";
import { isQuorum, voters } from "../raft/quorum.ts";
import type { OddReplica } from "../session/divergence/odd-replica.ts";
import { failureWords } from "../session/failure.ts";
import type { Sessions } from "../session/sessions.ts";
import type { CodeSwitches } from "./code-switches.ts";
import type { Upgrade } from "./seam.ts";
import type { Trial, UpgradeTrial } from "./upgrade-trial.ts";

export const roomUpgradeLimits = Object.freeze({
  /** Rooms that are tried or brought over at once. */
  atOnceMax: 8,
  /** A room that was not at rest all the time is left alone for so long; doubled each time. */
  restlessMsMin: 1_000,
  /** One that this code cannot take over as it is now; doubled each time. */
  failedMsMin: 10_000,
  waitMsMax: 300_000,
});

interface RoomUpgradesParts {
  readonly sessions: Sessions;
  readonly switches: Pick<CodeSwitches, "bring">;
  readonly trial: Pick<UpgradeTrial, "of">;
  readonly log: Record<"info" | "error", (fields: object, message: string) => void>;
  /** Nodes with this one's code that take clients. */
  readonly sameCode: () => ReadonlySet<string>;
  readonly configuration: (group: number) => Configuration;
  /** What this node's class of that name says. */
  readonly upgradeOf: (roomName: string) => Upgrade;
}

/** One room of older code that is to come. */
interface Attempt {
  times: number;
  nextMs: number;
  isTried: boolean;
  why: string | null;
}

/**
 * Rooms whose class, in this node's code, says that it takes those of older code over. Each node tries that on a copy as soon
 * as it can. Once the group's other voters are no majority without those that have this code, one of these brings the rooms
 * over, each when it is at rest: from then on, whenever the group can agree on anything, somebody who can run the room takes
 * part. Those who merely outnumber the others that are linked just now could be cut off with the room.
 */
export class RoomUpgrades {
  readonly #parts: RoomUpgradesParts;
  readonly #attempts = new WeakMap<OddReplica, Attempt>();
  readonly #underWay = new Set<string>();

  constructor(parts: RoomUpgradesParts) {
    this.#parts = parts;
  }

  /** Why the room has not come, as far as this node knows, or does not come to life here; null: nothing is wrong. */
  whyNot(odd: OddReplica): string | null {
    return odd.failure ?? this.#attempts.get(odd)?.why ?? null;
  }

  /** A few times a second. */
  sweep(): void {
    const { machines } = this.#parts.sessions;
    for (const [group, machine] of machines.entries()) {
      let known: boolean | null = null;
      const acts = () => {
        known ??= this.#acts(group);
        return known;
      };
      for (const odd of machine.odd.all()) {
        const name = odd.foreign === null ? undefined : machine.nameOf(odd.divergence.roomId);
        if (name !== undefined && this.#parts.upgradeOf(name) === "switch") this.#look(odd, acts);
      }
    }
  }

  #look(odd: OddReplica, acts: () => boolean): void {
    const { roomId } = odd.divergence;
    const attempt = this.#attempts.get(odd) ?? { times: 0, nextMs: 0, isTried: false, why: null };
    this.#attempts.set(odd, attempt);
    if (this.#underWay.has(roomId) || this.#underWay.size >= roomUpgradeLimits.atOnceMax) return;
    if (this.#parts.sessions.nowMs() < attempt.nextMs) return;
    if (attempt.isTried && !acts()) return;
    this.#underWay.add(roomId);
    const done = acts() ? this.#bring(odd, attempt) : this.#try(odd, attempt);
    void done
      // Another version of Testudo's copy cannot even be read, perhaps.
      .catch((error: unknown) => this.#note(odd, attempt, { why: failureWords(error), fails: true }))
      .finally(() => this.#underWay.delete(roomId));
  }

  #acts(group: number): boolean {
    const configuration = this.#parts.configuration(group);
    const same = this.#parts.sameCode();
    if (isQuorum(configuration, ({ nodeId }) => !same.has(nodeId))) return false;
    const able = voters(configuration).flatMap(({ nodeId }) => (same.has(nodeId) ? nodeId : []));
    return able.sort()[0] === this.#parts.sessions.nodeId;
  }

  /** Tells early what is wrong, and what has run once is quicker when the room comes. */
  async #try(odd: OddReplica, attempt: Attempt): Promise<void> {
    const own = odd.foreign?.own ?? "";
    const trial = await this.#parts.trial.of(odd.divergence.roomId, own);
    attempt.isTried = trial.type === "works";
    this.#note(odd, attempt, { why: whyOf(trial), fails: trial.type === "fails" });
  }

  async #bring(odd: OddReplica, attempt: Attempt): Promise<void> {
    const { roomId } = odd.divergence;
    let last: Trial | null = null;
    const switched = await this.#parts.switches.bring(roomId, (trial) => {
      last = trial;
      return trial.type === "notNow" || whyOf(trial) === null;
    });
    const { from, to, tookMs } = switched;
    const why = switched.why === null || last === null ? switched.why : (whyOf(last) ?? switched.why);
    this.#note(odd, attempt, { why, fails: why !== null && (last as Trial | null)?.type === "fails" });
    if (why !== null) return;
    const what = `room ${roomId} went from code "${from}" to "${to}" in ${tookMs} ms`;
    this.#parts.log.info({ event: "room-upgraded", ...switched }, what);
  }

  #note(odd: OddReplica, attempt: Attempt, { why, fails }: { why: string | null; fails: boolean }): void {
    const { restlessMsMin, failedMsMin, waitMsMax } = roomUpgradeLimits;
    if (fails && why !== attempt.why) this.#tell(odd, why);
    attempt.why = why;
    if (why === null) {
      attempt.times = 0;
      return;
    }
    const waitMs = (fails ? failedMsMin : restlessMsMin) * 2 ** Math.min(attempt.times++, 20);
    attempt.nextMs = this.#parts.sessions.nowMs() + Math.min(waitMs, waitMsMax);
  }

  #tell({ divergence: { roomId }, foreign }: OddReplica, why: string | null): void {
    const { code: from, own: to } = foreign ?? { code: "", own: "" };
    const what = `room ${roomId} stays under code "${from}": "${to}" cannot take it over as it is: ${why}`;
    this.#parts.log.error({ event: "room-not-upgraded", roomId, from, to, why }, what);
  }
}

/** Null: nothing is in the way of a room that comes by itself. */
function whyOf(trial: Trial): string | null {
  if (trial.type !== "works") return trial.why;
  return trial.hasLeft ? leftBefore : null;
}

const leftBefore =
  "it has left this code before, and comes back only if an operator says so: testudo rooms switch";
