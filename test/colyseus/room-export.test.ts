// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LedState } from "../../server/check/replay/led-state.ts";
import { LedSteps, reflectionOf } from "../../server/check/replay/led-steps.ts";
import type { Replayed, ReplayedEntry, ReplayNews } from "../../server/check/replay/replay-job.ts";
import { RoomReplay } from "../../server/check/replay/room-replay.ts";
import { decodeExport, encodeExport } from "../../server/colyseus/room-export/export-file.ts";
import type { ExportHeader, ExportRecord } from "../../server/colyseus/room-export/export-record.ts";
import { type ExportSource, takeExport } from "../../server/colyseus/room-export/take-export.ts";
import { encodeEnvelope } from "../../server/group/proposal-envelope.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import type { Entry } from "../../server/raft/entry.ts";
import { copyRoom } from "../../server/session/divergence/room-copy.ts";
import { noHash } from "../../server/session/divergence/room-witness.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { sessionMenu } from "../../server/session/session-menu.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { Deck, EverythingRoom } from "./everything-room.ts";
import { LedScene } from "./led-scene.ts";
import { defineTestRoom, Replica } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

await defineTestRoom("everything", EverythingRoom, { classes: [Deck], transient: ["scratch"] });

const other = "another01";

/** A room that has lived, and another one in its group that has said something, too. */
async function lived(): Promise<Scene> {
  const scene = new Scene(["A", "B"]);
  await scene.create("everything", { bias: 3 });
  await scene.value(scene.log.allocate("A", other, "everything", { bias: 4 }));
  await scene.join("stays");
  await goOn(scene);
  return scene;
}

async function goOn(scene: Scene): Promise<void> {
  const name = `p${scene.log.index}`;
  await scene.join(name, "A", { name });
  await scene.tick(60, 30);
  await scene.request(name, "fire");
  await scene.value(scene.log.call("A", other, "hold", true));
  await scene.tick(60, 30);
  await scene.drop(name, 4000);
}

/** Its group as a node has it, whose log begins behind `base`. */
function sourceOf(scene: Scene, base: number, checkpoint: Checkpoint | null = null): ExportSource {
  const entries = scene.entries.map(
    ({ index, logTimeMs, wallTimeMs, nodeId, command }): Entry => ({
      index,
      term: 1,
      type: "command",
      logTimeMs,
      wallTimeMs,
      data: encodeEnvelope({ nodeId, bootCount: 1, sequence: index }, command),
    }),
  );
  const raft = {
    base: { index: base },
    committedSince: (after: number) => (after < base ? null : entries.slice(after)),
    configurationAt: () => emptyConfiguration,
  };
  return {
    sessions: { groupOf: () => 0, machines: [scene.first.machine] } as never,
    engine: { barrier: async () => {}, log: () => raft as never, appliedIndex: () => scene.log.index },
    storage: { readCheckpoints: async () => new Map([[scene.roomId, checkpoint]]) },
    about: { clusterId: "c", nodeId: "A", takenAtMs: 0, engine: "e", testudo: "t" },
  };
}

async function exported(source: ExportSource, roomId: string): Promise<ExportRecord[]> {
  const bytes = encodeExport(await takeExport(source, roomId));
  const records: ExportRecord[] = [];
  for await (const record of decodeExport(bytes)) records.push(record);
  return records;
}

async function* each(records: readonly ExportRecord[]): AsyncGenerator<ExportRecord> {
  yield* records;
}

async function replayed(
  records: readonly ExportRecord[],
  led: LedState | null = null,
): Promise<{ replayed: Replayed; told: ReplayedEntry[] }> {
  const told: ReplayedEntry[] = [];
  const say = async (news: ReplayNews) => void (news.type === "entry" && told.push(news.entry));
  const job = { file: "", app: "", to: null, inspect: false, withState: true, otherEngine: false };
  return {
    replayed: await new RoomReplay(records[0] as ExportHeader, job, say, led).run(each(records)),
    told,
  };
}

test("[Y196] an export has what its room was told, and nothing that another room was", async () => {
  const scene = await lived();
  const records = await exported(sourceOf(scene, 0), scene.roomId);
  const entries = records.flatMap((record) => (record.type === "entries" ? record.entries : []));
  const header = records[0] as ExportHeader;
  assert.equal([header.completeFrom, header.firstIndex, header.lastIndex], ["creation", 1, scene.log.index]);
  assert.is(header.entries, entries.length);
  for (const { command } of entries)
    assert.not.match(JSON.stringify(sessionMenu.decode(command).argument), other);
  assert.ok(entries.length < scene.entries.length);
  const { replayed: result, told } = await replayed(records);
  assert.is(result.difference, null);
  assert.match(header.hash ?? "", /^[0-9a-f]{16}$/);
  assert.is(result.hash, header.hash);
  assert.ok(told.some(({ kind, changes }) => kind === "tick" && changes.length > 0));
});

test("[Y197] where the log no longer reaches back, it begins with the room's last checkpoint", async () => {
  const scene = await lived();
  const checkpoint = await inMacrotask(() => scene.first.machine.save(scene.roomId));
  assert.ok(
    checkpoint !== null && checkpoint !== "deleted",
    `${checkpoint}: ${scene.first.machine.rooms.get(scene.roomId)?.restlessBecause()}`,
  );
  await goOn(scene);
  const records = await exported(sourceOf(scene, checkpoint.index - 5, checkpoint), scene.roomId);
  const header = records[0] as ExportHeader;
  assert.equal([header.completeFrom, header.firstIndex], ["checkpoint", checkpoint.index + 1]);
  const { replayed: result } = await replayed(records);
  assert.is(result.difference, null);
  assert.match(header.hash ?? "", /^[0-9a-f]{16}$/);
  assert.is(result.hash, header.hash);
  const lost = takeExport(sourceOf(scene, checkpoint.index + 1, checkpoint), scene.roomId);
  assert.match(await codeOf(lost), "EXPORT_OUTRUN");
});

test("[Y198] a state that comes out otherwise is told where it is compared", async () => {
  const scene = await lived();
  const records = await exported(sourceOf(scene, 0), scene.roomId);
  const header = { ...(records[0] as ExportHeader), hash: "0123456789abcdef" };
  const { replayed: result } = await replayed([header, ...records.slice(1)]);
  assert.is(result.equal, false);
  assert.match(
    result.difference ?? "",
    /at the end, entry \d+, the room had the hash 0123456789abcdef; here/,
  );
});

/** A under v1, which `lived` is played on, and B under v2. */
async function livedUnder(code: string): Promise<Scene> {
  const scene = new Scene([]);
  for (const [nodeId, own] of Object.entries({ A: "v1", B: "v2" }))
    scene.replicas.push(new Replica(nodeId, 1, { code: own }));
  await scene.value(scene.log.allocate("A", scene.roomId, "everything", { bias: 3 }, { code }));
  await scene.value(scene.log.allocate("A", other, "everything", { bias: 4 }, { code }));
  await scene.join("stays");
  await goOn(scene);
  return scene;
}

test("[Y175] an export says under which code its room ran, and is replayed under that", async () => {
  const scene = await livedUnder("v1");
  const records = await exported(sourceOf(scene, 0), scene.roomId);
  const header = records[0] as ExportHeader;
  assert.equal([header.code, header.completeFrom], ["v1", "creation"]);
  const { replayed: result } = await replayed(records);
  assert.is(result.difference, null);
  assert.match(header.hash ?? "", /^[0-9a-f]{16}$/);
  assert.is(result.hash, header.hash);
});

test("[Y175] of a room that has gone on under other code it begins with the checkpoint under that, or is refused", async () => {
  const scene = await livedUnder("v1");
  const [old, fresh] = ["A", "B"].map((nodeId) => scene.node(nodeId)) as [Replica, Replica];
  const before = await inMacrotask(() => old.machine.save(scene.roomId));
  assert.is(await scene.value(scene.log.next("A", "switchCode", { roomId: scene.roomId, to: "v2" })), null);
  const wish = { roomId: scene.roomId, index: 0, hash: noHash, notBefore: 0, code: "v2" };
  const copied = await inMacrotask(() => copyRoom(old.machine, wish));
  assert.is(copied.type, "copied");
  const { checkpoint } = copied as { checkpoint: Checkpoint };
  assert.equal(await inMacrotask(() => fresh.machine.heal(scene.roomId, checkpoint)), { type: "healed" });
  scene.replicas.shift();
  await scene.tick(60, 30);
  for (const saved of [null, before as Checkpoint])
    assert.is(await codeOf(takeExport(sourceOf(scene, 0, saved), scene.roomId)), "HISTORY_GONE");
  const since = await inMacrotask(() => fresh.machine.save(scene.roomId));
  await scene.tick(60, 30);
  const records = await exported(sourceOf(scene, 0, since as Checkpoint), scene.roomId);
  const header = records[0] as ExportHeader;
  assert.equal([header.code, header.completeFrom], ["v2", "checkpoint"]);
  const { replayed: result } = await replayed(records);
  assert.is(result.difference, null);
  assert.is(result.hash, header.hash);
});

test("[Y199] records that do not fit together are refused", async () => {
  const scene = await lived();
  const records = await exported(sourceOf(scene, 0), scene.roomId);
  for (const wrong of [
    records.slice(1),
    [records[0] as ExportRecord, ...records],
    records.filter(({ type }) => type !== "entries"),
    [{ ...(records[0] as ExportHeader), completeFrom: "checkpoint" as const }, ...records.slice(1)],
  ]) {
    const read = async () => {
      for await (const _ of decodeExport(encodeExport(each(wrong))));
    };
    assert.is(await codeOf(read()), "EXPORT_DAMAGED");
  }
});

const TavernState = schema(
  { songs: t.number().default(0), guests: t.map(schema({ gold: t.number() }, "Guest")) },
  "TavernState",
);

/** What only its leader's node may do; a replay that ran it would throw. */
let mayRun = true;
class TavernRoom extends Room<{ state: InstanceType<typeof TavernState> }> {
  override messages = {
    sing: (_client: Client, songs: number) => {
      this.state.songs += songs;
      this.broadcast("sung", [songs]);
    },
    end: () => this.disconnect(),
  };
  constructor() {
    super();
    if (!mayRun) throw new Error("the room's code was run again");
  }
  override onCreate(): void {
    this.state = new TavernState();
  }
}

await defineTestRoom("tavern", TavernRoom, { run: "leader" });

/** As a replay finds it: in the first step that tells a client of it. */
function reflectionIn(records: readonly ExportRecord[]): Uint8Array | null {
  const steps = new LedSteps();
  for (const record of records)
    for (const { command } of record.type === "entries" ? record.entries : []) {
      const { name, argument } = sessionMenu.decode(command);
      const step = name === "step" ? steps.take(argument as never) : null;
      const found = step === null ? null : reflectionOf(step);
      if (found !== null) return found;
    }
  return null;
}

test("[C91] a room that its leader ran: a replay shows what each step came to, its state too, and runs none of its code", async () => {
  const scene = new LedScene();
  await scene.create("tavern");
  await scene.join("one", "A");
  await scene.send("one", "sing", 2);
  await scene.tick(60, 3);
  await scene.lead("B");
  await scene.send("one", "sing", 5);
  await scene.tick(60, 3);
  const saved = (await inMacrotask(() => scene.first.machine.save(scene.roomId))) as Checkpoint;
  await scene.join("two", "B");
  await scene.send("two", "sing", 10);
  await scene.passes(100);
  await scene.tick(60, 3);
  await scene.lead(null);
  const records = await exported(sourceOf(scene, 0), scene.roomId);
  const since = await exported(sourceOf(scene, saved.index - 1, saved), scene.roomId);
  const header = records[0] as ExportHeader;
  assert.is((since[0] as ExportHeader).completeFrom, "checkpoint");
  mayRun = false;
  for (const part of [records, since]) {
    const reflection = reflectionIn(part);
    const led = LedState.from(reflection, TavernRoom);
    const { replayed: result, told } = await replayed(part, led);
    assert.is(result.difference, null);
    assert.match(header.hash ?? "", /^[0-9a-f]{16}$/);
    assert.is(result.hash, header.hash);
    assert.equal(result.state, { songs: 17, guests: {} });
    const steps = told.filter(({ kind }) => kind === "step");
    const last = steps.find(({ what }) => what.includes('"sung" [10] to 2'));
    assert.ok(last, steps.map(({ what }) => what).join("\n"));
    const changes = steps.flatMap((step) => step.changes);
    assert.equal(changes.filter((change) => change.startsWith("songs: ")).at(-1), "songs: 7 → 17");
  }
  assert.is(LedState.from(null, TavernRoom), null, "nothing says what the state is made of");
  mayRun = true;
});

async function codeOf(asked: Promise<unknown>): Promise<string> {
  return await asked.then(
    () => "none",
    (error: { code?: string }) => error.code ?? String(error),
  );
}

test.run();
