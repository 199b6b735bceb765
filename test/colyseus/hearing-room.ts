/** A room that listens, in a scene whose nodes each have a keeper: whoever uses it says what is agreed, and when. */
import { type Client, Room } from "@colyseus/core";
import * as assert from "uvu/assert";
import { NewsKeeper } from "../../server/colyseus/presence/news-keeper.ts";
import { type NewsBatch, newsMethod } from "../../server/colyseus/presence/room-news.ts";
import type { LoggedPresence } from "../../server/colyseus/presence/shared-presence.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { same, turns } from "./asking-room.ts";
import { callingScene, SharedPresence, toldAs, usePresence } from "./calling-room.ts";
import { defineTestRoom, type Replica } from "./machine-harness.ts";
import type { Scene } from "./scene.ts";

export class HearingRoom extends Room {
  heard: unknown[] = [];
  kept: ((news: unknown) => void) | undefined;
  onField = (news: unknown) => this.note("field", news);

  override async onCreate() {
    this.autoDispose = false;
    await this.presence.subscribe("news", (news: unknown) => this.note("created", news));
    await this.presence.subscribe("named", this.onNamed);
    this.onMessage(
      "named",
      (_client, channel: string) => void this.presence.subscribe(channel, this.onNamed),
    );
    this.onMessage("closure", async () => {
      const loose = (news: unknown) => this.note("closure", news);
      await this.presence.subscribe("loose", loose);
      this.clock.setTimeout(() => this.presence.unsubscribe("loose", loose), 500);
    });
    this.onMessage("quiet", (_client, channel: string) => this.presence.unsubscribe(channel));
    this.onMessage("slow", (_client, channel: string) => void this.presence.subscribe(channel, this.onSlow));
    await this.presence.subscribe("field", this.onField);
    this.kept = (news: unknown) => this.note("kept", news);
    await this.presence.subscribe("field", this.kept);
    this.onMessage("unfield", () => this.presence.unsubscribe("field", this.onField));
    this.onMessage("unkeep", () => this.presence.unsubscribe("field", this.kept as never));
    this.onMessage("unname", () => this.presence.unsubscribe("news", this.onNamed));
    this.onMessage("many", async (client, times: number) => {
      for (let time = 0; time < times; time++)
        await this.presence
          .subscribe(`many${time}`, this.onNamed)
          .catch((e) => client.send("told", toldAs(e)));
    });
    this.onMessage("wrong", async (client) => {
      for (const [channel, callback] of [
        ["$lobby", this.onNamed],
        ["", this.onNamed],
        ["x".repeat(257), this.onNamed],
        ["news", undefined],
      ] as const)
        await this.presence
          .subscribe(channel, callback as never)
          .catch((error) => client.send("told", toldAs(error)));
    });
  }

  onNamed(news: unknown) {
    if (news === "fails") throw new Error("no such news");
    this.note("named", news);
  }

  async onSlow(news: string) {
    await this.clock.duration(100);
    this.note("slow", news);
  }

  note(how: string, news: unknown) {
    this.heard.push([how, news, Math.random()]);
    this.broadcast(how, news);
  }

  override onDrop(client: Client) {
    this.allowReconnection(client, 60);
  }
}

await defineTestRoom("hearing", HearingRoom);

/** Numbers what is published on each channel, and keeps it. */
export class LoggingPresence extends SharedPresence implements LoggedPresence {
  readonly logs = new Map<string, unknown[]>();

  log(channel: string): unknown[] {
    const log = this.logs.get(channel) ?? [];
    this.logs.set(channel, log);
    return log;
  }

  override publish(channel: string, message: unknown) {
    this.log(channel).push(message);
    this.subscriptions.emit(channel, message, this.log(channel).length);
    return this;
  }

  async subscribeFrom(
    channel: string,
    after: number | null,
    callback: (message: unknown, position: number) => void,
  ): Promise<number> {
    const log = this.log(channel);
    const began = after ?? log.length;
    this.subscriptions.on(channel, callback);
    for (const [at, message] of log.entries()) if (at >= began) callback(message, at + 1);
    return began;
  }
}

export interface Told {
  readonly roomId: string;
  readonly batch: NewsBatch;
  readonly agreed: () => void;
  readonly refused: (error: Error) => void;
}

/** What a node has of it: its keeper, and what that wants to have agreed. */
export class Ear {
  readonly replica: Replica;
  readonly told: Told[] = [];
  readonly errors: Record<string, unknown>[] = [];
  readonly keeper: NewsKeeper;

  constructor(replica: Replica, presence: SharedPresence) {
    this.replica = replica;
    const note = (fields: object) => this.errors.push(fields as Record<string, unknown>);
    this.keeper = new NewsKeeper({
      machines: [replica.machine],
      presence: () => presence,
      leadTerm: () => replica.leadsTerm,
      tell: (roomId, batch) =>
        new Promise((resolve, reject) => {
          this.told.push({ roomId, batch, agreed: () => resolve(null), refused: reject });
        }),
      later: (act) => setImmediate(act),
      log: { warn: note, error: note },
    });
    replica.programs.onSubscribed(() => this.keeper.subscribed());
  }
}

export async function hearing(presence: SharedPresence): Promise<{ scene: Scene; ears: Map<string, Ear> }> {
  await usePresence(presence);
  const scene = await callingScene("hearing");
  const ears = new Map(scene.replicas.map((replica) => [replica.nodeId, new Ear(replica, presence)]));
  await tend(ears);
  return { scene, ears };
}

export async function tend(ears: ReadonlyMap<string, Ear>): Promise<void> {
  for (const ear of ears.values()) await inMacrotask(() => ear.keeper.tend());
  await turns();
}

/** What the nodes have heard is committed. */
export async function agree(scene: Scene, ears: ReadonlyMap<string, Ear>): Promise<void> {
  for (;;) {
    await turns();
    const told = [...ears].flatMap(([nodeId, ear]) =>
      ear.told.splice(0).map((each) => ({ nodeId, ...each })),
    );
    if (told.length === 0) return;
    for (const { nodeId, roomId, batch, agreed } of told) {
      await scene.apply(scene.log.call(nodeId, roomId, newsMethod, batch));
      agreed();
    }
  }
}

export function heard(scene: Scene): unknown[] {
  const [first, ...others] = scene.replicas.map(({ nodeId }) => scene.room<HearingRoom>(nodeId).heard);
  for (const other of others) assert.equal(other, first);
  same(scene);
  return (first ?? []).map((each) => (each as unknown[]).slice(0, 2));
}
