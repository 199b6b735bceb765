// test-run: seconds=100 node=--import=./server/colyseus/register.ts
import { EventEmitter } from "node:events";
import { type Client, Room, SchemaSerializer } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import { defineTestRoom, inMacrotask, requestFrame } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const S = schema({ n: t.number().default(0), words: t.map("string") }, "ProbeState");
type Act = (room: any, client: any) => unknown;
let made: Act = () => {};
let joined: Act = () => {};
let did: Act = () => {};
let looked: Act = () => {};
class ProbeRoom extends Room {
  override state = new S();
  hidden: unknown;
  override onCreate() {
    this.autoDispose = false;
    made(this, null);
    this.onMessage("do", (c: Client) => did(this, c));
    this.onMessage("look", (c: Client) => looked(this, c));
  }
  override onJoin(client: Client) {
    joined(this, client);
  }
  override onDrop(client: Client) {
    this.allowReconnection(client, 50);
  }
}
await defineTestRoom("probe", ProbeRoom, {});

async function probe(name: string, acts: { made?: Act; joined?: Act; did?: Act; looked?: Act }) {
  made = acts.made ?? (() => {});
  joined = acts.joined ?? (() => {});
  did = acts.did ?? (() => {});
  looked = acts.looked ?? (() => {});
  const scene = new Scene(["A", "B"]);
  let created: unknown;
  try {
    created = await scene.create("probe");
  } catch (e) {
    return console.log(`${name}: THROWS`, (e as Error).message);
  }
  const out: unknown[] = [];
  if (!scene.first.machine.rooms.has(scene.roomId))
    return console.log(
      `${name}: NOT CREATED`,
      JSON.stringify(created, (k, v) => v),
    );
  await scene.join("p", "A");
  await scene.join("q", "A");
  if (acts.did) out.push(await scene.request("p", "do"));
  await scene.tick(60);
  const restless = scene.first.machine.rooms.get(scene.roomId)?.restlessBecause?.() ?? null;
  let ok: unknown;
  try {
    ok = await scene.restore("B");
  } catch (e) {
    ok = String((e as Error).stack).slice(0, 400);
  }
  out.push({ ok, restless });
  const hs = async () => {
    try {
      return await inMacrotask(() => scene.hashes());
    } catch (e) {
      return [String((e as Error).message).slice(0, 160), 0];
    }
  };
  const before = await hs();
  if (acts.looked) out.push(await scene.request("p", "look"));
  const hashes = await hs();
  out.push({ equalBefore: before[0] === before[1], equal: hashes[0] === hashes[1] || hashes });
  out.push({
    closed: scene.player("p").socket.closed,
    errors: scene.replicas.flatMap((r) => [...r.errors, ...r.warnings]),
  });
  console.log(
    `${(out.find((o: any) => o?.equal !== undefined) as any)?.equal === true ? "  " : "!!"} ${name}:`,
    JSON.stringify(out),
  );
}

test("[Y166] probes", async () => {
  await probe("client.custom", {
    joined: (_r, c) => {
      c.team = "red";
    },
    looked: (r, c) => {
      r.state.words.set(c.sessionId, String(c.team));
      return c.team;
    },
  });
  await probe("onMessage in join", {
    joined: (r, c) => {
      r.onMessage("late", () => r.state.n++);
    },
    looked: (r) => {
      const h = r.onMessageEvents.events["late"]?.length ?? 0;
      r.state.n = h;
      return h;
    },
  });
  await probe("onMessage in handler", {
    did: (r) => {
      r.onMessage("late", () => r.state.n++);
      return 1;
    },
    looked: (r) => {
      const h = r.onMessageEvents.events["late"]?.length ?? 0;
      r.state.n = h;
      return h;
    },
  });
  await probe("off in handler", {
    made: (r) => {
      r.off = r.onMessage("early", () => r.state.n++);
    },
    did: (r) => {
      r.off();
      return 1;
    },
    looked: (r) => {
      const h = r.onMessageEvents.events["early"]?.length ?? 0;
      r.state.n = h;
      return h;
    },
  });
  await probe("symbol field", {
    did: (r) => {
      r[Symbol.for("x")] = 5;
      return 1;
    },
    looked: (r) => {
      r.state.n = r[Symbol.for("x")] ?? -1;
      return r.state.n;
    },
  });
  await probe("hidden field", {
    did: (r) => {
      Object.defineProperty(r, "secretive", { value: 5, enumerable: false });
      return 1;
    },
    looked: (r) => {
      r.state.n = r.secretive ?? -1;
      return r.state.n;
    },
  });
  await probe("accessor field", {
    made: (r) => {
      let v = 1;
      Object.defineProperty(r, "acc", {
        enumerable: true,
        configurable: true,
        get: () => v,
        set: (x) => {
          v = x;
        },
      });
    },
    did: (r) => {
      r.acc = 5;
      return 1;
    },
    looked: (r) => {
      r.state.n = r.acc ?? -1;
      return r.state.n;
    },
  });
  await probe("ClientArray", {
    did: (r) => {
      r.hidden = r.clients.filter(() => true);
      return 1;
    },
    looked: (r) => {
      r.state.n = r.hidden.length;
      return [r.hidden.length, r.hidden.get?.("p")?.sessionId ?? null];
    },
  });
  await probe("setState", {
    did: (r) => {
      r.state = new S({ n: 7 });
      return 1;
    },
    looked: (r) => {
      r.state.n++;
      return r.state.n;
    },
  });
  await probe("emitter", {
    made: (r) => {
      r.bus = new EventEmitter();
      r.bus.on("x", () => r.state.n++);
    },
    did: (r) => {
      r.bus.emit("x");
      return 1;
    },
  });
  await probe("emitter later", {
    did: (r) => {
      r.bus = new EventEmitter();
      return 1;
    },
  });
  await probe("serializer", {
    made: (r) => {
      r.setSerializer(new SchemaSerializer());
    },
  });
  await probe("serializer2", {
    made: (r) => {
      r.setSerializer({
        id: "mine",
        reset() {},
        getFullState: () => Buffer.alloc(0),
        applyPatches: () => false,
        handshake: () => new Uint8Array(),
      });
    },
  });
  await probe("roomId", {
    made: (r) => {
      r.roomId = "ABCD";
    },
  });
  await probe("seat time", {
    did: (r) => {
      r.seatReservationTimeout = 3;
      r.setSeatReservationTime(4);
      return 1;
    },
  });
  await probe("listing field", {
    did: (r) => {
      r.setMatchmaking({ custom: { a: 1 } });
      return 1;
    },
    looked: (r) => r._listing.custom,
  });
  await probe("metadata alias", {
    did: (r) => {
      r.meta = { a: 1 };
      r.setMetadata(r.meta);
      return 1;
    },
    looked: (r) => {
      r.meta.a++;
      return r.metadata.a;
    },
  });
  await probe("userData schema", {
    did: (r, c) => {
      c.userData = { s: r.state };
      return 1;
    },
    looked: (r, c) => {
      c.userData.s.n = 99;
      return r.state.n;
    },
  });
  await probe("auth alias", {
    did: (r, c) => {
      c.auth = r.me = { a: 1 };
      return 1;
    },
    looked: (r, c) => {
      c.auth.a++;
      return r.me.a;
    },
  });
  await probe("bound method", {
    did: (r) => {
      r.cb = r.onJoin.bind(r);
      return 1;
    },
  });
  await probe("promise field", {
    did: (r) => {
      r.pr = Promise.resolve(1);
      return 1;
    },
  });
  await probe("deferred reconnection", {
    did: (r) => {
      return 1;
    },
  });
  await probe("regexp/date/error/bigint/url", {
    did: (r) => {
      r.a = /x/gi;
      r.b = new Date(5);
      r.c = 5n;
      r.d = new Error("x");
      r.e = new URL("http://x/");
      return 1;
    },
  });
  await probe("weakmap", {
    made: (r) => {
      r.w = new WeakMap();
    },
  });
  await probe("intl", {
    made: (r) => {
      r.f = new Intl.NumberFormat("en");
    },
  });
  await probe("generator", {
    did: (r) => {
      r.g = (function* () {
        yield 1;
      })();
      return 1;
    },
  });
  await probe("class static", {
    did: (r) => {
      r.constructor.total = (r.constructor.total ?? 0) + 1;
      return r.constructor.total;
    },
  });
  await probe("client leave 99", { did: (_r, c) => c.leave(99) });
  await probe("client leave long", { did: (_r, c) => c.leave(4001, "ü".repeat(100)) });
  await probe("kick 99", { did: (r, c) => r.kickClient("q", 99) });
  await probe("disconnect 99", { did: (r) => r.disconnect(99) });
  await probe("delayed time", {
    made: (r) => {
      r.d = r.clock.setInterval(() => r.state.n++, 100);
    },
    did: (r) => {
      r.d.time = 10;
      return 1;
    },
  });
  await probe("delayed handler", {
    made: (r) => {
      r.d = r.clock.setInterval(() => r.state.n++, 100);
    },
    did: (r) => {
      r.d.handler = () => {
        r.state.n += 10;
      };
      return 1;
    },
  });
  await probe("clock stop", {
    did: (r) => {
      r.clock.stop();
      return r.clock.running;
    },
    looked: (r) => {
      r.state.n = Number(r.clock.running);
      return r.clock.running;
    },
  });
  await probe("clock replaced", {
    made: (r) => {
      r.clock = new r.clock.constructor();
    },
    did: (r) => {
      r.clock.setTimeout(() => r.state.n++, 10);
      return 1;
    },
  });
  await probe("client.ref.on", {
    joined: (r, c) => {
      c.ref.on("close", () => {
        r.state.n++;
      });
    },
  });
  await probe("events on", {
    made: (r) => {
      r._events?.on("join", () => {
        r.state.n++;
      });
    },
    looked: (r) => r.state.n,
  });
  await probe("own onMessage fn changed", {
    did: (r) => {
      r.onJoin = () => {
        r.state.n = 5;
      };
      return 1;
    },
  });
  await probe("paused tracking", {
    did: (r) => {
      r.state.pauseTracking();
      r.state.n = 4;
      return 1;
    },
    looked: (r) => {
      r.state.n = 6;
      return 1;
    },
  });
  await probe("frozen state", {
    did: (r) => {
      r.obj = Object.freeze({ a: 1 });
      return 1;
    },
    looked: (r) => {
      try {
        r.obj.a = 2;
      } catch {}
      r.state.n = r.obj.a;
      return r.obj.a;
    },
  });
  await probe("null proto", {
    did: (r) => {
      r.obj = Object.create(null);
      r.obj.x = 1;
      return 1;
    },
    looked: (r) => {
      r.state.n = Number(Object.getPrototypeOf(r.obj) === null);
      return r.state.n;
    },
  });
  await probe("sparse", {
    did: (r) => {
      r.obj = [];
      r.obj[5] = 1;
      return 1;
    },
  });
  await probe("readFile", {
    made: (r) => {},
    did: async (r) => {
      const fs = await import("node:fs");
      return fs.readFileSync("package.json").length;
    },
  });
  await probe("import()", {
    did: async (r) => {
      const m = await import("node:path");
      r.state.n = 3;
      return 3;
    },
  });
  await probe("sleep", {
    did: async () => {
      await new Promise((s) => setTimeout(s, 10));
      return 1;
    },
  });
});
test.run();
