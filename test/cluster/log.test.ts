import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeLog } from "../../server/cluster/log.ts";
import { describeError, exitCodeOf, NodeError } from "../../server/cluster/node-error.ts";
import { OptionError } from "../../server/cluster/option-error.ts";

test("[C11] a log line is one JSON line with node, time and event; below the level there is none", () => {
  const lines: string[] = [];
  const log = makeLog({
    node: "n1",
    level: "info",
    stream: { write: (line: string) => void lines.push(line) },
  });
  log.info({ event: "serving" }, "node n1 is\nserving");
  log.debug({}, "nothing");
  assert.is(lines.length, 1);
  const { time, ...fields } = JSON.parse(lines[0] as string) as Record<string, unknown>;
  assert.equal(fields, { level: 30, node: "n1", event: "serving", msg: "node n1 is\nserving" });
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.is(lines[0]?.trimEnd().includes("\n"), false);
});

test("[C11] the exit code says whether a new start may help", () => {
  const coded = (code: string) => Object.assign(new Error("x"), { code });
  assert.is(
    exitCodeOf(new OptionError({ option: "port", origin: { type: "default" }, value: 0, allowed: "more" })),
    2,
  );
  for (const code of ["OPTION_INVALID", "PORT_IN_USE", "LISTEN_FAILED", "PEERS_DIFFER"])
    assert.is(exitCodeOf(coded(code)), 2, code);
  for (const code of ["STORAGE_CORRUPT", "STORAGE_FOREIGN", "STORAGE_VERSION"])
    assert.is(exitCodeOf(coded(code)), 3, code);
  assert.is(exitCodeOf(coded("REMOVED")), 4);
  for (const error of [
    coded("STORAGE_LOCKED"),
    coded("STORAGE_FAILED"),
    new NodeError("DISK", "x"),
    new Error("x"),
    "x",
    null,
  ]) {
    assert.is(exitCodeOf(error), 70);
  }
});

test("[C11] an error is told in one line with its causes", () => {
  const error = new NodeError(
    "DISK",
    "the founding\ncould not be saved",
    new Error("no space", { cause: "ENOSPC" }),
  );
  assert.is(describeError(error), "the founding | could not be saved: no space: ENOSPC");
});

test.run();
