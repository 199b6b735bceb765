import { test } from "uvu";
import * as assert from "uvu/assert";
import { Progress } from "../../server/raft/progress.ts";

const member = { nodeId: "b", storeId: "b-disk" };
const nowMs = 1_000;

/** Entry 10 is the last that it has on its disk; it is heard, and sent what follows. */
function replicating(): Progress {
  const progress = new Progress(member, { nextIndex: 11, nowMs });
  progress.acknowledged({ matchIndex: 10, receivedIndex: 10, nowMs });
  progress.replicate({ receivedIndex: 10, unsavedBytes: 0 });
  return progress;
}

const load = ({ inFlightEntries, inFlightBytes, unsavedEntries, unsavedBytes }: Progress) => [
  [inFlightEntries, inFlightBytes],
  [unsavedEntries, unsavedBytes],
];
const waiting = ({ state }: Progress) => (state.type === "replicating" ? state.waitingSinceMs : "not");

test("[R25] what is on its way, and what waits for the follower's disk, is counted in entries and bytes", () => {
  const progress = replicating();
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [0, 0],
        [0, 0],
      ],
      null,
    ],
  );
  progress.sent({ lastIndex: 12, bytes: 20, nowMs: 1_010 });
  progress.sent({ lastIndex: 15, bytes: 30, nowMs: 1_020 });
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [5, 50],
        [5, 50],
      ],
      1_010,
    ],
  );
  assert.not(progress.acknowledged({ matchIndex: 10, receivedIndex: 12, nowMs: 1_030 }));
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [3, 30],
        [5, 50],
      ],
      1_030,
    ],
  );
  assert.ok(progress.acknowledged({ matchIndex: 12, receivedIndex: 15, nowMs: 1_040 }));
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [0, 0],
        [3, 30],
      ],
      1_040,
    ],
  );
  assert.ok(progress.acknowledged({ matchIndex: 15, receivedIndex: 15, nowMs: 1_050 }));
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [0, 0],
        [0, 0],
      ],
      null,
    ],
  );
});

test("[R25] an answer that tells nothing new changes nothing, and does not count as one", () => {
  const progress = replicating();
  progress.sent({ lastIndex: 12, bytes: 20, nowMs: 1_010 });
  const before = structuredClone(progress.state);
  assert.not(progress.acknowledged({ matchIndex: 10, receivedIndex: 10, nowMs: 1_500 }));
  assert.not(progress.acknowledged({ matchIndex: 3, receivedIndex: 4, nowMs: 1_600 }));
  assert.equal([progress.state, progress.matchIndex], [before, 10]);
});

test("[R25] an answer to what was sent before the last probe may tell of more than was sent since", () => {
  const progress = replicating();
  progress.sent({ lastIndex: 12, bytes: 20, nowMs: 1_010 });
  progress.acknowledged({ matchIndex: 10, receivedIndex: 20, nowMs: 1_020 });
  assert.equal(load(progress), [
    [0, 0],
    [2, 20],
  ]);
  assert.ok(progress.acknowledged({ matchIndex: 20, receivedIndex: 20, nowMs: 1_030 }));
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [0, 0],
        [0, 0],
      ],
      null,
    ],
  );
  assert.is((progress.state as { nextIndex: number }).nextIndex, 21);
});

test("[R25] what was received and not saved before replicating begins is unsaved, and waited for", () => {
  const progress = replicating();
  progress.replicate({ receivedIndex: 14, unsavedBytes: 40 });
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [0, 0],
        [4, 40],
      ],
      nowMs,
    ],
  );
  progress.acknowledged({ matchIndex: 14, receivedIndex: 14, nowMs: 1_100 });
  assert.equal(
    [load(progress), waiting(progress)],
    [
      [
        [0, 0],
        [0, 0],
      ],
      null,
    ],
  );
});

test("[R25] a probe is moved on by an answer that is beyond it, and by no other", () => {
  const progress = new Progress(member, { nextIndex: 5, nowMs });
  assert.equal(load(progress), [
    [0, 0],
    [0, 0],
  ]);
  const at = (matchIndex: number) => {
    progress.acknowledged({ matchIndex, receivedIndex: matchIndex, nowMs });
    return progress.state;
  };
  assert.equal(at(4), { type: "probing", nextIndex: 5, dueMs: nowMs });
  assert.equal(at(5), { type: "probing", nextIndex: 6, dueMs: nowMs });
  assert.equal(at(9), { type: "probing", nextIndex: 10, dueMs: nowMs });
});

test("[R25] what cannot be ends the process: a probe of what matches, entries ahead of a probe", () => {
  const progress = new Progress(member, { nextIndex: 1, nowMs });
  progress.acknowledged({ matchIndex: 4, receivedIndex: 4, nowMs });
  assert.throws(
    () => progress.probe({ nextIndex: 4, dueMs: nowMs }),
    /probing at 4, at or below what matches, 4/,
  );
  assert.throws(() => progress.replicate({ receivedIndex: 3, unsavedBytes: 0 }), /received 3, and saved 4/);
  assert.throws(
    () => progress.sent({ lastIndex: 6, bytes: 1, nowMs }),
    /only a replicating follower is sent entries ahead/,
  );
});

test.run();
