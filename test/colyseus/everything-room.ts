/** A room that uses everything which a replicated room may use, for tests of restoring and of equality. */
import { type Client, type Delayed, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";

export const Hero = schema(
  { name: t.string(), x: t.number(), hits: t.number(), bag: t.array("string"), online: t.boolean() },
  "Hero",
);
type Hero = InstanceType<typeof Hero>;
export const Field = schema(
  {
    round: t.number(),
    heroes: t.map(Hero),
    scores: t.map("number"),
    order: t.array(Hero),
    notes: t.array("string"),
    leader: t.ref(Hero).optional(),
  },
  "Field",
);

export class Deck {
  cards = [1, 2, 3, 4, 5];
  drawn = new Map<string, number[]>();

  draw(sessionId: string): number {
    const at = Math.floor(Math.random() * this.cards.length);
    const [card = 0] = this.cards.splice(at, 1);
    this.cards.push(card + 5);
    const hand = this.drawn.get(sessionId) ?? [];
    hand.push(card);
    this.drawn.set(sessionId, hand);
    return card;
  }
}

export class EverythingRoom extends Room<{ state: InstanceType<typeof Field> }> {
  override state = new Field();
  override maxClients = 4;
  deck = new Deck();
  byClient = new Map<Client, number>();
  tags = new Set<unknown>();
  counts: Record<string, number> = {};
  favourite: Hero | null = null;
  benched: Hero[] = [];
  onHold = false;
  loop: { self?: unknown; list: unknown[] } = { list: [] };
  pulse: Delayed | null = null;
  alarm: Delayed | null = null;
  late: unknown;
  readonly helper = (n: number) => n + 1;

  override onCreate(options: { bias?: number }) {
    this.counts["bias"] = options.bias ?? 0;
    this.state.round = Math.floor(Math.random() * 100);
    this.loop.self = this.loop;
    this.setTimestep((deltaMs) => this.step(deltaMs), 50);
    this.clock.setTimeout(() => this.note("one second"), 1_000);
    this.pulse = this.clock.setInterval(() => this.note(`pulse ${Math.random()}`), 330);
    this.clock.setInterval((word: string) => this.note(word), 700, "seven");
    this.onMessage("fire", (client) => this.fire(client));
    this.onMessage("draw", (client) => this.deck.draw(client.sessionId));
    this.onMessage("think", async (client, ms: number) => {
      await this.clock.duration(ms);
      this.fire(client);
      await Promise.resolve();
      this.note(`thought ${Date.now()}`);
    });
    this.onMessage("throw", () => {
      this.counts["thrown"] = (this.counts["thrown"] ?? 0) + 1;
      throw new Error("thrown");
    });
    this.onMessage("reject", async () => {
      await Promise.resolve();
      throw new Error("rejected");
    });
    this.onMessage("alarm", (client, ms: number) => {
      this.alarm?.clear();
      this.alarm = this.clock.setTimeout(this.ring, ms, client.sessionId, { at: Date.now() });
    });
    this.onMessage("repeat", (client, ms: number) => this.clock.setInterval(this.again, ms, client));
    this.onMessage("closure", (client, ms: number) => {
      this.clock.setTimeout(() => this.note(`closure of ${client.sessionId}`), ms);
    });
    this.onMessage("pulse", (_client, what: "pause" | "resume" | "clear" | "reset") => this.pulse?.[what]());
    this.onMessage("lock", () => this.lock());
    this.onMessage("unlock", () => this.unlock());
    this.onMessage("meta", (_client, n: number) => this.setMetadata({ n, at: Date.now() }));
    this.onMessage("seats", (_client, n: number) => {
      this.maxClients = n;
    });
    this.onMessage("kick", (client) => {
      const other = this.clients.find((each) => each !== client);
      if (other !== undefined) this.kickClient(other.sessionId, 4000);
    });
    this.onMessage("go", (client, code: number) => client.leave(code));
    this.onMessage("say", (client, text: string) => {
      this.broadcast("said", [client.sessionId, text], { except: client });
      client.send("you said", text);
    });
    this.onMessage("bench", (client) => this.bench(client));
    this.onMessage("field", (_client, value: unknown) => {
      this.late = value;
    });
    this.onMessage("unfield", () => {
      delete this.late;
    });
    this.onMessageBytes("raw", async (_client, bytes: Uint8Array) => {
      await this.clock.duration(60);
      this.note(`raw ${bytes.length}`);
    });
  }

  override async onJoin(client: Client, options: { name?: string; slow?: boolean }) {
    if (options.slow === true) await this.clock.duration(90);
    const hero = new Hero();
    hero.name = options.name ?? client.sessionId;
    hero.x = Math.random() * 100;
    hero.hits = 0;
    hero.online = true;
    this.state.heroes.set(client.sessionId, hero);
    this.state.scores.set(client.sessionId, 0);
    this.state.order.push(hero);
    this.state.leader ??= hero;
    this.favourite = hero;
    this.byClient.set(client, this.byClient.size);
    this.tags.add(hero);
    this.tags.add(client);
    client.userData = { joinedAt: Date.now(), hero };
  }

  override async onDrop(client: Client) {
    const hero = this.state.heroes.get(client.sessionId);
    if (hero !== undefined) hero.online = false;
    if (client.sessionId.endsWith("w")) {
      try {
        const back = await this.allowReconnection(client, 2);
        this.note(`${back.sessionId} is back, seen by the hook`);
      } catch {
        this.note(`${client.sessionId} never came back`);
      }
      return;
    }
    if (!client.sessionId.endsWith("x")) this.allowReconnection(client, 1.5);
  }

  override onReconnect(client: Client) {
    const hero = this.state.heroes.get(client.sessionId);
    if (hero !== undefined) hero.online = true;
    this.note(`${client.sessionId} is back`);
  }

  override async onLeave(client: Client, code?: number) {
    if (code === 4000 && client.sessionId.endsWith("w")) await this.clock.duration(40);
    const hero = this.state.heroes.get(client.sessionId);
    if (hero === undefined) return;
    this.state.heroes.delete(client.sessionId);
    this.state.scores.delete(client.sessionId);
    const at = this.state.order.indexOf(hero);
    if (at >= 0) this.state.order.splice(at, 1);
    if (this.state.leader === hero) this.state.leader = this.state.order[0];
    if (this.favourite === hero) this.favourite = null;
    this.tags.delete(hero);
    for (const [each] of this.byClient) if (each.sessionId === client.sessionId) this.byClient.delete(each);
    for (const tag of this.tags) if ((tag as Client).sessionId === client.sessionId) this.tags.delete(tag);
    this.benched = this.benched.filter((each) => each !== hero);
    this.note(`${client.sessionId} left with ${code}`);
  }

  note(text: string): void {
    this.state.notes.push(text);
    if (this.state.notes.length > 12) this.state.notes.shift();
    this.counts["notes"] = (this.counts["notes"] ?? 0) + 1;
    this.loop.list = [this.counts, this.counts];
  }

  step(deltaMs: number): void {
    if (this.onHold) return;
    this.state.round++;
    for (const [sessionId, hero] of this.state.heroes) {
      if (!hero.online) continue;
      hero.x += (Math.random() - 0.5) * deltaMs;
      this.state.scores.set(sessionId, (this.state.scores.get(sessionId) ?? 0) + 1);
    }
    if (this.state.round % 40 === 0) this.broadcast("round", this.state.round);
  }

  fire(client: Client): number {
    const hero = this.state.heroes.get(client.sessionId);
    if (hero === undefined) return 0;
    hero.hits = this.helper(hero.hits);
    hero.bag.push(Math.random().toString(36).slice(2, 6));
    if (hero.bag.length > 4) hero.bag.shift();
    return hero.hits;
  }

  ring(sessionId: string, { at }: { at: number }): void {
    this.note(`ring ${sessionId} ${at} ${this.counts["bias"]}`);
  }

  again(client: Client): void {
    this.note(`again ${client.sessionId}`);
    if (Math.random() < 0.2) this.clock.clear();
  }

  bench(client: Client): void {
    const hero = this.state.heroes.get(client.sessionId);
    if (hero !== undefined && !this.benched.includes(hero)) this.benched.push(hero);
  }

  hold(value: boolean): string {
    this.onHold = value;
    return crypto.randomUUID();
  }
}
