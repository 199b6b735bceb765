import { test } from "uvu";
import * as assert from "uvu/assert";
import { Feed } from "../../server/menu/feed.ts";
import { Journal, type JournalItem } from "../../server/menu/journal.ts";
import type { KeeperError } from "../../server/menu/keeper-error.ts";

const limits = { itemsMax: 4, bytesMax: 100, ageMsMax: 50, droppedBytesMax: 40 };
const item = (index: number, topic: string, bytes = 1): JournalItem => ({
  index,
  topic,
  bytes,
  logTimeMs: index * 10,
});

const listenersMax = 5;

function stage({ begins = true } = {}) {
  let journal = new Journal<JournalItem>(limits);
  const told: string[] = [];
  const failures: unknown[] = [];
  let turns: (() => void)[] = [];
  const feed = new Feed<JournalItem>({
    journal: () => journal,
    listenersMax,
    later: (run) => turns.push(run),
    failed: (error) => failures.push(error),
  });
  if (begins) feed.begin(0);
  const listen = (name: string, topic: string, { after = null as number | null, all = false } = {}) =>
    feed.listen(
      {
        ...{ topic, all },
        tell: ({ index, topic: of }) => told.push(`${name} ${index} ${of}`),
        lost: (error) => told.push(`${name} ${error.code}`),
      },
      after,
    );
  return {
    feed,
    failures,
    listen,
    happen: (...items: JournalItem[]) => {
      for (const each of items) {
        journal.trim(each.logTimeMs);
        journal.push(each);
      }
    },
    replace: (other: Journal<JournalItem>) => {
      journal = other;
    },
    /** What was told since. */
    told: () => {
      feed.drained();
      const now = turns;
      turns = [];
      for (const run of now) run();
      return told.splice(0);
    },
  };
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as KeeperError).code;
  }
  return "nothing was thrown";
}

test("[T6] each change is told once, in order, to whom it is for, from where it asked on", () => {
  const { listen, happen, told } = stage();
  happen(item(1, "a"), item(2, "b"));
  listen("one", "a");
  listen("all", "", { all: true });
  const end = listen("early", "a", { after: 0 });
  happen(item(3, "a"), item(3, "ab"));
  assert.equal(told().sort(), ["all 3 a", "all 3 ab", "early 1 a", "early 3 a", "one 3 a"]);
  assert.equal(told(), []);
  listen("late", "ab", { after: 2 });
  listen("ahead", "a", { after: 4 });
  happen(item(4, "a"));
  end();
  assert.equal(told(), ["late 3 ab", "one 4 a", "all 4 a"]);
  happen(item(5, "a"));
  assert.equal(told(), ["one 5 a", "ahead 5 a", "all 5 a"]);
});

test("[T6] whoever asks for more than is known is told so, with where it may go on", () => {
  const { listen, happen, told } = stage();
  for (let index = 1; index <= 9; index++) happen(item(index, "a"));
  told();
  assert.is(
    codeOf(() => listen("old", "a", { after: 2 })),
    "WATCH_TOO_OLD",
  );
  listen("known", "a", { after: 5 });
  assert.equal(told(), ["known 6 a", "known 7 a", "known 8 a", "known 9 a"]);
});

test("[T6] a snapshot that skips changes is told to those who miss some, and to nobody else", () => {
  const { listen, happen, replace, told } = stage();
  happen(item(1, "a"));
  listen("misses", "a");
  listen("later", "a", { after: 20 });
  told();
  const ahead = new Journal<JournalItem>(limits, {
    ...{ from: 18, floor: 18, dropped: [] },
    items: [item(19, "a"), item(21, "a")],
  });
  replace(ahead);
  assert.equal(told(), ["misses WATCH_TOO_OLD", "later 21 a"]);
  happen(item(22, "a"));
  assert.equal(told(), ["later 22 a"]);
});

test("[T6] what came before a node's replica was up to date is no news, but to whom has asked for it", () => {
  const { feed, listen, happen, told } = stage({ begins: false });
  happen(item(1, "a"), item(2, "a"));
  listen("now", "a");
  listen("since", "a", { after: 1 });
  happen(item(3, "a"), item(4, "a"));
  assert.equal(told(), []);
  feed.begin(3);
  assert.equal(told(), ["now 4 a", "since 2 a", "since 3 a", "since 4 a"]);
  happen(item(5, "a"));
  assert.equal(told(), ["now 5 a", "since 5 a"]);
  const late = stage({ begins: false });
  late.listen("old", "a", { after: 1 });
  for (let index = 1; index <= 9; index++) late.happen(item(index, "a"));
  late.feed.begin(9);
  assert.equal(late.told(), ["old WATCH_TOO_OLD"]);
});

test("[T6] a listener that throws, or ends another one, hurts nobody else", () => {
  const { feed, failures, listen, happen, told } = stage();
  const noise = { topic: "a", all: false, lost: () => {} };
  feed.listen(
    {
      ...noise,
      tell: () => {
        throw new Error("mine");
      },
    },
    null,
  );
  let end = () => {};
  feed.listen({ ...noise, tell: () => end() }, null);
  end = listen("ended", "a");
  listen("one", "a");
  happen(item(1, "a"));
  assert.equal(told(), ["one 1 a"]);
  assert.is(failures.length, 1);
});

test("[T7] a node has so many listeners, and one that ends makes place", () => {
  const { listen } = stage();
  const ends = Array.from({ length: listenersMax }, () => listen("one", "a"));
  assert.is(
    codeOf(() => listen("more", "a")),
    "TOO_MANY_WATCHES",
  );
  ends[0]?.();
  ends[0]?.();
  listen("more", "a");
  assert.is(
    codeOf(() => listen("more", "a")),
    "TOO_MANY_WATCHES",
  );
});

test("[T6] a journal keeps the newest, by count, bytes and age, and what happened at one index as a whole", () => {
  const journal = new Journal<JournalItem>(limits);
  const push = (...items: JournalItem[]) => {
    journal.trim(items[0]?.logTimeMs ?? 0);
    for (const each of items) journal.push(each);
  };
  push(item(1, "a"), item(1, "b"), item(1, "c"));
  push(item(2, "d"), item(2, "e"));
  assert.is(journal.from, 0);
  push(item(3, "f", 90));
  assert.is(journal.from, 1);
  assert.is(journal.after(0), null);
  assert.is(journal.after(1)?.length, 3);
  push(item(4, "g", 20));
  journal.trim(45);
  assert.equal([journal.from, journal.after(3)?.length], [3, 1]);
  journal.trim(91);
  assert.equal([journal.from, journal.last], [4, 4]);
  const again = new Journal<JournalItem>(limits, structuredClone(journal.state));
  assert.equal(again.state, journal.state);
});

test("[T6] of a topic that is quiet nothing is missing, however much has happened in others", () => {
  const { listen, happen, told } = stage();
  happen(item(1, "quiet"));
  for (let index = 2; index <= 9; index++) happen(item(index, "loud"));
  listen("since", "quiet", { after: 1 });
  assert.is(
    codeOf(() => listen("before", "quiet", { after: 0 })),
    "WATCH_TOO_OLD",
  );
  assert.is(
    codeOf(() => listen("all", "", { after: 1, all: true })),
    "WATCH_TOO_OLD",
  );
  happen(item(10, "quiet"));
  assert.equal(told(), ["since 10 quiet"]);
  // So many names are remembered; of others it is not known any more.
  for (let index = 11; index <= 20; index++) happen(item(index, `topic ${index}`));
  assert.is(
    codeOf(() => listen("other", "never heard of", { after: 10 })),
    "WATCH_TOO_OLD",
  );
  listen("other", "never heard of", { after: 16 });
});

test.run();
