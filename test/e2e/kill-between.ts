import { Client, type Room } from "@colyseus/sdk";
import type { Cluster } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

type Count = { readonly n: number; readonly text: string; readonly sum: number };
export type Player = Room<unknown, Count>;
export type After = () => Promise<void>;

export interface Players {
  /** On n1, which is killed: afterwards the same player on n3. */
  one: Player;
  /** On n2. */
  other: Player;
}

/** @returns what happens after the kill */
type Begin = (players: Players) => Promise<After>;

interface Begun {
  readonly players: Players;
  readonly after: After;
}

/**
 * Three real nodes and a room for each line, with stock clients on different nodes: all rooms begin, the node of half of
 * the clients is killed once for all, and each goes on.
 * @param given called with the cluster once it is planned
 */
export function killBetween(
  suite: Parameters<typeof shareCluster>[0],
  options: Parameters<typeof shareCluster>[1],
  given: (cluster: Cluster) => void,
) {
  const begins = new Map<string, Begin>();
  const begun = new Map<string, Promise<Begun>>();
  let cluster: Cluster;
  const shown = shareCluster(suite, options, (shared) => {
    cluster = shared;
    given(shared);
  });
  suite.before(async () => {
    for (const [roomName, begin] of begins) {
      const players = await enter(cluster, roomName);
      const beginning = begin(players).then((after) => ({ players, after }));
      begun.set(roomName, beginning);
      // Its own test tells.
      await beginning.catch(() => {});
    }
    await cluster.kill("n1");
    for (const beginning of begun.values())
      await beginning.then(
        ({ players }) => goOn(cluster, players),
        () => {},
      );
  });
  const ofRoom = (roomName: string) => begun.get(roomName) as Promise<Begun>;
  return {
    shown,
    /** The rooms' names, in the order of their lines. */
    roomNames: () => [...begins.keys()],
    playersOf: async (roomName: string) => (await ofRoom(roomName)).players,
    line: (name: string, roomName: string, begin: Begin): void => {
      begins.set(roomName, begin);
      shown(name, async () => {
        const { after } = await ofRoom(roomName);
        await after();
      });
    },
  };
}

/** It is told where to go: by itself the stock SDK would go back to the same address. */
export function alone(room: Room): Player {
  room.reconnection.enabled = false;
  room.onMessage("*", () => {});
  return room as Player;
}

async function enter(cluster: Cluster, roomName: string): Promise<Players> {
  const one = alone(await new Client(cluster.url("n1")).create(roomName, { name: "one" }));
  const other = alone(await new Client(cluster.url("n2")).joinById(one.roomId, { name: "other" }));
  return { one, other };
}

async function goOn(cluster: Cluster, players: Players): Promise<void> {
  players.one = alone(await new Client(cluster.url("n3")).reconnect(players.one.reconnectionToken));
}

/** Why; or what was answered in spite of it. */
export async function refused(asked: Promise<unknown>): Promise<string> {
  return await asked.then(
    (answer) => `answered ${JSON.stringify(answer)}`,
    (error: Error) => error.message,
  );
}
