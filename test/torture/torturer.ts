import { rmSync } from "node:fs";
import type { Cluster } from "../e2e/cluster.ts";
import { sleep, until } from "../e2e/cluster.ts";
import { flagOf, testudo, toNode } from "../e2e/testudo-process.ts";
import type { Chance } from "../sim/chance.ts";
import type { Wire } from "./wire.ts";

export const torments = [
  "kill",
  "killLeader",
  "killTwo",
  "killAll",
  "freeze",
  "freezeLeader",
  "minority",
  "isolateLeader",
  "oneSided",
  "bridge",
  "flapping",
  "resets",
  "rolling",
  "lostDisk",
  "leaveAndReturn",
] as const;

export type Torment = (typeof torments)[number];

export interface TorturerParts {
  readonly cluster: Cluster;
  readonly wire: Wire;
  readonly chance: Chance;
  /** The nodes that are members now. */
  readonly members: () => readonly string[];
  readonly launch: (id: string) => void;
}

/** What is done to a real cluster: each ends with everything healed and every process running, not yet recovered. */
export class Torturer {
  readonly #parts: TorturerParts;

  constructor(parts: TorturerParts) {
    this.#parts = parts;
  }

  /** @returns what was done, in words */
  async inflict(torment: Torment): Promise<string> {
    const { chance } = this.#parts;
    switch (torment) {
      case "kill":
        return await this.#kill([this.#any()]);
      case "killLeader":
        return await this.#kill([await this.#leader()]);
      case "killTwo":
        return await this.#kill(this.#some(2));
      case "killAll":
        return await this.#kill(this.#members);
      case "freeze":
        return await this.#freeze(this.#any());
      case "freezeLeader":
        return await this.#freeze(await this.#leader());
      case "minority":
        return await this.#split(this.#some(2), "both sides of a split");
      case "isolateLeader":
        return await this.#split([await this.#leader()], "an isolated leader");
      case "oneSided":
        return await this.#oneSided(chance.hits(0.5) ? await this.#leader() : this.#any());
      case "bridge":
        return await this.#bridge();
      case "flapping":
        return await this.#flap(this.#any());
      case "resets":
        return await this.#reset();
      case "rolling":
        return await this.#roll();
      case "lostDisk":
        return await this.#loseDisk(this.#any());
      case "leaveAndReturn":
        return await this.#leaveAndReturn(this.#some(chance.hits(0.5) ? 1 : 2));
    }
  }

  get #members(): readonly string[] {
    return this.#parts.members();
  }

  #any(): string {
    return this.#parts.chance.pick(this.#members);
  }

  #some(count: number): readonly string[] {
    const left = [...this.#members];
    return Array.from(
      { length: count },
      () => left.splice(this.#parts.chance.below(left.length), 1)[0] as string,
    );
  }

  /** The leader of some group; any node, if nobody says. */
  async #leader(): Promise<string> {
    const { cluster, chance } = this.#parts;
    const status = await cluster.status(this.#any());
    const leaders = (status?.groups ?? []).flatMap(({ leader }) => leader ?? []);
    const known = leaders.filter((leader) => this.#members.includes(leader));
    return known.length === 0 ? this.#any() : chance.pick(known);
  }

  async #kill(ids: readonly string[]): Promise<string> {
    const { cluster, chance, launch } = this.#parts;
    for (const id of ids) cluster.process(id).signal("SIGKILL");
    for (const id of ids) await cluster.process(id).ended;
    const downMs = chance.hits(0.5) ? 0 : chance.between(100, 1_500);
    await sleep(downMs);
    for (const id of ids) launch(id);
    return `kill -9 of ${ids.join(", ")}, down for ${downMs.toFixed(0)} ms`;
  }

  async #freeze(id: string): Promise<string> {
    const { cluster, chance } = this.#parts;
    const ms = chance.between(300, 5_000);
    const process = cluster.process(id);
    process.signal("SIGSTOP");
    await sleep(ms);
    process.signal("SIGCONT");
    return `SIGSTOP of ${id} for ${ms.toFixed(0)} ms`;
  }

  async #split(few: readonly string[], what: string): Promise<string> {
    const { wire, chance } = this.#parts;
    const ms = chance.between(500, 5_000);
    const many = this.#members.filter((id) => !few.includes(id));
    for (const one of few) {
      for (const other of many) {
        wire.cut(one, other);
        wire.cut(other, one);
      }
    }
    await sleep(ms);
    wire.healAll();
    return `${what}: ${few.join(", ")} from ${many.join(", ")} for ${ms.toFixed(0)} ms`;
  }

  async #oneSided(id: string): Promise<string> {
    const { wire, chance } = this.#parts;
    const ms = chance.between(500, 4_000);
    const isDeaf = chance.hits(0.5);
    for (const other of this.#members) {
      if (other === id) continue;
      if (isDeaf) wire.cut(other, id);
      else wire.cut(id, other);
    }
    await sleep(ms);
    wire.healAll();
    return `${id} ${isDeaf ? "hears" : "reaches"} nobody for ${ms.toFixed(0)} ms`;
  }

  /** Two sides that do not see each other, and one node that sees both. */
  async #bridge(): Promise<string> {
    const { wire, chance } = this.#parts;
    const ms = chance.between(500, 5_000);
    const [bridge = "", ...rest] = this.#some(this.#members.length);
    const left = rest.slice(0, Math.floor(rest.length / 2));
    const right = rest.slice(left.length);
    for (const one of left) {
      for (const other of right) {
        wire.cut(one, other);
        wire.cut(other, one);
      }
    }
    await sleep(ms);
    wire.healAll();
    return `${bridge} sees ${left.join(", ")} and ${right.join(", ")}, which do not see each other, for ${ms.toFixed(0)} ms`;
  }

  async #flap(id: string): Promise<string> {
    const { wire, chance } = this.#parts;
    const times = 4 + chance.below(8);
    for (let time = 0; time < times; time++) {
      for (const other of this.#members) {
        if (other === id) continue;
        wire.cut(id, other);
        wire.cut(other, id);
      }
      await sleep(chance.between(30, 400));
      wire.healAll();
      await sleep(chance.between(30, 400));
    }
    return `${id} came and went ${times} times`;
  }

  async #reset(): Promise<string> {
    const { wire } = this.#parts;
    const [one = "", ...others] = this.#some(this.#members.length);
    for (const other of others) wire.drop(one, other);
    return `all links of ${one} reset`;
  }

  /** As a deploy does it: one node after the other is stopped cleanly, started again, and waited for. */
  async #roll(): Promise<string> {
    const { cluster, launch } = this.#parts;
    for (const id of this.#members) {
      const { code, signal } = await cluster.process(id).end("SIGTERM");
      if (code !== 0) throw new Error(`${id} was asked to stop and ended with ${signal ?? code}`);
      launch(id);
      await cluster.ready(this.#members);
    }
    return "a rolling restart";
  }

  async #loseDisk(id: string): Promise<string> {
    const { cluster } = this.#parts;
    await cluster.kill(id);
    await this.#startEmpty(id);
    return `${id} lost its disk, and was made a member with its new one${await this.#change("add", [id])}`;
  }

  async #leaveAndReturn(ids: readonly string[]): Promise<string> {
    const { cluster } = this.#parts;
    const removing = await this.#change("remove", ids);
    for (const id of ids) {
      const { code, signal } = await cluster.process(id).ended;
      if (code !== 4) throw new Error(`${id} was removed and ended with ${signal ?? code}`);
      await this.#startEmpty(id);
    }
    const adding = await this.#change("add", ids);
    return `${ids.join(", ")} removed${removing} and added again${adding}`;
  }

  /** As a node that knows its cluster, and waits to be made a member. */
  async #startEmpty(id: string): Promise<void> {
    const { cluster, launch } = this.#parts;
    rmSync(flagOf(cluster, id, "data"), { recursive: true });
    launch(id);
    const { lines } = cluster.process(id);
    await until(`${id} waits`, () => lines.some((line) => line.includes('"not-a-member"')));
  }

  /** Asked of one who stays. Half-way a leader may be killed. @returns that in words, or nothing */
  async #change(how: "add" | "remove", ids: readonly string[]): Promise<string> {
    const { cluster, chance, launch } = this.#parts;
    const asked = chance.pick(this.#members.filter((id) => !ids.includes(id)));
    const words = ids.map((id) => (how === "add" ? `${id}=127.0.0.1:${cluster.planOf(id).peerPort}` : id));
    const running = testudo("members", how, ...words, "--wait", "100", ...toNode(cluster, asked));
    let killed = "";
    if (chance.hits(0.5)) {
      await sleep(chance.between(0, 1_500));
      const leader = await this.#leader();
      if (leader !== asked && !cluster.process(leader).isOver) {
        await cluster.kill(leader);
        launch(leader);
        killed = ` (${leader} killed meanwhile)`;
      }
    }
    const { code, err } = await running;
    if (code !== 0) throw new Error(`members ${how} ${words.join(" ")} ended with ${code}: ${err}`);
    return killed;
  }
}
