import { test } from "uvu";
import * as assert from "uvu/assert";
import { Vigil } from "../../client/vigil.ts";
import { until } from "./scene.ts";

test("[W3] a quiet node is asked, then given up, once", async () => {
  const seen: string[] = [];
  const vigil = new Vigil(
    { pingIntervalMs: 40, silenceMs: 400 },
    { ping: () => seen.push("ping"), silent: () => seen.push("silent") },
  );
  await until(() => seen.includes("silent"), "the end");
  vigil.stop();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(seen[0], "ping");
  assert.is(seen.filter((what) => what === "silent").length, 1);
  assert.is(seen.at(-1), "silent");
});

test("[W3] a late clock of one's own is no silence of the node: it is asked first", async () => {
  const seen: string[] = [];
  const vigil = new Vigil(
    { pingIntervalMs: 50, silenceMs: 500 },
    { ping: () => seen.push("ping"), silent: () => seen.push("silent") },
  );
  // As after a sleep: nothing ran for twice the silence.
  const wake = performance.now() + 1_000;
  while (performance.now() < wake);
  await new Promise((resolve) => setTimeout(resolve, 0));
  await until(() => seen.length > 0, "a sign");
  vigil.stop();
  assert.is(seen[0], "ping");
});

test.run();
