/** Rooms as a studio writes them, before it has heard of Testudo. */
import { createRequire } from "node:module";
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { z } from "zod";

const Arena = schema({ x: t.map("number"), round: t.number().default(0) }, "StudioArena");

export class ArenaRoom extends Room<{ state: InstanceType<typeof Arena> }> {
  override maxClients = 8;
  override state = new Arena();

  override onCreate(): void {
    this.onMessage(
      "move",
      z.object({ dx: z.int().min(-5).max(5), fast: z.boolean().optional() }),
      (client, { dx }) => {
        this.state.x.set(client.sessionId, (this.state.x.get(client.sessionId) ?? 0) + dx);
      },
    );
    this.onMessage("roll", (client) => client.send("rolled", 1 + Math.floor(Math.random() * 6)));
    this.setTimestep(() => this.state.round++, 50);
  }
  override onJoin(client: Client): void {
    this.state.x.set(client.sessionId, 0);
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 20);
  }
  override onLeave(client: Client): void {
    this.state.x.delete(client.sessionId);
  }
}

class Card {
  suit = "hearts";
}
class Deck {
  cards = [new Card()];
}

/** Keeps objects of its own classes, and a worker's kind of thing that it can make anew. */
export class DeckRoom extends Room {
  deck = new Deck();
  require: unknown = null;
  discarded: Card[] = [];

  override onCreate(): void {
    this.require = { resolve: createRequire(import.meta.url) };
    this.onMessage("draw", () => {
      const card = this.deck.cards.pop();
      if (card !== undefined) this.discarded.push(card);
    });
  }
}

let rounds = 0;

/** Counts over all rooms of the process. */
export class ChangeRoom extends Room {
  round = 0;

  override onCreate(): void {
    this.onMessage("next", () => {
      this.round = ++rounds;
    });
  }
}
