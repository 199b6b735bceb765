import type { StandardSchemaV1 } from "@standard-schema/spec";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { z } from "zod";
import { command, commandBytesMax, defineMenu, MenuError } from "../../server/menu/menu.ts";
import type { HeldBack } from "../../server/raft/level.ts";

interface Tally {
  total: number;
  indexes: number[];
}

/** A Standard Schema that nobody's library made. */
const evenNumber: StandardSchemaV1<unknown, number> = {
  "~standard": {
    version: 1,
    vendor: "by hand",
    validate: (value) =>
      typeof value === "number" && value % 2 === 0
        ? { value }
        : { issues: [{ message: "an even number is expected", path: ["amounts", { key: 3 }] }] },
  },
};

const slow: StandardSchemaV1<unknown, number> = {
  "~standard": { version: 1, vendor: "by hand", validate: async () => ({ value: 1 }) },
};

const menu = defineMenu({
  name: "tally",
  commands: {
    add: command(
      z.object({ by: z.number().int(), note: z.string().optional() }),
      (state: Tally, { by }, context) => {
        state.total += by;
        state.indexes.push(context.index);
        return state.total;
      },
    ),
    addEven: command(evenNumber, (state: Tally, by) => {
      state.total += by;
      return state.total;
    }),
    blob: command(z.custom<Uint8Array>(), (_state: Tally, bytes) => bytes.length),
    wait: command(slow, () => 0),
  },
  queries: { total: (state: Tally) => state.total },
});

const context = { index: 7, logTimeMs: 10, wallTimeMs: 20, level: 1 };

function failure(act: () => unknown): MenuError {
  try {
    act();
  } catch (error) {
    assert.instance(error, MenuError);
    return error as MenuError;
  }
  throw new Error("nothing was thrown");
}

test("[M1] a command is checked by its schema, encoded, decoded and applied; its value is the proposer's", () => {
  const state: Tally = { total: 1, indexes: [] };
  const bytes = menu.encode("add", { by: 4, note: "x" });
  assert.equal(menu.decode(bytes), { name: "add", argument: { by: 4, note: "x" } });
  assert.is(menu.apply(state, bytes, context), 5);
  assert.equal(state, { total: 5, indexes: [7] });
  assert.is(menu.queries.total(state), 5);
});

test("[M2] any Standard Schema will do: zod's, and one that is written by hand", () => {
  assert.is(menu.apply({ total: 0, indexes: [] }, menu.encode("addEven", 8), context), 8);
  const refused = failure(() => menu.encode("addEven", 3));
  assert.is(refused.code, "MENU_ARGUMENT");
  assert.match(refused.message, '"tally.addEven" was refused: amounts.3: an even number is expected');
});

test("[M2] an argument that fails is refused with its path and the schema's words; unknown fields go nowhere", () => {
  const refused = failure(() => menu.encode("add", { by: 1.5, note: 3 } as never));
  assert.is(refused.code, "MENU_ARGUMENT");
  assert.match(refused.message, /by: .*int.*; note: .*string/);
  assert.equal(menu.decode(menu.encode("add", { by: 1, extra: 2 } as never)).argument, { by: 1 });
});

test("[M2] a schema that answers later is refused: a command is checked at once", () => {
  assert.match(failure(() => menu.encode("wait", 1)).message, "asynchronous");
});

test("[M3] a command that is not on the menu is refused by name and by number", () => {
  const byName = failure(() => menu.encode("subtract" as "add", { by: 1 }));
  assert.is(byName.code, "MENU_UNKNOWN_COMMAND");
  assert.match(byName.message, "add, addEven, blob, wait");
  for (const bytes of [Uint8Array.of(4), Uint8Array.of(255, 1), new Uint8Array(0)]) {
    const byNumber = failure(() => menu.decode(bytes));
    assert.is(byNumber.code, "MENU_UNKNOWN_COMMAND");
    assert.match(byNumber.message, "0 to 3");
  }
});

test("[M4] garbled bytes are told as such, wherever they are cut", () => {
  const bytes = menu.encode("add", { by: 70_000, note: "a note" });
  for (let length = 1; length < bytes.length; length++) {
    assert.is(failure(() => menu.decode(bytes.subarray(0, length))).code, "MENU_GARBLED");
  }
  assert.is(failure(() => menu.decode(Uint8Array.of(...bytes, 1))).code, "MENU_GARBLED");
});

test("[M5] a command has at most 64 KiB", () => {
  const overhead = menu.encode("blob", new Uint8Array(60_000)).length - 60_000;
  assert.is(menu.encode("blob", new Uint8Array(commandBytesMax - overhead)).length, commandBytesMax);
  const refused = failure(() => menu.encode("blob", new Uint8Array(commandBytesMax - overhead + 1)));
  assert.is(refused.code, "MENU_TOO_LONG");
  assert.match(refused.message, `takes at most ${commandBytesMax} bytes, this is ${commandBytesMax + 1}`);
});

test("[M6] the order of a menu is its numbers: commands added at the end leave the others' bytes alone", () => {
  const noted = z.null();
  const one = (name: string) => command(noted, (state: string[]) => state.push(name));
  const before = defineMenu({ name: "m", commands: { first: one("first"), second: one("second") } });
  const after = defineMenu({
    name: "m",
    commands: { first: one("first"), second: one("second"), third: one("third") },
  });
  const state: string[] = [];
  for (const bytes of [before.encode("second", null), before.encode("first", null)])
    after.apply(state, bytes, context);
  assert.equal(state, ["second", "first"]);
  assert.is(after.encode("third", null)[0], 2);
});

test("[M6] a menu has 1 to 255 commands", () => {
  assert.throws(() => defineMenu({ name: "empty", commands: {} }), /1 to 255/);
  const many = Object.fromEntries(
    Array.from({ length: 256 }, (_, at) => [`c${at}`, command(z.null(), () => 0)]),
  );
  assert.throws(() => defineMenu({ name: "many", commands: many }), /has 256/);
});

test("[M7] a command with a codec of its own goes behind its number like any other, and garbled it is told as such", () => {
  const codec = {
    encode(argument: number, headroom: number): Uint8Array {
      const bytes = new Uint8Array(headroom + 1);
      bytes[headroom] = argument;
      return bytes;
    },
    decode(bytes: Uint8Array): number {
      if (bytes.length !== 1) throw new RangeError("one byte is expected");
      return bytes[0] as number;
    },
  };
  const own = defineMenu({
    name: "own",
    commands: {
      plain: command(z.null(), () => 0),
      coded: command(z.number(), (_state: null, argument) => argument + 1, { codec }),
    },
  });
  assert.equal(own.encode("coded", 9), Uint8Array.of(1, 9));
  assert.is(own.apply(null, own.encode("coded", 9), context), 10);
  assert.is(failure(() => own.decode(Uint8Array.of(1, 2, 3))).code, "MENU_GARBLED");
});

interface Levelled {
  readonly heard: string[];
}

/** As the next version of a menu has it: a command more, and another meaning of the one that there was. */
const next = defineMenu({
  name: "levelled",
  commands: {
    say: command(z.string(), (state: Levelled, text, { level }) =>
      state.heard.push(level >= 2 ? text.toUpperCase() : text),
    ),
    shout: command(z.string(), (state: Levelled, text) => state.heard.push(`${text}!`), { since: 2 }),
  },
});
const agreedOn = (level: number, ...heldBack: readonly HeldBack[]) => ({ level, heldBackBy: () => heldBack });

test("[V26] a command that came with a level is proposed to nobody who has not agreed on it, with who is missing", () => {
  assert.is(next.encode("shout", "hi", agreedOn(2))[0], 1);
  assert.is(next.encode("shout", "hi", agreedOn(3))[0], 1);
  assert.is(next.encode("say", "hi", agreedOn(1))[0], 0);
  const missing = [
    { nodeId: "n2", levelMax: null },
    { nodeId: "n3", levelMax: 1 },
  ];
  const refused = failure(() => next.encode("shout", "hi", agreedOn(1, ...missing)));
  assert.is(refused.code, "MENU_TOO_NEW");
  assert.match(
    refused.message,
    /"levelled.shout" needs level 2, its group has agreed on 1: .* all nodes run .*; n2 is not there, n3 knows only 1$/,
  );
  // Whoever does not say what is agreed on has what every version knows.
  assert.is(failure(() => next.encode("shout", "hi")).code, "MENU_TOO_NEW");
  assert.is(next.encode("say", "hi")[0], 0);
});

test("[V26] what a command does otherwise from a level on goes by the level in its place in the log", () => {
  const state: Levelled = { heard: [] };
  const bytes = next.encode("say", "hi");
  for (const level of [1, 2, 3]) next.apply(state, bytes, { ...context, level });
  assert.equal(state.heard, ["hi", "HI", "HI"]);
});

test.run();
