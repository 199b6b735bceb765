import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import type { DiskImage, SimDisk } from "./sim-disk.ts";
import type { Trace } from "./trace.ts";

const pollMs = 60;
/**
 * How often a node is started again between the image and its return. As often, and no more often, the image may be
 * started and meet nobody: then it is not told from the good disk any more.
 */
const startsSince = 2;

interface DiskDamageParts {
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly laws: Laws;
  readonly trace: Trace;
  /** Never, if the faults are over by then. */
  readonly later: (ms: number, run: () => void) => void;
  /** An empty disk is made a member instead. False: not now, the others could not go on without it. */
  readonly replaceDisk: (id: string) => boolean;
}

/** What should be on a disk, and is not: what it was before that is kept, for an operator who has a good copy. */
interface Damaged {
  readonly id: string;
  readonly disk: SimDisk;
  readonly good: DiskImage;
}

/** Disks that change behind their nodes' backs: a bit flips, or an old image takes the place of what was there. */
export class DiskDamage {
  readonly #cluster: Cluster;
  readonly #parts: DiskDamageParts;
  readonly #damaged = new Map<string, Damaged>();

  constructor(cluster: Cluster, parts: DiskDamageParts) {
    this.#cluster = cluster;
    this.#parts = parts;
  }

  /** Everybody has the disk again that it should have. */
  end(): void {
    for (const damaged of [...this.#damaged.values()]) this.#repair(damaged);
  }

  // ── a bit ────────────────────────────────────────────────────────────────────────────────────────────────────────

  flipBit(id: string): void {
    const good = this.#switchOff(id);
    if (good === null) return;
    const disk = this.#cluster.disk(id);
    const { coverage, trace, chance, later } = this.#parts;
    const what = disk.flipBit();
    if (what === null) return this.#cluster.boot(id);
    coverage.hit("bitsFlipped");
    trace.note(`${id}: a bit flips in ${what}`);
    const damaged = { id, disk, good };
    this.#damaged.set(id, damaged);
    later(chance.between(20, 300), () => this.#cluster.boot(id));
    this.#repairLater(damaged);
  }

  /** Once its node has found it, and not before. */
  #repairLater(damaged: Damaged): void {
    const { chance, later, replaceDisk } = this.#parts;
    const { id, disk } = damaged;
    later(pollMs + chance.wait(300), () => {
      if (this.#damaged.get(id) !== damaged) return;
      if (!this.#isThere(damaged)) this.#damaged.delete(id);
      else if ((!disk.wasRefused && disk.startsLeft > 0) || this.#cluster.process(id) !== null)
        this.#repairLater(damaged);
      else if (chance.hits(0.5) && replaceDisk(id)) this.#damaged.delete(id);
      else {
        this.#repair(damaged);
        this.#cluster.boot(id);
      }
    });
  }

  // ── an old image ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** One is made, and comes back once the node has been started some times since, and all others have noticed that. */
  oldImage(id: string): void {
    const old = this.#switchOff(id);
    if (old === null) return;
    const { chance, later, trace } = this.#parts;
    const disk = this.#cluster.disk(id);
    trace.note(`${id}: somebody makes an image of its disk, as of start ${old.bootCount}`);
    later(chance.between(5, 100), () => this.#cluster.boot(id));
    this.#startAgain({ id, disk, old }, startsSince);
  }

  #startAgain(image: { id: string; disk: SimDisk; old: DiskImage }, times: number): void {
    const { id, disk } = image;
    const { chance, later } = this.#parts;
    if (times === 0) return this.#bringBack(image);
    later(chance.between(200, 500), () => {
      if (this.#cluster.process(id) === null || this.#cluster.disk(id) !== disk) return;
      this.#cluster.crash(id, "killed");
      later(chance.between(5, 100), () => this.#cluster.boot(id));
      this.#startAgain(image, times - 1);
    });
  }

  #bringBack(image: { id: string; disk: SimDisk; old: DiskImage }): void {
    const { chance, coverage, later, trace } = this.#parts;
    const { id, disk, old } = image;
    later(pollMs, () => {
      const isThere = this.#cluster.nodeIds.includes(id) && this.#cluster.disk(id) === disk;
      if (!isThere || this.#damaged.has(id)) return;
      const known = this.#leastKnown(image);
      const good = known > old.bootCount + startsSince ? this.#switchOff(id) : null;
      if (good === null) return this.#bringBack(image);
      coverage.hit("oldImages");
      trace.note(`${id} gets the image of start ${old.bootCount} for that of ${good.bootCount}`);
      disk.restore(old, { isOld: true, newestBoot: known });
      const damaged = { id, disk, good };
      this.#damaged.set(id, damaged);
      later(chance.between(20, 300), () => this.#cluster.boot(id));
      this.#repairLater(damaged);
    });
  }

  /** The last start of this disk that all that may meet it remember. */
  #leastKnown({ id, old }: { id: string; old: DiskImage }): number {
    const starts = this.#cluster.nodeIds
      .filter((other) => other !== id)
      .map((other) => this.#cluster.disk(other).seen.find(({ storeId }) => storeId === old.storeId));
    return Math.min(...starts.map((start) => start?.bootCount ?? 0));
  }

  // ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns what is on its disk; null: not just now */
  #switchOff(id: string): DiskImage | null {
    const disk = this.#cluster.disk(id);
    // What was written and not acknowledged is nobody's loss, and what a power cut takes is not told from it.
    if (this.#cluster.process(id) === null || disk.isSaving || this.#damaged.has(id)) return null;
    this.#cluster.crash(id, "killed");
    return disk.image();
  }

  #isThere({ id, disk }: Damaged): boolean {
    return this.#cluster.nodeIds.includes(id) && this.#cluster.disk(id) === disk;
  }

  #repair(damaged: Damaged): void {
    const { id, disk, good } = damaged;
    this.#damaged.delete(id);
    if (!this.#isThere(damaged)) return;
    this.#cluster.crash(id, "killed");
    this.#parts.trace.note(`${id} gets its good disk back`);
    disk.restore(good, { isOld: false, newestBoot: 0 });
  }
}
