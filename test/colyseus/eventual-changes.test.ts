import { test } from "uvu";
import * as assert from "uvu/assert";
import { messageFrame } from "./machine-harness.ts";
import { type Act, Deck, does, heard, type StageRoom, StageState, stage } from "./stage-room.ts";

const changes: Record<string, [Act, RegExp]> = {
  "a field": [
    function () {
      this.count++;
    },
    /room\.count was assigned/,
  ],
  "a nested field": [
    function () {
      this.settings.deep.list.push(3);
    },
    /room\.settings\.deep\.list\[2\] was changed/,
  ],
  "an object's field": [
    function () {
      this.settings.speed = 4;
    },
    /room\.settings\.speed was changed \(assigned\)/,
  ],
  "a field that is deleted": [
    function () {
      delete this.settings.speed;
    },
    /room\.settings\.speed was changed \(deleted\)/,
  ],
  "a Map": [
    function () {
      this.scores.set("x", 1);
    },
    /room\.scores was changed \(set\(\)\)/,
  ],
  "what a Map holds": [
    function () {
      this.scores.get("ann").points++;
    },
    /room\.scores\.get\(\)\.points was changed/,
  ],
  "what a Map's iterator gives": [
    function () {
      for (const [, each] of this.scores) each.points++;
    },
    /room\.scores\[\]\.points/,
  ],
  "what a Map's forEach gives": [
    function () {
      this.scores.forEach((each: { points: number }) => {
        each.points++;
      });
    },
    /room\.scores\[\]\.points/,
  ],
  "a Set": [
    function () {
      this.names.delete("a");
    },
    /room\.names was changed \(delete\(\)\)/,
  ],
  "an array": [
    function () {
      this.moves.length = 0;
    },
    /room\.moves\.length was changed/,
  ],
  "an array that is sorted": [
    function () {
      this.settings.deep.list.reverse();
    },
    /room\.settings\.deep\.list\[0\]/,
  ],
  bytes: [
    function () {
      this.bytes[0] = 9;
    },
    /room\.bytes\[0\] was changed/,
  ],
  "filled bytes": [
    function () {
      this.bytes.fill(9);
    },
    /room\.bytes was changed \(fill\(\)\)/,
  ],
  "a date": [
    function () {
      this.since.setFullYear(1999);
    },
    /room\.since was changed \(setFullYear\(\)\)/,
  ],
  "a class's own method": [
    function () {
      this.deck.draw();
    },
    /room\.deck\.cards/,
  ],
  "inside of what is frozen": [
    function () {
      this.frozen.inside.push(2);
    },
    /room\.frozen\.inside\[1\]/,
  ],
  "a field that is new": [
    function () {
      this.brandNew = 1;
    },
    /room\.brandNew: added or deleted/,
  ],
  "a field that goes": [
    function () {
      delete this.count;
    },
    /room\.count: added or deleted/,
  ],
  "the state's field": [
    function () {
      this.state.round = 2;
    },
    /room\.state\.round was changed/,
  ],
  "the state's map": [
    function () {
      this.state.heroes.delete("ann");
    },
    /MUTATION_OUTSIDE_LOG|eventual/,
  ],
  "deep in the state": [
    function () {
      this.state.heroes.get("ann").tags.push("x");
    },
    /eventual/,
  ],
  "what is beside the state's fields": [
    function () {
      this.state.heroes.get("ann").cooldown = 1;
    },
    /eventual/,
  ],
  "the state itself": [
    function () {
      this.state = new StageState();
    },
    /room\.state was assigned/,
  ],
  "a plugin": [
    function () {
      this.plugins.notes.notes.push("x");
    },
    /room\.plugins\.notes\.notes\[1\]/,
  ],
  userData: [
    (client) => {
      client.userData.hat = "blue";
    },
    /the client ann's userData\.hat was changed/,
  ],
  "userData as a whole": [
    (client) => {
      client.userData = {};
    },
    /the client ann's userData was assigned/,
  ],
  "another's userData": [
    function () {
      this.clients[1].userData.hat = "blue";
    },
    /the client ben's userData\.hat/,
  ],
  auth: [
    (client) => {
      client.auth = { admin: true };
    },
    /the client ann's auth was assigned/,
  ],
  clients: [
    function () {
      this.clients.pop();
    },
    /room\.clients/,
  ],
  lock: [
    function () {
      void this.lock();
    },
    /lock\(\) was called/,
  ],
  disconnect: [
    function () {
      return void this.disconnect();
    },
    /disconnect\(\) was called/,
  ],
  setMetadata: [
    function () {
      this.setMetadata({ a: 1 });
    },
    /setMetadata\(\) was called/,
  ],
  maxClients: [
    function () {
      this.maxClients = 2;
    },
    /setMatchmaking\(\) was called/,
  ],
  seatReservationTimeout: [
    function () {
      this.seatReservationTimeout = 2;
    },
    /seatReservationTimeout was assigned/,
  ],
  patchRate: [
    function () {
      this.patchRate = 5;
    },
    /patchRate was assigned/,
  ],
  leave: [
    (client) => {
      client.leave();
    },
    /client\.leave\(\)/,
  ],
  allowReconnection: [
    function (client) {
      this.allowReconnection(client, 5);
    },
    /allowReconnection\(\) was called/,
  ],
  "the clock": [
    function () {
      this.clock.setTimeout(() => {}, 10);
    },
    /clock\.setTimeout\(\)/,
  ],
  "the clock's end": [
    function () {
      this.clock.clear();
    },
    /clock\.clear\(\)/,
  ],
  "an effect": [
    function () {
      void this.effect("profile");
    },
    /effect/,
  ],
  onPrimary: [
    function () {
      this.onPrimary(() => {});
    },
    /onPrimary\(\) was called/,
  ],
  "a handler": [
    function () {
      this.onMessage("new", () => {});
    },
    /onMessage\(\) was called/,
  ],
  "a message behind the patch": [
    function () {
      this.broadcast("x", 1, { afterNextPatch: true });
    },
    /wait for the next patch/,
  ],
  "a real timer": [
    () => {
      setTimeout(() => {}, 1);
    },
    /setTimeout/,
  ],
};

for (const [what, [change, words]] of Object.entries(changes)) {
  test(`[Y121] an eventual message's handler cannot change ${what}`, async () => {
    const { scene, say, settled } = await stage();
    const before = scene.hashes();
    does(change);
    for (const type of ["act", "arrow", "late"]) {
      say("ann", messageFrame(type));
      await settled();
      for (const { warnings, nodeId } of scene.replicas) {
        const [failure, ...more] = warnings.splice(0) as { error: string; where: string }[];
        assert.match(failure?.error ?? "nothing was told", words, `${type} on ${nodeId}`);
        // disconnect() is refused by a promise, which is told for itself.
        assert.is(failure?.where, what === "disconnect" ? what : `message "${type}"`);
        assert.is(more.length, 0);
      }
    }
    assert.equal(scene.hashes(), before);
    await scene.tick(100, 3);
    assert.is(new Set(scene.hashes()).size, 1);
    assert.equal(Object.keys(scene.room()), Object.keys(scene.room("B")));
  });
}

test("[Y121] what it leaves behind for later finds the room read-only, too", async () => {
  const { scene, say, settled } = await stage();
  does(function () {
    void Promise.resolve()
      .then(() => {
        this.count++;
      })
      .catch((error: Error) => this.broadcast("failed", error.message));
  });
  say("ann", messageFrame("arrow"));
  await settled();
  assert.match(String(heard(scene.player("cleo"), "failed")[0]), /room\.count was assigned/);
  assert.equal(
    scene.replicas.map(({ nodeId }) => scene.room<StageRoom>(nodeId).count),
    [0, 0, 0],
  );
});

test("[Y121] it may read everything, by its own methods too, and say what it has read", async () => {
  const { scene, say, settled } = await stage();
  const seen: unknown[] = [];
  does(function (client) {
    seen.push(
      ...[this.count, this.settings.deep.list.map((n: number) => n * 2), [...this.names], this.total()],
      ...[
        this.scores.size,
        this.scores.get("ben").points,
        this.moves.length,
        [...this.bytes],
        this.since.getTime(),
      ],
      ...[this.deck.top, this.deck instanceof Deck, this.scores instanceof Map, Array.isArray(this.moves)],
      ...[
        this.state.round,
        this.state.heroes.get("ann").tags[0],
        [...this.state.heroes.keys()],
        this.state.heroes.size,
      ],
      ...[
        this.clients.length,
        this.clients.get("ben").userData.hat,
        this.owners.get(client),
        client.userData.hat,
      ],
      ...[
        this.plugins.notes.notes[0],
        this.roomId === scene.roomId,
        this.frozen.inside[0],
        this.moves.includes(this.moves[0]),
      ],
      JSON.stringify(this.settings),
    );
    this.cache.set("looked", 1);
    client.send("settings", {
      settings: this.settings,
      hero: this.state.heroes.get("ann"),
      scores: this.scores,
    });
    client.sendBytes("raw", this.bytes);
  });
  say("ann", messageFrame("arrow"));
  await settled();
  assert.equal(scene.first.warnings, []);
  assert.equal(seen.slice(0, seen.length / 3), [
    ...[0, [2, 4], ["a"], 3, 3, 1, 1, [1, 2, 3], 0, 3, true, true, true, 1, "new", ["ann", "ben", "cleo"], 3],
    ...[3, "red", "ann", "red", "first", true, 1, true, '{"speed":3,"deep":{"list":[1,2]}}'],
  ]);
  const [said] = heard(scene.player("ann"), "settings") as {
    settings: object;
    hero: object;
    scores: object;
  }[];
  assert.equal(said?.settings, { speed: 3, deep: { list: [1, 2] } });
  assert.equal(said?.hero, { x: 0, tags: ["new"] });
  const raw = scene.player("ann").socket.frames.at(-1) ?? new Uint8Array();
  assert.equal([...raw.slice(-3)], [1, 2, 3]);
  assert.is(scene.room<StageRoom>().cache.get("looked"), 1, "what is not saved is the node's own");
});

test.run();
