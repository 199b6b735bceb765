import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { RoomDirectory } from "../../server/session/room-directory.ts";
import { groupOfKey, groupOfRoom, roomIdFor } from "../../server/session/room-id.ts";

function wish(roomId: string, how: { key?: string; fresh?: boolean; exclude?: string | null } = {}) {
  const fixed = { sequence: 1, roomName: "r", options: {}, seed: new Uint8Array(12) };
  return { key: "k", fresh: false, exclude: null, ...how, ...fixed, roomId };
}

test("[D11] a key stands for one room: the second to ask gets the first one's", () => {
  const directory = new RoomDirectory();
  assert.equal(directory.allocate(wish("one"), 5), { roomId: "one" });
  assert.equal(directory.allocate(wish("two"), 6), { roomId: "one" });
  assert.equal(
    [directory.createdBy("one", 5), directory.createdBy("one", 6), directory.createdBy("two", 6)],
    [true, false, false],
  );
  assert.equal(directory.allocate(wish("other", { key: "k2" }), 7), { roomId: "other" });
});

test("[D11] whoever found no seat excludes the room: the key moves on once, for everybody who excludes it", () => {
  const directory = new RoomDirectory();
  directory.allocate(wish("one"), 1);
  assert.equal(directory.allocate(wish("two", { exclude: "one" }), 2), { roomId: "two" });
  assert.equal(directory.allocate(wish("three", { exclude: "one" }), 3), { roomId: "two" });
  assert.equal(directory.allocate(wish("four"), 4), { roomId: "two" });
});

test("[D11] a fresh room is always made, and the key's from then on", () => {
  const directory = new RoomDirectory();
  directory.allocate(wish("one"), 1);
  assert.equal(directory.allocate(wish("two", { fresh: true }), 2), { roomId: "two" });
  assert.equal(directory.allocate(wish("three"), 3), { roomId: "two" });
});

test("[D11] a forgotten room frees its key, unless the key has moved on", () => {
  const directory = new RoomDirectory();
  directory.allocate(wish("one"), 1);
  directory.allocate(wish("two", { exclude: "one" }), 2);
  directory.forget("one");
  assert.equal(directory.allocate(wish("three"), 3), { roomId: "two" });
  directory.forget("two");
  directory.forget("nobody");
  assert.equal(directory.allocate(wish("four"), 4), { roomId: "four" });
});

test("[D11] past its number of rooms a group refuses, and a key that has a room still gets it", () => {
  const directory = new RoomDirectory();
  for (let at = 1; at <= sessionLimits.roomsPerGroupMax; at++)
    directory.allocate(wish(`r${at}`, { key: `k${at}` }), at);
  const refused = directory.allocate(wish("more", { key: "new" }), 20_000) as { refused?: string };
  assert.is(refused.refused, "ROOMS_TOO_MANY");
  assert.equal(directory.allocate(wish("more", { key: "k1" }), 20_001), { roomId: "r1" });
});

test("[D12] a saved directory is the same directory: rooms, keys, who made what, and who has spoken", () => {
  const directory = new RoomDirectory();
  directory.allocate(wish("one"), 3);
  directory.allocate(wish("two", { exclude: "one" }), 4);
  directory.origins.take({ nodeId: "A", bootCount: 2, sequence: 1 });
  const restored = new RoomDirectory(directory.save());
  assert.equal([...restored.roomsMadeBy(3)], ["one"]);
  assert.equal([...restored.roomsMadeBy(4)], ["one", "two"]);
  assert.is(restored.createdBy("two", 4), true);
  assert.equal(restored.allocate(wish("three"), 5), { roomId: "two" });
  assert.is(restored.origins.take({ nodeId: "A", bootCount: 2, sequence: 1 }), "duplicate");
  assert.equal(restored.save(), new RoomDirectory(restored.save()).save());
});

test("[D13] a room's id names its group, for every group and no other", () => {
  for (let group = 0; group < 64; group++) {
    const roomId = roomIdFor(group, (bytes) => new Uint8Array(bytes).fill(group));
    assert.match(roomId, /^[\w-]{9}$/);
    assert.is(groupOfRoom(roomId, 64), group);
    assert.is(groupOfRoom(roomId, group), null);
  }
  for (const foreign of ["", "short", "ten-charsA", "12345678!"]) assert.is(groupOfRoom(foreign, 64), null);
});

test("[D13] a key belongs to one group, and keys spread over all of them", () => {
  const counts = new Array<number>(8).fill(0);
  for (let at = 0; at < 4_000; at++) {
    const group = groupOfKey(`["arena",["mode","m${at}"]]`, 8);
    assert.is(group, groupOfKey(`["arena",["mode","m${at}"]]`, 8));
    counts[group] = (counts[group] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 300 && count < 700, `${counts}`);
});

test.run();
