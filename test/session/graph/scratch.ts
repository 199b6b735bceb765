import { Encoder, schema, t } from "@colyseus/schema";
import { encodeGraph, hashGraph, checkGraph, decodeGraph } from "../../../server/session/graph/graph.ts";
const Player = schema({ name: t.string(), x: t.number(), y: t.number(), angle: t.number(), score: t.number(), shots: t.number(), online: t.boolean(), node: t.string() }, "Player");
const Missile = schema({ x: t.number(), y: t.number(), vx: t.number(), vy: t.number(), owner: t.string() }, "Missile");
const State = schema({ clockMs: t.number(), players: t.map(Player), missiles: t.map(Missile) }, "State");
const s = new State(); s.clockMs = 5; new Encoder(s);
for (let i = 0; i < 20; i++) s.players.set("sess" + i, Object.assign(new Player(), { name: "p" + i, x: i * 1.5, y: 3.3, angle: 0.1, score: i, shots: i, online: true, node: "n1" }));
for (let i = 0; i < 60; i++) s.missiles.set("m" + i, Object.assign(new Missile(), { x: i * 1.1, y: 2.2, vx: 1.1, vy: 0.4, owner: "sess" + (i % 20) }));
class Timer { a = 1; b = 2; c = "x"; }
const root = { state: s, last: new Map(Array.from({ length: 20 }, (_, i) => ["sess" + i, { at: i, list: [1, 2, 3], t: new Timer() }])), grid: Array.from({ length: 1000 }, (_, i) => i) };
const o = { classes: [Timer], stateClasses: [State], references: new Map(), resolve: () => undefined };
for (const [n, f] of [["hash", () => hashGraph(root, o)], ["encode", () => encodeGraph(root, o)], ["check", () => checkGraph(root, o)], ["hash small", () => hashGraph({ state: s }, o)]] as const) { for (let i = 0; i < 2000; i++) f(); const t0 = performance.now(); for (let i = 0; i < 2000; i++) f(); console.log(n, ((performance.now() - t0) / 2).toFixed(1), "us"); }
const b = encodeGraph(root, o); console.log(b.length); const t0 = performance.now(); for (let i = 0; i < 300; i++) decodeGraph(b, o); console.log("decode", ((performance.now() - t0) / 0.3).toFixed(1), "us");
