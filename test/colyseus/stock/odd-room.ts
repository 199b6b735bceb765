/** A room that does an odd thing in one of its hooks, for comparisons with Colyseus itself. */
import { type Client, Room, ServerError } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";

export const OddState = schema({ n: t.number().default(0), who: t.map("string") }, "OddState");

export const oddHooks = [
  ...["onCreate", "onJoin", "onDrop", "onReconnect", "onLeave", "onDispose", "onBeforePatch"],
  ...["handler", "timer", "timestep"],
] as const;
export type OddHook = (typeof oddHooks)[number];

type Outcome = Promise<void> | void;
type Act = (room: OddRoom, client: Client | undefined) => unknown;

/** What room code may do anywhere, sensible or not. */
export const oddActs = {
  kick: (room, client) => client && room.kickClient(client.sessionId, 4_123, "out"),
  kickOther: (room, client) => {
    for (const each of room.others(client)) room.kickClient(each.sessionId, 4_010);
  },
  kickAll: (room) => {
    for (const client of [...room.clients]) room.kickClient(client.sessionId);
  },
  leave: (_room, client) => client?.leave(),
  leaveBy: (_room, client) => client?.leave(4_321, "by a code"),
  leaveTwice: (_room, client) => {
    client?.leave(4_321);
    client?.leave(4_322);
  },
  othersLeave: (room, client) => {
    for (const each of room.others(client)) each.leave(4_200);
  },
  sayAndLeave: (room, client) => {
    client?.send("last", room.state.n);
    client?.leave(4_001);
    client?.send("never", room.state.n);
  },
  disconnect: (room) => void room.disconnect(),
  disconnectBy: (room) => void room.disconnect(4_044),
  disconnectAndWait: async (room) => {
    await room.disconnect();
    room.hear("waited", null);
  },
  lock: (room) => void room.lock(),
  unlock: (room) => void room.unlock(),
  lockAndWait: async (room) => {
    await room.lock();
    room.hear("waited", room.locked);
  },
  hide: (room) => void room.setPrivate(),
  describe: (room) => void room.setMetadata({ n: room.state.n }),
  describeTwice: async (room) => {
    await room.setMetadata({ first: true });
    await room.setMetadata({ second: room.state.n });
  },
  announce: (room) => void room.setMatchmaking({ maxClients: 2, metadata: { n: 1 }, unlisted: true }),
  open: (room) => void room.setMatchmaking({ maxClients: 9, locked: false, private: false }),
  full: (room) => {
    room.maxClients = 1;
  },
  lasts: (room) => {
    room.autoDispose = false;
  },
  ends: (room) => {
    room.autoDispose = true;
  },
  broadcast: (room) => room.broadcast("odd", room.state.n),
  broadcastLate: (room) => room.broadcast("odd late", room.state.n, { afterNextPatch: true }),
  broadcastBytes: (room, client) =>
    room.broadcastBytes("odd bytes", Uint8Array.of(1, 2), client === undefined ? {} : { except: client }),
  send: (_room, client) => client?.send("odd", { deep: [1, null] }),
  sendLate: (_room, client) => client?.send("odd late", 1, { afterNextPatch: true }),
  sendBytes: (_room, client) => client?.sendBytes("odd bytes", Uint8Array.of(3)),
  sendByNumber: (_room, client) => client?.send(7, "seven"),
  err: (_room, client) => client?.error(4_999, "odd"),
  throws: () => {
    throw new Error("odd");
  },
  throwsServerError: () => {
    throw new ServerError(4_777, "odd");
  },
  rejects: () => Promise.reject(new Error("odd")),
  rejectsLater: async (room) => {
    await room.clock.duration(60);
    throw new ServerError(4_778, "odd later");
  },
  waits: async (room) => {
    await room.clock.duration(60);
    room.hear("waited", room.state.n);
    room.state.n += 100;
  },
  keep: (room, client) =>
    client && void room.allowReconnection(client, 1).catch(() => room.hear("lost", null)),
  keepAndWait: async (room, client) => {
    if (client === undefined) return;
    const back = await room.allowReconnection(client, 1);
    room.hear("kept", [back === client, back.sessionId, room.clients.includes(back)]);
  },
  keepTwice: async (room, client) => {
    if (client === undefined) return;
    const first = room.allowReconnection(client, 1);
    const second = room.allowReconnection(client, 2);
    room.hear("same", first === second);
    const [one, other] = await Promise.all([first, second]);
    room.hear("kept twice", one === other);
  },
  keepByHand: (room, client) => {
    if (client === undefined) return;
    const kept = room.allowReconnection(client, "manual");
    kept.catch(() => room.hear("lost", client.sessionId));
    // Of who has not joined yet there is no Deferred.
    room.clock.setTimeout(() => kept.reject?.(new Error("enough")), 250);
  },
  keepNobody: async (room, client) => {
    if (client === undefined) return;
    try {
      await room.allowReconnection(client, 0);
    } catch (error) {
      room.hear("refused", (error as Error).message);
    }
  },
  newState: (room) => {
    room.state = new OddState({ n: 1_000 });
  },
  patch: (room) => void room.broadcastPatch(),
  faster: (room) => {
    room.patchRate = 20;
  },
  noPatches: (room) => {
    room.patchRate = null as never;
  },
  timestep: (room) => room.setTimestep((ms) => room.hear("step", ms), 70),
  noTimestep: (room) => room.setTimestep(undefined as never),
  clears: (room) => room.clock.clear(),
  stops: (room) => room.clock.stop(),
} satisfies Record<string, Act>;
export type OddAct = keyof typeof oddActs;

export interface OddOptions {
  readonly hook?: OddHook;
  readonly act?: OddAct;
}

export class OddRoom extends Room {
  override state = new OddState();
  journal: string[] = [];
  hook: OddHook | null = null;
  act: OddAct | null = null;
  /** Once is odd enough, but for those that are called with a client. */
  left = 3;

  override onCreate(options: OddOptions): Outcome {
    this.hook = options.hook ?? null;
    this.act = options.act ?? null;
    this.setTimestep(() => this.odd("timestep"), 45);
    this.clock.setInterval(() => this.ring(), 110);
    this.onMessage("add", (client: Client, n: number) => {
      this.state.n += n;
      client.send("added", this.state.n);
      return this.odd("handler", client);
    });
    this.onMessage("ask", (client: Client, n: number) => this.odd("handler", client) ?? n);
    return this.odd("onCreate");
  }

  ring(): Outcome {
    this.state.n++;
    return this.odd("timer");
  }

  others(client: Client | undefined): Client[] {
    return this.clients.filter((each) => each !== client);
  }

  hear(what: string, about: unknown): void {
    this.journal.push(`${what} ${JSON.stringify(about) ?? ""}`);
  }

  odd(hook: OddHook, client?: Client): Outcome {
    if (this.hook !== hook || this.act === null || this.left-- <= 0) return undefined;
    this.hear("odd", [hook, this.act, this.clients.map(({ sessionId }) => sessionId)]);
    return (oddActs[this.act] as Act)(this, client) as Outcome;
  }

  override onJoin(client: Client, options: unknown, auth: unknown): Outcome {
    this.hear("onJoin", [client.sessionId, options, auth, this.clients.length]);
    // Before it has the state.
    client.send("welcome", this.clients.length);
    this.state.who.set(client.sessionId, "here");
    return this.odd("onJoin", client);
  }

  override onDrop(client: Client, code?: number): Outcome {
    this.hear("onDrop", [client.sessionId, code, this.clients.length]);
    this.state.who.set(client.sessionId, "dropped");
    if (this.hook !== "onDrop") void this.allowReconnection(client, 1).catch(() => {});
    return this.odd("onDrop", client);
  }

  override onReconnect(client: Client): Outcome {
    this.hear("onReconnect", [client.sessionId, this.clients.map(({ sessionId }) => sessionId)]);
    this.state.who.set(client.sessionId, "back");
    client.send("welcome back", this.clients.length);
    return this.odd("onReconnect", client);
  }

  override onLeave(client: Client, code?: number): Outcome {
    this.hear("onLeave", [client.sessionId, code, this.clients.length]);
    this.state.who.delete(client.sessionId);
    return this.odd("onLeave", client);
  }

  override onDispose(): Outcome {
    this.hear("onDispose", this.clients.length);
    return this.odd("onDispose");
  }

  override onBeforePatch(): Outcome {
    return this.odd("onBeforePatch");
  }
}

/** The same, and it hears of what fails. */
export class HearingOddRoom extends OddRoom {
  override onUncaughtException(error: Error, where: string): void {
    this.hear("onUncaughtException", [where, String(error.message)]);
  }
}
