import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Drain, drainDefaults } from "../../server/cluster/drain.ts";
import { type AttachedClient, AttachedClients } from "../../server/session/attached-clients.ts";
import { ManualClock } from "./manual-clock.ts";

const test = suite("a node that drains");

const { busyMsMax, lingerMs, lookMs, moveMsMax, movesUnderWayMax, nowhereMsMax, spreadMs, stockUptimeMs } =
  drainDefaults;
const limits = { timeoutMs: 20_000, plainRoomsMsMin: 2_500 };

/** A node with clients, whose others a test lets come and go. */
function world() {
  const clock = new ManualClock();
  const clients = new AttachedClients(() => clock.now().monotonicMs);
  const told: string[] = [];
  const lines: string[] = [];
  const given = {
    isSomewhereElse: true,
    handedOver: Promise.resolve(),
    plainRooms: 0,
    leads: 0,
    roomsOnlyHere: 0,
  };
  const write = (_: object, line: string) => void lines.push(line);
  const drain = new Drain({
    clock,
    log: { info: write, warn: write } as never,
    clients: () => clients,
    begin: () => {
      told.push("begins");
      return given.handedOver;
    },
    isSomewhereElse: () => given.isSomewhereElse,
    plainRooms: {
      get count() {
        return given.plainRooms;
      },
      // Said again and again, for rooms that were just being made.
      end: () => void (told.includes("plain rooms end") || told.push("plain rooms end")),
    },
    leads: () => given.leads,
    roomsOnlyHere: () => given.roomsOnlyHere,
  });
  let end: string | null = null;
  const pass = async (ms: number) => {
    clock.advance(ms);
    for (let round = 0; round < 5; round++) await Promise.resolve();
  };
  return {
    given,
    told,
    lines,
    clients,
    drain,
    pass,
    end: () => end,
    begin: async (changed: Partial<typeof limits> = {}) => {
      void drain.run({ ...limits, ...changed }).then((how) => (end = how));
      await pass(0);
    },
    /** `stays`: it does not go, whatever it is told. */
    come: (name: string, how: Partial<AttachedClient> & { stays?: boolean } = {}) => {
      const { stays = false, ...own } = how;
      const act = (what: string) => {
        told.push(`${name} ${what}`);
        if (!stays) gone();
      };
      const client = {
        ...{ movesItself: true, cameBack: false, isBusy: false },
        ...own,
        ask: () => act("is asked"),
        close: () => act("is closed"),
      };
      const gone = clients.add(client);
      return Object.assign(client, { gone });
    },
  };
}

test("[C50] leads go first; then each client is sent on, one by one, and nobody is waited for who is gone", async () => {
  const { given, told, come, begin, pass, end } = world();
  let handedOver = () => {};
  given.handedOver = new Promise((resolve) => (handedOver = resolve));
  for (const name of ["a", "b", "c"]) come(name);
  await begin();
  await pass(lookMs * 10);
  assert.equal(told, ["begins", "plain rooms end"]);
  handedOver();
  await pass(0);
  assert.equal(told.slice(2), ["a is asked"]);
  await pass(lookMs);
  assert.equal(told.slice(2), ["a is asked", "b is asked"]);
  await pass(lookMs);
  assert.equal(told.slice(2), ["a is asked", "b is asked", "c is asked"]);
  await pass(lingerMs);
  assert.is(end(), "empty");
});

test("[C50] many clients are spread over a while, and so many at most are under way", async () => {
  const { told, come, begin, pass, end } = world();
  const many = 8_000;
  const stayed = Array.from({ length: 200 }, (_, at) => come(`slow ${at}`, { stays: true }));
  for (let at = 0; at < many; at++) come(`quick ${at}`);
  await begin();
  assert.is(told.length - 2, movesUnderWayMax, "the slow ones are first, and hold up the rest");
  await pass(lookMs * 4);
  assert.is(told.length - 2, movesUnderWayMax);
  for (const client of stayed) client.gone();
  const before = told.length;
  await pass(lookMs);
  const atOnceMax = Math.ceil(((many + 200) * lookMs) / spreadMs);
  assert.is(told.length - before, Math.min(atOnceMax, movesUnderWayMax));
  await pass(spreadMs * 3);
  assert.is(end(), "empty");
});

test("[C51] who moves by itself is asked, and closed if it is still here; the stock SDK is closed, once it would come back", async () => {
  const { told, come, begin, pass, end } = world();
  come("old wrapper", { stays: true });
  come("fresh", { movesItself: false });
  come("back", { movesItself: false, cameBack: true });
  await begin();
  await pass(lookMs * 4);
  assert.equal(told.slice(2), ["old wrapper is asked", "back is closed"]);
  await pass(moveMsMax);
  assert.ok(told.includes("old wrapper is closed"));
  assert.not.ok(told.includes("fresh is closed"));
  await pass(stockUptimeMs - moveMsMax);
  assert.ok(told.includes("fresh is closed"));
  assert.is(end(), null);
  await pass(limits.timeoutMs);
  assert.is(end(), "late");
});

test("[C51] a client that waits for an answer is closed behind it, or after a while all the same", async () => {
  const { told, come, begin, pass } = world();
  const stock = { movesItself: false, cameBack: true };
  const asking = come("asking", { ...stock, isBusy: true });
  come("always asking", { ...stock, isBusy: true });
  await begin();
  await pass(busyMsMax / 2);
  assert.is(told.length, 2);
  Object.assign(asking, { isBusy: false });
  await pass(lookMs);
  assert.equal(told.slice(2), ["asking is closed"]);
  await pass(busyMsMax / 2);
  assert.equal(told.slice(2), ["asking is closed", "always asking is closed"]);
});

test("[U10] who plays in rooms that no other node could go on with stays until they have ended, or for as long as a drain may take", async () => {
  const { given, told, come, begin, pass, end } = world();
  given.roomsOnlyHere = 1;
  come("player");
  await begin();
  await pass(limits.timeoutMs / 2);
  assert.equal(told, ["begins", "plain rooms end"]);
  assert.is(end(), null);
  given.roomsOnlyHere = 0;
  await pass(lookMs);
  assert.equal(told.slice(2), ["player is asked"]);
  await pass(lookMs);
  assert.is(end(), "empty");
  const late = world();
  late.given.roomsOnlyHere = 1;
  await late.begin();
  await late.pass(limits.timeoutMs);
  assert.is(late.end(), "late");
});

test("[C52] a client that comes in the meantime is sent on, too; an empty node lingers for those who are on their way", async () => {
  const { told, come, begin, pass, end } = world();
  await begin();
  await pass(lingerMs - lookMs);
  assert.is(end(), null);
  come("late", { stays: true });
  await pass(lookMs * 2);
  assert.is(end(), null);
  assert.equal(told.slice(2), ["late is asked"]);
});

test("[C53] without another node that takes clients nobody is sent on, nor waited for", async () => {
  const { given, told, lines, come, begin, pass, end } = world();
  come("a", { stays: true });
  given.isSomewhereElse = false;
  given.leads = 2;
  await begin();
  await pass(nowhereMsMax - lookMs);
  assert.equal([end(), told.length], [null, 2]);
  await pass(lookMs);
  assert.is(end(), "nowhere");
  assert.match(
    lines.at(-1) ?? "",
    /since no other node takes clients: 1 client, 0 plain rooms, 2 leads left$/,
  );
  const empty = world();
  empty.given.isSomewhereElse = false;
  await empty.begin();
  assert.is(empty.end(), "empty");
});

test("[C53] the other nodes may be out of sight for a moment", async () => {
  const { given, told, come, begin, pass, end } = world();
  come("a", { stays: true });
  given.isSomewhereElse = false;
  await begin();
  await pass(nowhereMsMax - lookMs);
  given.isSomewhereElse = true;
  await pass(nowhereMsMax * 2);
  assert.equal([end(), told.at(-1)], [null, "a is asked"]);
});

test("[C53] past its time, or when it is asked again, the drain ends and says what is left", async () => {
  const late = world();
  late.come("a", { stays: true });
  await late.begin({ timeoutMs: 1_000 });
  await late.pass(1_000);
  assert.is(late.end(), "late");
  assert.match(
    late.lines.at(-1) ?? "",
    /^ends after 1000 ms of draining, .*: 1 client, 0 plain rooms, 0 leads left$/,
  );
  const hurried = world();
  hurried.come("a", { stays: true });
  await hurried.begin();
  hurried.drain.hurry();
  await hurried.pass(lookMs);
  assert.is(hurried.end(), "hurried");
});

test("[C54] plain rooms have the whole time to end; where nobody else is waited for, still their own while", async () => {
  const patient = world();
  patient.given.plainRooms = 1;
  await patient.begin();
  await patient.pass(limits.timeoutMs - lookMs);
  assert.is(patient.end(), null);
  patient.given.plainRooms = 0;
  await patient.pass(lookMs);
  assert.is(patient.end(), "empty");
  for (const isSomewhereElse of [true, false]) {
    const brief = world();
    Object.assign(brief.given, { plainRooms: 1, isSomewhereElse });
    await brief.begin({ timeoutMs: 0 });
    await brief.pass(limits.plainRoomsMsMin - lookMs);
    assert.is(brief.end(), null);
    await brief.pass(lookMs);
    assert.is(brief.end(), "late");
  }
});

test.run();
