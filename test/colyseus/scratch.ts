import { Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { defineTestRoom, inMacrotask, joinAck, LogWriter, RecordingSocket, Replica } from "./machine-harness.ts";

const State = schema({ n: t.number(), list: t.array("string") }, "S");
class Unlisted { x = 1; }
class R extends Room {
  state = new State();
  timer: any = null;
  onFire = false;
  bag: any = null;
  seen: any[] = [];
  onCreate() {
    this.setTimestep(() => {}, 50);
  }
  onJoin() {}
  respawn(a: string) { this.seen.push(a); this.state.n++; }
  oneShot() { this.timer = this.clock.setTimeout(this.respawn, 100, "x"); }
  poison() { this.bag = new Unlisted(); }
  fire() { this.onFire = true; }
  noPatch() { this.patchRate = null; }
  fn() { this.bag = null; (this as any).cb = () => 1; }
}
await defineTestRoom("r", R);
async function attempt(what: string, act: () => unknown) {
  try { console.log(what, "->", await inMacrotask(act)); } catch (e) { console.log(what, "THREW", (e as Error).message); }
}
for (const method of ["oneShot", "poison", "fire", "noPatch", "fn"]) {
  const log = new LogWriter();
  const a = new Replica("A");
  const roomId = `room${method}`;
  await attempt("allocate", () => a.value(log.allocate("A", roomId, "r")));
  await attempt("reserve", () => a.value(log.reserve("A", roomId, "s1")));
  a.sockets.set(1, new RecordingSocket());
  await attempt("attach", () => a.value(log.attach("A", roomId, "s1", { attachId: 1, token: "t1" })));
  await attempt(method, () => a.value(log.next("A", "call", { roomId, method, data: [] }, roomId)));
  await attempt("save early", () => { const c = a.save(); return [...c.keys()].map(k => [k, c.get(k) === null ? null : "ok"]); });
  if (method === "oneShot") {
    let saved: any; 
    await inMacrotask(() => { saved = a.save(); });
    await attempt("restore early", () => { const b = new Replica("B").restore(saved); const cmd = log.tick("A", 200); a.apply(cmd); b.apply(cmd); return JSON.stringify([(a.machine.rooms.get(roomId)!.program as any).room.seen, (b.machine.rooms.get(roomId)!.program as any).room.seen]); });
  }
  await attempt("40 ticks", () => { for (let i = 0; i < 40; i++) a.apply(log.tick("A", 50)); return a.machine.rooms.get(roomId)?.hashPoint; });
  await attempt("rest", () => a.machine.rooms.get(roomId)!.restlessBecause());
  await attempt("save+restore", () => { const b = new Replica("B").restore(a.save() as never); const r = (b.machine.rooms.get(roomId)!.program as any).room; return JSON.stringify({ onFire: r.onFire, cb: String(r.cb), timer: r.timer?.active }); });
  const room = (a.machine.rooms.get(roomId)!.program as any).room;
  await attempt("state replaced outside", () => { room.state = new State(); });
  await attempt("autoDispose outside", () => { room.autoDispose = false; });
  await attempt("clock outside", () => { room.clock.setTimeout(() => {}, 5); });
  await attempt("leave outside", () => { room.clients[0].leave(); });
}
process.exit(0);
