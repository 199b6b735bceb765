import { Client, type Room } from "@colyseus/sdk";
import * as assert from "uvu/assert";
import type { Cluster } from "./cluster.ts";
import type { Journal } from "./journal.ts";
import type { Load } from "./load-process.ts";

export interface Arena {
  readonly clockMs: number;
  readonly players: {
    get(
      sessionId: string,
    ): { readonly shots: number; readonly score: number; readonly online: boolean } | undefined;
    has(sessionId: string): boolean;
    forEach(each: (player: { readonly shots: number }, sessionId: string) => void): void;
  };
}

export async function joined(url: string): Promise<Room<unknown, Arena>> {
  const room = (await new Client(url).joinOrCreate("arena", { name: "witness" })) as Room<unknown, Arena>;
  room.onMessage("*", () => {});
  if (room.state?.players === undefined)
    await new Promise<void>((resolve) => room.onStateChange.once(() => resolve()));
  return room;
}

/** Shots by seat, as somebody sees them who has just come. */
async function finalShots(url: string, journal: Journal): Promise<Map<string, number | undefined>> {
  const witness = await joined(url);
  try {
    return new Map(
      journal.players().map(({ sessionId }) => [sessionId, witness.state.players.get(sessionId)?.shots]),
    );
  } finally {
    await witness.leave();
  }
}

/** Nothing lost, nothing doubled, nobody out, no clock set back. */
export async function checkShots(
  cluster: Cluster,
  load: Load,
  ids: readonly string[] = cluster.ids,
): Promise<void> {
  await load.order("pause");
  const journal = load.journal();
  assert.equal(journal.ofType("left"), []);
  assert.equal(journal.ofType("lower"), []);
  for (const url of ids.map((id) => cluster.url(id))) {
    const shots = await finalShots(url, journal);
    for (const player of journal.players()) {
      const found = shots.get(player.sessionId);
      const told = `${player.name} on ${url}: ${found} shots, ok ${player.ok}, unknown ${player.unknown}`;
      assert.ok(player.ok > 0, told);
      assert.ok(found !== undefined && found >= player.ok && found <= player.ok + player.unknown, told);
      if (player.kind === "wrapper") {
        assert.is(player.unknown, 0, told);
        // Each shot once, and in the order in which it was fired.
        assert.equal(
          player.shots,
          Array.from(player.shots, (_, at) => at + 1),
          told,
        );
      }
    }
  }
  await load.order("resume");
}
