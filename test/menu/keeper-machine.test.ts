import { test } from "uvu";
import * as assert from "uvu/assert";
import { realClock } from "../../server/cluster/clock.ts";
import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import { Keeper } from "../../server/menu/keeper.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import { type KeeperMachine, keeperCommand } from "../../server/menu/keeper-machine.ts";
import { kvMenu } from "../../server/menu/kv-menu.ts";
import { lockMenu } from "../../server/menu/lock-menu.ts";
import { presenceMenu } from "../../server/menu/presence-menu.ts";
import { encodeValue } from "../../server/menu/value-codec.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { storageLimits } from "../../server/storage/storage-limits.ts";

const newMachine = () => {
  const { machine } = new Keeper({ clock: realClock, newId: () => "id", failed: () => {}, guard: () => {} });
  machine.beginRestore();
  machine.endRestore();
  return machine;
};

const increment = (key: string) =>
  keeperCommand(
    "kv",
    kvMenu.encode("transact", { conditions: [], do: [{ type: "increment", key, by: 1 }], else: [] }),
  );
const putPassing = (key: string, expiresInMs: number | null, value: unknown = 1) =>
  keeperCommand(
    "kv",
    kvMenu.encode("transact", {
      conditions: [],
      do: [{ type: "put", key, value: encodeValue(value), expiresInMs }],
      else: [],
    }),
  );

const entry = (
  index: number,
  id: [node: string, boot: number, sequence: number],
  command: Uint8Array,
): AppliedCommand => ({
  ...{ index, term: 1, logTimeMs: index * 10, wallTimeMs: 0, level: 1, command },
  id: { nodeId: id[0], bootCount: id[1], sequence: id[2] },
});

/** What was counted, or the refusal's code; "gap". */
function given(result: ApplyResult): unknown {
  if (result.type === "gap") return "gap";
  const value = result.value as {
    type: string;
    code?: string;
    value?: { results?: { value: unknown }[] } | null;
  };
  return value.type === "refused" ? value.code : value.value?.results?.[0]?.value;
}

function restored(machine: KeeperMachine): KeeperMachine {
  const other = newMachine();
  other.beginRestore();
  for (const part of ["kv", "presence"]) other.restorePart(part, machine.save(part));
  other.endRestore();
  return other;
}

test("[T5] a proposal is carried out once: asked for again it has its result, out of turn it waits", () => {
  const machine = newMachine();
  assert.is(given(machine.apply(entry(1, ["A", 1, 1], increment("n")))), 1);
  assert.is(given(machine.apply(entry(2, ["A", 1, 3], increment("n")))), "gap");
  assert.is(given(machine.apply(entry(3, ["A", 1, 2], increment("n")))), 2);
  assert.is(given(machine.apply(entry(4, ["B", 1, 1], increment("n")))), 3);
  assert.is(given(machine.apply(entry(5, ["A", 1, 1], increment("n")))), 1);
  assert.is(given(machine.apply(entry(6, ["A", 1, 2], increment("n")))), 2);
  assert.is(given(machine.apply(entry(7, ["A", 1, 3], increment("n")))), 4);
  // Another start of the node: nobody of the earlier one waits.
  assert.is(given(machine.apply(entry(8, ["A", 2, 1], increment("n")))), 5);
  assert.is(given(machine.apply(entry(9, ["A", 1, 4], increment("n")))), "APPLIED_RESULT_FORGOTTEN");
  assert.is(given(machine.apply(entry(10, ["A", 2, 2], increment("n")))), 6);
});

test("[T5] so many results of a node are remembered; past that it is told that it was done", () => {
  const machine = newMachine();
  const { resultsKeptMax } = keeperLimits;
  for (let sequence = 1; sequence <= resultsKeptMax + 1; sequence++)
    machine.apply(entry(sequence, ["A", 1, sequence], increment("n")));
  const index = resultsKeptMax + 2;
  assert.is(given(machine.apply(entry(index, ["A", 1, 1], increment("n")))), "APPLIED_RESULT_FORGOTTEN");
  assert.is(given(machine.apply(entry(index + 1, ["A", 1, 2], increment("n")))), 2);
  assert.is(
    given(machine.apply(entry(index + 2, ["A", 1, resultsKeptMax + 2], increment("n")))),
    resultsKeptMax + 2,
  );
});

test("[T5] a replica that was restored goes on as the others do, results included, and skips what it contains", () => {
  const machine = newMachine();
  for (let index = 1; index <= 20; index++)
    machine.apply(
      entry(
        index,
        ["A", 1, index],
        index % 3 === 0 ? putPassing(`p${index}`, 45) : increment(`n${index % 2}`),
      ),
    );
  const other = restored(machine);
  assert.equal(other.contents(), machine.contents());
  assert.equal([...other.dirty()], []);
  assert.equal(other.apply(entry(20, ["A", 1, 20], increment("n0"))), { type: "done", value: null });
  for (const each of [machine, other]) {
    assert.is(given(each.apply(entry(21, ["A", 1, 19], increment("n1")))), 7);
    assert.is(given(each.apply(entry(22, ["A", 1, 21], increment("n1")))), 8);
  }
  assert.equal(other.contents(), machine.contents());
  assert.is(other.nextTickMs(), machine.nextTickMs());
});

test("[T5] menus that were saved at different moments come to the same", () => {
  const machine = newMachine();
  const publish = (text: string) =>
    keeperCommand(
      "presence",
      presenceMenu.encode("call", { method: "publish", args: ["c", text], once: null }),
    );
  const commands = Array.from({ length: 30 }, (_, at) => {
    const command =
      at % 3 === 0 ? increment("n") : at % 3 === 1 ? publish(`m${at}`) : putPassing(`p${at}`, 60);
    return entry(at + 1, ["A", 1, at + 1], command);
  });
  const checkpoints = new Map<string, Checkpoint>();
  for (const command of commands.slice(0, 20)) {
    machine.apply(command);
    if (command.index === 8) checkpoints.set("presence", machine.save("presence"));
    if (command.index === 14) checkpoints.set("kv", machine.save("kv"));
  }
  const other = newMachine();
  other.beginRestore();
  for (const [part, checkpoint] of checkpoints) other.restorePart(part, checkpoint);
  other.endRestore();
  for (const command of commands.slice(0, 20)) other.apply(command);
  assert.equal(other.contents(), machine.contents());
  const [one, another] = [machine, other].map((each) =>
    commands.slice(20).map((command) => each.apply(command)),
  );
  assert.equal(one, another);
  assert.equal(other.contents(), machine.contents());
});

test("[T36] whether a lock is held is looked up as of the write's own place in the log, also by who was restored meanwhile", () => {
  const machine = newMachine();
  const bound = (token: number) => {
    const fence = { name: "l", token };
    const put = { type: "put", key: "k", value: encodeValue(1), expiresInMs: null } as const;
    return keeperCommand("kv", kvMenu.encode("transact", { conditions: [], do: [put], else: [], fence }));
  };
  const lock = (name: "acquire" | "release", more: object) =>
    keeperCommand("lock", lockMenu.encode(name, { name: "l", claimant: "c", ...more } as never));
  const commands = [
    lock("acquire", { leaseMs: 100, waitMs: null }),
    bound(1),
    bound(2),
    lock("release", {}),
    bound(1),
    lock("acquire", { leaseMs: 100, waitMs: null, claimant: "d" }),
    bound(1),
    bound(6),
    // Another's command, at which the lease is over.
    ...Array.from({ length: 10 }, () => increment("n")),
    bound(6),
  ].map((command, at) => entry(at + 1, ["A", 1, at + 1], command));
  const codes = commands.map((command) => given(machine.apply(command)) ?? "done");
  const bounds = [1, 2, 4, 6, 7, 18].map((at) => codes[at]);
  assert.equal(
    bounds,
    [null, "FENCED", "FENCED", "FENCED", null, "FENCED"].map((code) => code ?? "done"),
  );
  // Whenever it was saved, who goes on from there comes to the same.
  for (let until = 1; until < commands.length; until++) {
    const saving = newMachine();
    for (const command of commands.slice(0, until)) saving.apply(command);
    const other = restored(saving);
    for (const command of commands.slice(Math.max(0, until - 3))) other.apply(command);
    assert.equal(other.contents(), machine.contents());
  }
});

test("[T7] whatever is kept, a checkpoint is not bigger than one may be", () => {
  const machine = newMachine();
  let index = 0;
  const propose = (command: Uint8Array) => {
    index += 1;
    return given(machine.apply(entry(index, [`node ${index % 5}`, 1, Math.ceil(index / 5)], command)));
  };
  const call = (method: "set" | "publish" | "get", key: string, value: string, once: string | null = null) =>
    keeperCommand("presence", presenceMenu.encode("call", { method, args: [key, value], once }));
  // What is the least for what it counts: values without much around them; keys of the usual length.
  while (propose(putPassing(`k${index}`, null, "v".repeat(48_000))) !== "FULL");
  while (propose(call("set", `k${index}`, "v".repeat(48_000))) !== "FULL");
  for (let number = 0; number < 100; number++) propose(call("publish", "c", "v".repeat(48_000)));
  for (let number = 0; number < 400; number++)
    propose(call("get", "c", "", `call ${number} ${"x".repeat(900)}`));
  for (let number = 0; number < 100; number++) propose(putPassing("k0", null, "w".repeat(48_000)));
  for (const part of ["kv", "presence"]) {
    const { bytes } = machine.save(part);
    assert.ok(bytes.length < storageLimits.checkpointBytesMax, `${part}: ${bytes.length} bytes`);
    assert.ok(bytes.length > 2 << 20, `${part}: ${bytes.length} bytes`);
  }
  while (propose(increment(`n${index}`)) !== "FULL");
  // Locks are saved with kv: so many claims, with names as long as they may be.
  const acquire = { leaseMs: 300_000, waitMs: null, claimant: "c".repeat(64) };
  const acquired = () => lockMenu.encode("acquire", { ...acquire, name: `${index}`.padEnd(1_024, "l") });
  while (propose(keeperCommand("lock", acquired())) !== "FULL");
  const { bytes } = machine.save("kv");
  assert.ok(bytes.length < storageLimits.checkpointBytesMax, `kv with locks: ${bytes.length} bytes`);
});

test("[T37] bytes are counted as they are written: texts of other scripts make no bigger checkpoint", () => {
  const machine = newMachine();
  let index = 0;
  const propose = (command: Uint8Array) => {
    index += 1;
    return given(machine.apply(entry(index, ["A", 1, index], command)));
  };
  const call = (method: "set" | "publish" | "get", key: string, value: string, once: string | null = null) =>
    keeperCommand("presence", presenceMenu.encode("call", { method, args: [key, value], once }));
  const text = "語".repeat(15_000);
  const check = () => {
    const { bytes } = machine.save("presence");
    assert.ok(bytes.length < storageLimits.checkpointBytesMax, `${bytes.length} bytes`);
  };
  while (propose(call("set", `k${index}`, text)) !== "FULL");
  for (let number = 0; number < 1_000; number++) propose(call("get", "c", "", `${number}`.padEnd(300, "語")));
  for (let number = 0; number < 500; number++) propose(call("publish", `${number}`.padEnd(300, "語"), ""));
  check();
  for (let number = 0; number < 100; number++) propose(call("publish", "c", text));
  check();
  assert.equal(restored(machine).contents(), machine.contents());
});

test("[T5] whoever reads during a restore finds what there was, until all is back", async () => {
  const { machine, count } = readable();
  machine.apply(entry(1, ["A", 1, 1], increment("n")));
  const checkpoint = machine.save("kv");
  machine.apply(entry(2, ["A", 1, 2], increment("n")));
  machine.beginRestore();
  assert.is(await count(), 2);
  machine.restorePart("kv", checkpoint);
  assert.is(await count(), 2);
  machine.endRestore();
  assert.is(await count(), 1);
});

function readable() {
  const keeper = new Keeper({ clock: realClock, newId: () => "id", failed: () => {}, guard: () => {} });
  const { machine } = keeper;
  machine.beginRestore();
  machine.endRestore();
  keeper.bind({
    propose: () => Promise.reject(),
    read: async () => ({ index: 0, ageMs: 0 }),
    talk: { self: "A", members: () => ["A"], tell: () => {} },
    level: { level: 1, heldBackBy: () => [] },
  });
  return { machine, count: async () => (await keeper.kv.get("n")).value };
}

test("[T3] a tick is due when the next key expires, and only then; it takes what is due with it", () => {
  const machine = newMachine();
  assert.is(machine.nextTickMs(), null);
  machine.apply(entry(1, ["A", 1, 1], putPassing("a", 25)));
  machine.apply(entry(2, ["A", 1, 2], putPassing("b", 100)));
  assert.is(machine.nextTickMs(), 35);
  machine.apply(entry(3, ["A", 1, 3], machine.tickCommand()));
  assert.is(machine.nextTickMs(), 35);
  machine.apply(entry(4, ["A", 1, 4], machine.tickCommand()));
  assert.is(machine.nextTickMs(), 120);
  machine.apply(entry(12, ["A", 1, 5], machine.tickCommand()));
  assert.is(machine.nextTickMs(), null);
});

test("[T4] what is refused is the same on every replica, and is remembered like any result", () => {
  const machine = newMachine();
  const value = "x".repeat(40_000);
  let index = 0;
  let refused: unknown = null;
  while (refused !== "FULL") {
    index += 1;
    refused = given(machine.apply(entry(index, ["A", 1, index], putPassing(`k${index}`, null, value))));
  }
  assert.is(index, Math.floor(keeperLimits.bytesMax / 40_300) + 1);
  assert.is(given(restored(machine).apply(entry(index + 1, ["A", 1, index], putPassing("k", null)))), "FULL");
});

test.run();
