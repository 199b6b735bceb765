// test-run: seconds=120
/** Rooms with what studios write who have never heard of replicas: what a check says of each. */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RoomVerdict } from "../../server/check/room-verdict.ts";
import { testudo } from "../e2e/testudo-process.ts";

const app = join(import.meta.dirname, "studio/sins/app.config.ts");

/** By room: the verdict, and of each finding where it is, what it is and what is to be done. */
const expected: Record<string, { verdict: string; findings: [RegExp, RegExp, RegExp][] }> = {
  captured: {
    verdict: "change",
    findings: [
      [/rooms\.ts:19$/, /\(ann says "age"\) room\.state\.n differs/, /what a module draws or reads once/],
    ],
  },
  loop: {
    verdict: "change",
    findings: [[/rooms\.ts:30$/, /setInterval\(\) inside room.*use this\.clock/, /as it says/]],
  },
  fetching: {
    verdict: "change",
    findings: [[/rooms\.ts:40$/, /fetch\(\) inside room.*await this\.effect\(/, /as it says/]],
  },
  table: {
    verdict: "change",
    findings: [
      [/rooms\.ts:56$/, /room\.state\.n differs: \d+ against 1/, /not in a module global or a static/],
    ],
  },
  ability: {
    verdict: "change",
    findings: [
      [/rooms\.ts:75$/, /room\.state\.n differs: 0 against 1/, /a captured closure/],
      [/rooms\.ts:66$/, /instance of Ability, which is not listed/, /classes: \[Ability\]/],
      [/rooms\.ts:73$/, /\.cast is a function/, /transient: \["abilities"\]/],
    ],
  },
  bank: {
    verdict: "change",
    findings: [
      [/rooms\.ts:89$/, /whose #gold cannot be seen/, /transient \(onCreate makes it anew\)/],
      [/services\.ts:4$/, /instance of Bank, which is not listed/, /classes: \[Bank\]/],
    ],
  },
  openBank: {
    verdict: "change",
    findings: [
      [/rooms\.ts:86$/, /the handler of "deposit" waits for something outside/, /await this\.effect\(/],
      [/rooms\.ts:88$/, /room\.gold differs/, /module global or a static/],
    ],
  },
  events: {
    verdict: "declare",
    findings: [[/rooms\.ts:100$/, /instance of EventEmitter/, /transient: \["bus"\]/]],
  },
  sleeping: {
    verdict: "change",
    findings: [
      [
        /rooms\.ts:119$/,
        /handler of "slow": timers\/promises\.setTimeout\(\).*use this\.clock/,
        /as it says/,
      ],
      [/rooms\.ts:123$/, /handler of "slower": setTimeout\(\).*use this\.clock/, /as it says/],
    ],
  },
  clients: {
    verdict: "change",
    findings: [[/rooms\.ts:136$/, /handler of "ready" was registered at .* after onCreate/, /as it says/]],
  },
  teams: { verdict: "works", findings: [] },
  level: { verdict: "change", findings: [[/rooms\.ts:171$/, /readFileSync\(\) inside room/, /as it says/]] },
  bus: { verdict: "change", findings: [[/rooms\.ts:178$/, /room\.state\.n differs/, /in the same process/]] },
  serializer: { verdict: "works", findings: [] },
};

test("[Y174] what games do without a second thought is found with its place, and what to do instead; what is fine is let be", async () => {
  const { code, out } = await testudo("check", app, "--json");
  assert.is(code, 1);
  const verdicts = JSON.parse(out) as RoomVerdict[];
  assert.equal(verdicts.map(({ room }) => room).sort(), Object.keys(expected).sort());
  for (const { room, verdict, findings, declare } of verdicts) {
    const { verdict: due, findings: list } = expected[room] as (typeof expected)[string];
    const told = JSON.stringify(findings);
    assert.is(verdict, due, `${room}: ${told}`);
    assert.is(findings.length, list.length, `${room}: ${told}`);
    for (const [at, [place, what, remedy]] of list.entries()) {
      const found = findings[at];
      assert.match(found?.at ?? "", place, `${room}: ${told}`);
      assert.match(found?.what ?? "", what, `${room}: ${told}`);
      assert.match(found?.remedy ?? "", remedy, `${room}: ${told}`);
    }
    if (room === "events") assert.equal(declare, { classes: [], transient: ["bus"] });
  }
});

test.run();
