import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { RoomOutbox } from "../../server/session/room-outbox.ts";
import { packRoom, unpackRoom } from "../../server/session/saved-room.ts";
import { Seat } from "../../server/session/seat.ts";

const { outboxMessagesMax, outboxBytesMax, outboxMsMax, roomOutboxBytesMax } = sessionLimits;

/** A room's outbox and its seats, with a message of the given length to some of them at a time. */
class Room {
  outbox = new RoomOutbox();
  seats: Seat[];
  nowMs = 0;
  index = 0;

  constructor(ids: readonly string[]) {
    this.seats = ids.map((id) => new Seat(id));
  }

  seat(id: string): Seat {
    return this.seats.find(({ sessionId }) => sessionId === id) as Seat;
  }

  /** The bytes tell which message it is. */
  say(ids: readonly string[], length = 8): void {
    this.index++;
    const bytes = new Uint8Array(length).fill(this.index % 251);
    for (const id of ids) this.outbox.add(this.seat(id).outbox, bytes, this);
  }

  /** What a client that has all up to `received` is sent, by number and content. */
  missed(id: string, received: number): { numbers: [number, number]; lost: number; marks: number[] } {
    this.outbox.expire(this.nowMs);
    const from = this.seat(id).resume({ wrapper: true, received });
    const { sent } = this.seat(id).outbox;
    return {
      numbers: [from.received + 1, sent],
      lost: from.lost,
      marks: from.missed.map(([mark]) => mark as number),
    };
  }

  restored(): Room {
    const { outbox, seats, nowMs } = this;
    outbox.expire(nowMs);
    const parts = { outbox: outbox.state(seats), seats: seats.map(({ state }) => state) };
    const saved = unpackRoom(packRoom({ ...parts, program: new Uint8Array() } as never));
    const room = Object.assign(new Room([]), { nowMs, index: this.index });
    room.seats = saved.seats.map((state) => Seat.from(state));
    room.outbox.restore(saved.outbox, (id) => room.seat(id));
    return room;
  }

  /** Everything that a replica must have alike. */
  get picture(): unknown {
    const { outbox, seats, nowMs } = this;
    outbox.expire(nowMs);
    const state = outbox.state(seats);
    const messages = state.messages.map(({ bytes, atMs }) => [bytes.length, bytes[0], atMs]);
    return { messages, seats: state.seats, states: seats.map((seat) => seat.state), bytes: outbox.bytes };
  }
}

function marks(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => (from + at) % 251);
}

test("[Y50] a client is sent what it lacks, in order, and nothing that it has", () => {
  const room = new Room(["a", "b"]);
  for (let n = 0; n < 5; n++) room.say(["a", "b"]);
  room.say(["b"]);
  room.say(["a"]);
  assert.equal(room.missed("a", 3), { numbers: [4, 6], lost: 0, marks: [4, 5, 7] });
  assert.equal(room.missed("a", 6), { numbers: [7, 6], lost: 0, marks: [] });
  assert.equal(room.missed("b", 0), { numbers: [1, 6], lost: 0, marks: [1, 2, 3, 4, 5, 6] });
  assert.equal(room.missed("b", 99), { numbers: [7, 6], lost: 0, marks: [] }, "who claims too much gets on");
});

test("[Y51] at most so many messages of a seat are kept, the newest; how many are lost is told", () => {
  const room = new Room(["a", "b"]);
  room.say(["b"]);
  for (let n = 0; n < outboxMessagesMax + 10; n++) room.say(["a"]);
  assert.equal(room.missed("a", 0), {
    numbers: [11, outboxMessagesMax + 10],
    lost: 10,
    marks: marks(12, outboxMessagesMax + 11),
  });
  assert.is(room.missed("a", 4).lost, 6);
  assert.is(room.missed("a", 10).lost, 0);
  assert.is(room.missed("b", 0).lost, 0, "another seat's are its own");
});

test("[Y51] at most so many bytes of a seat are kept; one message that is bigger takes all before it along", () => {
  const room = new Room(["a"]);
  for (let n = 0; n < 5; n++) room.say(["a"], outboxBytesMax / 4);
  assert.equal(room.missed("a", 0), { numbers: [2, 5], lost: 1, marks: [2, 3, 4, 5] });
  room.say(["a"], outboxBytesMax);
  assert.equal(room.missed("a", 0), { numbers: [6, 6], lost: 5, marks: [6] });
  room.say(["a"], outboxBytesMax + 1);
  assert.equal(room.missed("a", 0), { numbers: [8, 7], lost: 7, marks: [] });
  room.say(["a"]);
  assert.equal(room.missed("a", 0), { numbers: [8, 8], lost: 7, marks: [8] });
});

test("[Y51] what is older than so much log time is kept no longer", () => {
  const room = new Room(["a"]);
  room.say(["a"]);
  room.nowMs += outboxMsMax - 1;
  room.say(["a"]);
  assert.equal(room.missed("a", 0).marks, [1, 2]);
  room.nowMs += 1;
  assert.equal(room.missed("a", 0), { numbers: [2, 2], lost: 1, marks: [2] });
  room.nowMs += outboxMsMax;
  assert.equal(room.missed("a", 0), { numbers: [3, 2], lost: 2, marks: [] });
  assert.is(room.outbox.bytes, 0);
});

test("[Y51] a room keeps at most so many bytes of all its seats' messages; a broadcast counts once, and as long as a seat has it", () => {
  const ids = Array.from({ length: 40 }, (_, at) => `s${at}`);
  const room = new Room(ids);
  for (let n = 0; n < 16; n++) room.say(ids, 4_096);
  assert.is(room.outbox.bytes, 16 * 4_096, "a broadcast is there once");
  for (const id of ids) room.say([id], 32_768);
  assert.ok(room.outbox.bytes <= roomOutboxBytesMax && room.outbox.bytes > roomOutboxBytesMax - 32_768);
  const all = ids.map((id) => room.missed(id, 0));
  assert.equal(
    all.map(({ marks, lost }) => marks.length + lost),
    ids.map(() => 17),
  );
  assert.ok(all[0]?.lost === 17 && all.at(-1)?.marks.length === 1, "the oldest of the room goes first");
  for (const { outbox } of room.seats) outbox.clear();
  assert.is(room.outbox.bytes, 0, "with its seats everything goes");
});

test("[Y52] bytes that are changed or used again by whoever sent them are not those that are kept", () => {
  const room = new Room(["a", "b"]);
  const bytes = Uint8Array.of(1);
  room.outbox.add(room.seat("a").outbox, bytes, room);
  bytes[0] = 2;
  room.outbox.add(room.seat("b").outbox, bytes, room);
  assert.equal([room.missed("a", 0).marks, room.missed("b", 0).marks], [[1], [2]]);
});

test("[Y52] a restored outbox is the one that was saved, and goes on like it, whatever is sent and whoever leaves", () => {
  let seed = 7;
  const below = (max: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * max);
  };
  const ids = Array.from({ length: 12 }, (_, at) => `s${at}`);
  const room = new Room(ids);
  let other = room.restored();
  for (let step = 0; step < 4_000; step++) {
    const some = ids.filter(() => below(3) > 0);
    const length = below(40) === 0 ? 1 + below(70_000) : 1 + below(400);
    const chosen = below(4) === 0 ? some : ids;
    const passedMs = below(100) === 0 ? 8_000 : below(40);
    const leaves = below(200) === 0 ? below(ids.length) : -1;
    for (const each of [room, other]) {
      each.nowMs += passedMs;
      each.say(chosen, length);
      if (leaves < 0) continue;
      each.seats[leaves]?.outbox.clear();
      each.seats[leaves] = new Seat(ids[leaves] as string);
    }
    // It looks, and drops what is too old, at other times than the one that was never restored.
    if (below(50) === 0) other = other.restored();
    else if (below(10) === 0) other.outbox.expire(other.nowMs);
  }
  assert.equal(other.picture, room.picture);
  for (const id of ids) assert.equal(other.missed(id, 0), room.missed(id, 0));
});

test("[Y52] a checkpoint that the storage would not take is refused with what it is made of", () => {
  const seat = new Seat("a");
  seat.rememberReply(1, new Uint8Array(4 << 20));
  const room = { birth: { roomName: "arena" }, seats: [seat.state], program: new Uint8Array(7) };
  assert.throws(
    () => packRoom(room as never),
    /arena has 4194\d+ bytes, 7 of them the room's own; at most 4194304/,
  );
});

test("[Y53] who cannot say what it has gets what was surely not sent: what its client's node never had to send", () => {
  const room = new Room(["a"]);
  const seat = room.seat("a");
  const again = () => seat.resume({ wrapper: false, received: 0 });
  again();
  room.say(["a"]);
  assert.equal(
    again().missed.map(([mark]) => mark),
    [1],
    "nothing is sent before the client has acknowledged its join",
  );
  seat.tokenAcknowledged(room.index);
  room.say(["a"]);
  assert.equal(again().missed, []);
  room.say(["a"]);
  assert.equal(
    again().missed.map(([mark]) => mark),
    [3],
  );
});

test.run();
