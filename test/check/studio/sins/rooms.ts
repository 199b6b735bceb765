/** Rooms with what studios write without a second thought. */
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { Bank, lobbyBus, shuffled } from "./services.ts";

const Points = schema({ n: t.number().default(0), names: t.map("string") }, "SinPoints");
type Points = InstanceType<typeof Points>;

/** 1. The time of the module's load, and chance that was captured there. */
const startedAt = Date.now();
const { random } = Math;
export class CapturedRoom extends Room<{ state: Points }> {
  override state = new Points();
  override onCreate(): void {
    this.onMessage("age", () => {
      this.state.n = Date.now() - startedAt;
    });
    this.onMessage("roll", (client) => client.send("rolled", random()));
  }
}

/** 2. A loop by a real timer. */
export class LoopRoom extends Room<{ state: Points }> {
  override state = new Points();
  loop: NodeJS.Timeout | null = null;
  override onCreate(): void {
    this.loop = setInterval(() => {
      this.state.n++;
    }, 100);
  }
  override onDispose(): void {
    if (this.loop !== null) clearInterval(this.loop);
  }
}

/** 3. fetch as somebody joins. */
export class FetchingRoom extends Room<{ state: Points }> {
  override state = new Points();
  override async onJoin(client: Client): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:1/players/${client.sessionId}`);
    this.state.names.set(client.sessionId, String(answer.status));
  }
}

/** 4. A table that all rooms of the process share. */
const bestOf = new Map<string, number>();
export class SharedTableRoom extends Room<{ state: Points }> {
  override state = new Points();
  override onCreate(): void {
    this.onMessage("score", (client) => {
      const best = (bestOf.get("all") ?? 0) + 1;
      bestOf.set("all", best);
      this.state.n = best;
      client.send("best", best);
    });
  }
}

/** 5. Objects with closures in their fields. */
class Ability {
  name: string;
  cast: (room: Room) => void;
  constructor(name: string, cast: (room: Room) => void) {
    this.name = name;
    this.cast = cast;
  }
}
export class AbilityRoom extends Room<{ state: Points }> {
  override state = new Points();
  abilities = new Map<string, Ability>();
  override onJoin(client: Client): void {
    this.abilities.set(client.sessionId, new Ability("dash", () => this.state.n++));
  }
  override onLeave(client: Client): void {
    this.abilities.delete(client.sessionId);
  }
  override onCreate(): void {
    this.onMessage("cast", (client) => this.abilities.get(client.sessionId)?.cast(this));
  }
}

/** 6. A service that asks a database, by a connection that is open already. */
export class BankRoom extends Room<{ state: Points }> {
  override state = new Points();
  gold = 0;
  bank = Bank.instance;
  override onCreate(): void {
    this.onMessage("deposit", async (client: Client) => {
      this.gold = await this.bank.deposit(client.sessionId, 5);
    });
  }
}

/** 7. Helpers, and an event emitter for its own systems. */
export class EventsRoom extends Room<{ state: Points }> {
  override state = new Points();
  bus = new EventEmitter();
  order: string[] = [];
  override onCreate(): void {
    this.bus.on("scored", (by: number) => {
      this.state.n += by;
    });
    this.onMessage("score", () => this.bus.emit("scored", 2));
    this.onMessage("deal", () => {
      this.order = shuffled(["a", "b", "c", "d"]);
      this.state.names.set("first", this.order[0] as string);
    });
  }
}

/** 8. Handlers that sleep. */
export class SleepingRoom extends Room<{ state: Points }> {
  override state = new Points();
  override onCreate(): void {
    this.onMessage("slow", async () => {
      await sleep(50);
      this.state.n++;
    });
    this.onMessage("slower", async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      this.state.n++;
    });
  }
}

/** 9. Clients in loops, with properties of their own, and picked out into fields; handlers that are registered as people join. */
export class ClientsRoom extends Room<{ state: Points }> {
  override state = new Points();
  alive: Client[] = [];
  override onJoin(client: Client): void {
    Object.assign(client, { team: this.clients.length % 2 === 0 ? "red" : "blue" });
    this.alive = this.clients.filter((each) => each !== client);
    this.onMessage("ready", () => {
      this.state.n++;
    });
  }
  override onCreate(): void {
    this.onMessage("tell", (client) => {
      const other = this.clients.find((each) => each.sessionId !== client.sessionId);
      for (const each of this.clients) each.send("team", (each as { team?: string }).team);
      other?.send("you", this.alive.length);
    });
  }
}

/** The same as it should be. */
export class TeamsRoom extends Room<{ state: Points }> {
  override state = new Points();
  alive: Client[] = [];
  override onJoin(client: Client): void {
    Object.assign(client, { team: this.clients.length % 2 === 0 ? "red" : "blue" });
    this.alive = this.clients.filter((each) => each !== client);
  }
  override onCreate(): void {
    this.onMessage("tell", (client) => {
      for (const each of this.clients) each.send("team", (each as { team?: string }).team);
      this.state.names.set(client.sessionId, String((client as { team?: string }).team));
      this.state.n = this.alive.length;
    });
  }
}

/** 10. Files, a bus of the process, and a serializer of its own. */
export class LevelRoom extends Room<{ state: Points }> {
  override state = new Points();
  level: unknown = null;
  override onCreate(): void {
    this.level = JSON.parse(readFileSync(new URL("./level.json", import.meta.url), "utf8"));
  }
}
export class BusRoom extends Room<{ state: Points }> {
  override state = new Points();
  override onCreate(): void {
    lobbyBus.on("season", () => {
      this.state.n++;
    });
    this.onMessage("season", () => lobbyBus.emit("season"));
  }
}
export class OwnSerializerRoom extends Room {
  round = 0;
  override onCreate(): void {
    this.setSerializer({
      id: "mine",
      reset() {},
      getFullState: () => new Uint8Array(),
      applyPatches: () => false,
    } as never);
    this.onMessage("next", () => {
      this.round++;
    });
  }
}
