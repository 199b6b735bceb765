/** A room that does to its state, clients and clock whatever its players ask for, for comparisons with Colyseus itself. */
import { type Client, type Delayed, Room, ServerError } from "@colyseus/core";
import { type Schema, StateView, schema, t } from "@colyseus/schema";

export const Item = schema({ kind: t.string(), n: t.number(), tags: t.array("string") }, "Item");
export const Unit = schema(
  {
    name: t.string(),
    x: t.float32(),
    hp: t.uint8(),
    bag: t.array(Item),
    best: t.ref(Item).optional(),
    marks: t.set("number"),
    log: t.collection("string"),
    stats: t.map("number"),
    note: t.string().optional(),
  },
  "Unit",
);
export const Boss = Unit.extend({ rage: t.number(), minions: t.map(Unit) }, "Boss");
const kinds = {
  n: t.number(),
  i8: t.int8(),
  u16: t.uint16(),
  i32: t.int32(),
  u32: t.uint32(),
  i64: t.int64(),
  f64: t.float64(),
  big: t.bigint64(),
  angle: t.angle({ bits: 16 }),
  part: t.quantized({ min: 0, max: 1, bits: 8 }),
  flag: t.boolean(),
  text: t.string().default("begin"),
  once: t.number().fullStateOnly(),
};
const fields = {
  units: t.map(Unit),
  list: t.array(Item),
  crew: t.array(Unit),
  nums: t.array("number"),
  words: t.map("string"),
  pool: t.set(Item),
  heap: t.collection(Item),
  colours: t.set("string"),
  chosen: t.ref(Unit).optional(),
  home: t.ref(Item),
  ...kinds,
};
export const RichState = schema(fields, "RichState");
const Hand = schema({ card: t.string(), worth: t.number().view(), deck: t.array(Item).view(2) }, "Hand");
export const ViewedState = schema(
  { ...fields, secret: t.string().view(), hands: t.map(Hand).view(), open: t.map(Hand) },
  "ViewedState",
);

type Rich = InstanceType<typeof RichState>;
type Viewed = InstanceType<typeof ViewedState>;
type Op = (client: Client, ...args: never[]) => unknown;

const item = (kind: string, n: number) => new Item({ kind, n });
const unit = (name: string) => new Unit({ name, x: name.length / 3, hp: 9 });
const at = (length: number, n: number) => (length === 0 ? 0 : n % length);

export class RichRoom extends Room {
  override state: Rich = new RichState();
  override maxClients = 4;
  journal: string[] = [];
  timers: Delayed[] = [];
  removed: Schema[] = [];
  alive: Client[] = [];
  ticks = 0;

  override onCreate(options: { patchRate?: number; simulated?: boolean; name?: string }) {
    this.hear("onCreate", options);
    this.autoDispose = false;
    if (options.patchRate !== undefined) this.patchRate = options.patchRate;
    this.state.home = item("home", 0);
    this.state.chosen = unit("first");
    if (options.simulated === true)
      this.setTimestep((deltaMs) => {
        this.ticks++;
        this.state.f64 += deltaMs;
      }, 40);
    this.clock.setInterval(() => {
      this.state.i32 += 1;
      this.broadcast("pulse", [this.clock.elapsedTime, this.clock.deltaTime]);
    }, 170);
    this.onMessage("do", (client: Client, [op, ...args]: [string, ...never[]]) =>
      (this.ops as Record<string, Op>)[op]?.call(this, client, ...args),
    );
    this.onMessage("ask", async (client: Client, n: number) => {
      if (n % 5 === 0) throw new ServerError(417, `no ${n}`);
      if (n % 5 === 1) await this.clock.duration(60);
      if (n % 5 === 2) throw new Error("plain");
      return n % 5 === 3 ? undefined : { n, by: client.sessionId };
    });
    this.onMessageBytes("raw", (client: Client, bytes: Uint8Array) =>
      client.sendBytes("echo", bytes, { afterNextPatch: bytes.length % 2 === 0 }),
    );
    this.onMessage("*", (_client, type: string | number, message: unknown) => {
      this.hear("any", [type, message]);
    });
  }

  /** What players may ask for; code, made again by the constructor. */
  get ops(): object {
    return {
      ...this.lists(),
      ...this.maps(),
      ...this.sets(),
      ...this.scalars(),
      ...this.talks(),
      ...this.times(),
    };
  }

  hear(hook: string, what: unknown): void {
    this.journal.push(`${hook} ${JSON.stringify(what)}`);
    if (this.journal.length > 60) this.journal.shift();
  }

  override onJoin(client: Client, options: unknown, auth?: unknown): void | Promise<void> {
    this.hear("onJoin", [client.sessionId, options, auth, this.clients.map((each) => each.sessionId)]);
    const { fails, waits } = options as { fails?: boolean; waits?: boolean };
    if (fails === true) throw new ServerError(4321, "not you");
    this.state.units.set(client.sessionId, unit(client.sessionId));
    client.userData = { at: this.clock.elapsedTime };
    client.send("welcome", client.sessionId);
    this.broadcast("joined", client.sessionId, { except: client });
    if (waits === true) return this.clock.duration(70).then(() => this.hear("onJoin late", client.sessionId));
  }

  override onDrop(client: Client, code?: number): void {
    this.hear("onDrop", [client.sessionId, code]);
    if (!client.sessionId.endsWith("x")) this.allowReconnection(client, 1);
  }

  override onReconnect(client: Client): void {
    this.hear("onReconnect", [client.sessionId, client.userData, this.clients.length]);
    client.send(
      "back",
      this.clients.map((each) => each.sessionId),
    );
  }

  override onLeave(client: Client, code?: number): void {
    this.hear("onLeave", [client.sessionId, code]);
    this.state.units.delete(client.sessionId);
    this.alive = this.alive.filter((each) => each !== client);
    this.broadcast("left", client.sessionId);
  }

  override onBeforePatch(): void {
    this.state.u16 = (this.state.u16 + 1) % 60_000;
  }

  lists() {
    const { list, nums, crew } = this.state;
    return {
      push: (_c: Client, k: string, n: number) => list.push(item(k, n)),
      pushAgain: (_c: Client, n: number) => list.length > 0 && list.push(list[at(list.length, n)] as never),
      pop: () => list.pop(),
      shift: () => list.shift(),
      unshift: (_c: Client, k: string) => list.unshift(item(k, 1)),
      splice: (_c: Client, n: number, count: number, k: string) =>
        void this.removed.push(...list.splice(at(list.length, n), count, item(k, n))),
      cut: (_c: Client, n: number) => void list.splice(at(list.length, n), 1),
      putBack: () => {
        const back = this.removed.pop();
        if (back instanceof Item) list.push(back);
      },
      move: (_c: Client, a: number, b: number) =>
        list.move((moved) => {
          const [from, to] = [at(list.length, a), at(list.length, b)];
          const [x, y] = [moved[from], moved[to]];
          if (x === undefined || y === undefined) return;
          moved[from] = y;
          moved[to] = x;
        }),
      swap: (_c: Client, a: number, b: number) => {
        if (list.length < 2) return;
        const [i, j] = [at(list.length, a), at(list.length, b)];
        const [x, y] = [list[i], list[j]];
        list[i] = y as never;
        list[j] = x as never;
      },
      shuffle: () => nums.shuffle(),
      sort: () => list.sort((a, b) => a.n - b.n || (a.kind < b.kind ? -1 : 1)),
      reverse: () => nums.reverse(),
      replace: (_c: Client, n: number, k: string) => {
        if (list.length > 0) list[at(list.length, n)] = item(k, n);
      },
      clearList: () => list.clear(),
      newList: () => {
        this.state.list = [item("fresh", 1), item("fresh", 2)] as never;
      },
      tag: (_c: Client, n: number, word: string) => list[at(list.length, n)]?.tags.push(word),
      count: (_c: Client, n: number) => {
        const found = list[at(list.length, n)];
        if (found !== undefined) found.n += 1;
      },
      num: (_c: Client, n: number) => nums.push(n / 4, -n),
      numAt: (_c: Client, n: number) => {
        if (nums.length > 0) nums[at(nums.length, n)] = n;
      },
      numCut: (_c: Client, n: number) => nums.length > 0 && nums.splice(at(nums.length, n), 2),
      hire: (_c: Client, k: string) => crew.push(unit(k)),
      hireBoss: (_c: Client, k: string) => crew.push(new Boss({ name: k, rage: 3, hp: 200, x: 0 })),
      fire: (_c: Client, n: number) => crew.length > 0 && crew.splice(at(crew.length, n), 1),
      share: (c: Client, n: number) => {
        const own = this.state.units.get(c.sessionId);
        const shared = list[at(list.length, n)];
        if (own === undefined || shared === undefined) return;
        own.bag.push(shared);
        own.best = shared;
      },
      unshare: (c: Client) => {
        const own = this.state.units.get(c.sessionId);
        if (own === undefined) return;
        own.bag.clear();
        own.best = undefined as never;
      },
    };
  }

  maps() {
    const { units, words } = this.state;
    return {
      word: (_c: Client, k: string, v: string) => words.set(k, v),
      unword: (_c: Client, k: string) => words.delete(k),
      clearWords: () => words.clear(),
      newWords: () => {
        this.state.words = new Map([["new", "map"]]) as never;
      },
      reorder: (_c: Client, k: string) => {
        const value = words.get(k);
        if (value === undefined) return;
        words.delete(k);
        words.set(k, value);
      },
      twin: (c: Client, k: string) => {
        const own = units.get(c.sessionId);
        if (own !== undefined) units.set(k, own);
      },
      untwin: (_c: Client, k: string) => units.delete(k),
      boss: (_c: Client, k: string) => units.set(k, new Boss({ name: k, rage: 1, hp: 255, x: 0 })),
      minion: (_c: Client, k: string, m: string) => {
        const boss = units.get(k);
        if (boss instanceof Boss) boss.minions.set(m, unit(m));
      },
      choose: (_c: Client, k: string) => {
        this.state.chosen = units.get(k) as never;
      },
      unchoose: () => {
        this.state.chosen = undefined as never;
      },
      stat: (c: Client, k: string, n: number) => units.get(c.sessionId)?.stats.set(k, n),
      unstat: (c: Client, k: string) => units.get(c.sessionId)?.stats.delete(k),
      hp: (c: Client, n: number) => {
        const own = units.get(c.sessionId);
        if (own !== undefined) own.hp = n % 256;
      },
      note: (c: Client, word: string) => {
        const own = units.get(c.sessionId);
        if (own !== undefined) own.note = own.note === undefined ? word : (undefined as never);
      },
      assign: (c: Client, n: number) => units.get(c.sessionId)?.assign({ x: n, name: `n${n}` }),
      clone: (_c: Client, k: string) => {
        if (this.state.chosen !== undefined) units.set(k, this.state.chosen.clone());
      },
    };
  }

  sets() {
    const { pool, heap, colours, units, list } = this.state;
    return {
      pool: (_c: Client, k: string, n: number) => pool.add(item(k, n)),
      poolShared: (_c: Client, n: number) => list.length > 0 && pool.add(list[at(list.length, n)] as never),
      unpool: (_c: Client, n: number) => {
        const found = [...pool.values()][at(pool.size, n)];
        if (found !== undefined) pool.delete(found);
      },
      clearPool: () => pool.clear(),
      heap: (_c: Client, k: string, n: number) => heap.add(item(k, n)),
      unheap: (_c: Client, n: number) => {
        const found = [...heap.values()][at(heap.size, n)];
        if (found !== undefined) heap.delete(found as never);
      },
      clearHeap: () => heap.clear(),
      colour: (_c: Client, k: string) => colours.add(k),
      uncolour: (_c: Client, k: string) => colours.delete(k),
      mark: (c: Client, n: number) => units.get(c.sessionId)?.marks.add(n),
      unmark: (c: Client, n: number) => units.get(c.sessionId)?.marks.delete(n),
      logged: (c: Client, k: string) => units.get(c.sessionId)?.log.add(k),
      unlog: (c: Client) => {
        const own = units.get(c.sessionId);
        const [first] = [...(own?.log.values() ?? [])];
        if (first !== undefined) own?.log.delete(first);
      },
    };
  }

  scalars() {
    const { state } = this;
    return {
      scalar: (_c: Client, n: number) => {
        state.n = n * 1.5;
        state.i8 = (n % 200) - 100;
        state.u32 = n * 77_777;
        state.i64 = -n * 5;
        state.big = BigInt(n) * 12_345_678_901n;
        state.angle = n;
        state.part = (n % 100) / 100;
        state.flag = n % 2 === 0;
      },
      text: (_c: Client, word: string) => {
        state.text = word;
      },
      once: (_c: Client, n: number) => {
        state.once = n;
      },
      home: (_c: Client, n: number) => {
        state.home = item("home", n);
      },
      chance: () => {
        state.n = Math.random();
      },
    };
  }

  talks() {
    return {
      say: (c: Client, word: string) => this.broadcast("said", word, { except: c }),
      sayAll: (_c: Client, word: string) => this.broadcast("said", { word }),
      sayLate: (c: Client, word: string) =>
        this.broadcast("late", word, { afterNextPatch: true, except: [c] }),
      sayBytes: (_c: Client, n: number) => this.broadcastBytes("bytes", Uint8Array.of(n, n + 1), {}),
      tell: (c: Client, n: number) => c.send(n % 100, ["numbered", n]),
      tellLate: (c: Client, word: string) => c.send("tell late", word, { afterNextPatch: true }),
      tellOther: (c: Client, word: string) => this.clients.find((each) => each !== c)?.send("from", word),
      go: (c: Client, code: number) => c.leave(code),
      kick: (c: Client, code: number) => {
        const other = this.clients.find((each) => each !== c);
        if (other !== undefined) this.kickClient(other.sessionId, code);
      },
      err: (c: Client, n: number) => c.error(n, "an error"),
      lock: () => void this.lock(),
      unlock: () => void this.unlock(),
      private: (_c: Client, on: boolean) => void this.setPrivate(on),
      meta: (_c: Client, n: number) => void this.setMetadata({ n, more: [n] }),
      making: (_c: Client, n: number) =>
        void this.setMatchmaking({ maxClients: 2 + (n % 4), metadata: { n } }),
      full: (_c: Client, n: number) => {
        this.maxClients = 1 + (n % 5);
      },
      userData: (c: Client, n: number) => {
        c.userData = { n };
      },
      here: (c: Client) => {
        this.alive = this.clients.filter((each) => each !== c);
      },
      who: (c: Client) => c.send("who", [this.alive.map((each) => each.sessionId), c.userData, this.ticks]),
      patch: () => this.broadcastPatch(),
    };
  }

  times() {
    const timer = (n: number) => this.timers[at(this.timers.length, n)];
    const keep = (delayed: Delayed) => {
      this.timers.push(delayed);
      if (this.timers.length > 4) this.timers.shift()?.clear();
    };
    return {
      later: (_c: Client, n: number, word: string) => keep(this.clock.setTimeout(this.rings, n, word)),
      every: (_c: Client, n: number, word: string) => keep(this.clock.setInterval(this.rings, n, word)),
      closure: (c: Client, n: number) =>
        void this.clock.setTimeout(() => this.hear("closure", c.sessionId), n),
      nested: (_c: Client, n: number) => {
        this.clock.setTimeout(() => {
          const inner = this.clock.setInterval(() => {
            this.rings("inner");
            inner.clear();
          }, n);
        }, n);
      },
      pause: (_c: Client, n: number) => timer(n)?.pause(),
      resume: (_c: Client, n: number) => timer(n)?.resume(),
      reset: (_c: Client, n: number) => timer(n)?.reset(),
      clear: (_c: Client, n: number) => timer(n)?.clear(),
      wait: async (c: Client, n: number) => {
        await this.clock.duration(n);
        c.send("waited", this.clock.elapsedTime);
      },
      restart: () => this.clock.start(),
    };
  }

  rings(word: string): void {
    this.hear("rings", [word, this.clock.elapsedTime]);
    this.broadcast("rings", word);
  }
}

/** The same with a state of which each client sees a part. */
export class ViewedRoom extends RichRoom {
  override state: Viewed = new ViewedState();

  override onJoin(client: Client, options: unknown, auth?: unknown): void | Promise<void> {
    if (!client.sessionId.endsWith("b")) client.view = new StateView();
    const joined = super.onJoin(client, options, auth);
    const hand = new Hand({ card: client.sessionId, worth: 1 });
    this.state.hands.set(client.sessionId, hand);
    this.state.open.set(client.sessionId, new Hand({ card: "open", worth: 2 }));
    client.view?.add(hand);
    return joined;
  }

  override onLeave(client: Client, code?: number): void {
    this.state.hands.delete(client.sessionId);
    this.state.open.delete(client.sessionId);
    super.onLeave(client, code);
  }

  override get ops(): object {
    const { hands, open } = this.state;
    const seen = (c: Client, n: number) => {
      const all = [...hands.values(), ...open.values()];
      return c.view === undefined ? undefined : all[at(all.length, n)];
    };
    return {
      ...super.ops,
      secret: (_c: Client, word: string) => {
        this.state.secret = word;
      },
      show: (c: Client, n: number) => void (seen(c, n) && c.view?.add(seen(c, n) as never)),
      showTag: (c: Client, n: number) => void (seen(c, n) && c.view?.add(seen(c, n) as never, 2)),
      hide: (c: Client, n: number) => void (seen(c, n) && c.view?.remove(seen(c, n) as never)),
      deal: (c: Client, k: string) => hands.get(c.sessionId)?.deck.push(item(k, 1)),
      openDeal: (c: Client, k: string) => open.get(c.sessionId)?.deck.push(item(k, 1)),
      worth: (c: Client, n: number) => {
        const hand = hands.get(c.sessionId);
        if (hand !== undefined) hand.worth = n;
      },
      newHand: (c: Client, k: string) => {
        const hand = new Hand({ card: k, worth: 7 });
        hands.set(c.sessionId, hand);
        c.view?.add(hand);
      },
      state: (c: Client) => void c.view?.add(this.state),
    };
  }
}
