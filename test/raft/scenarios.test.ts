import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runScenario } from "./scenario.ts";

const folder = join(import.meta.dirname, "scenarios");
const names = readdirSync(folder);
const scenariosMin = 40;

for (const name of names) {
  test(`[R110] ${name.replace(/\.txt$/, "").replaceAll("-", " ")}`, () => {
    const written = readFileSync(join(folder, name), "utf8");
    // To renew it: npm run scenarios -- --rewrite, and read what changed.
    assert.fixture(runScenario(written), written, `test/raft/scenarios/${name} says otherwise`);
  });
}

test(`[R110] there are at least ${scenariosMin} scenarios, and each begins with what it shows and where that is said`, () => {
  assert.ok(names.length >= scenariosMin, `there are ${names.length}`);
  for (const name of names) {
    assert.match(name, /^[a-z0-9-]+\.txt$/);
    const [first = ""] = readFileSync(join(folder, name), "utf8").split("\n");
    assert.match(first, /^# [A-Z].*\.$/, `${name} does not begin with a sentence`);
    assert.match(first, /§\d|[Ff]igure \d|design \d/, `${name} does not say where that is said`);
  }
});

test("[R110] what is no step, or cannot be done, is told with its line", () => {
  assert.throws(() => runScenario("cluster n1 n2 n3\nn1 dances"), /n1 dances: a scenario has no step like/);
  assert.throws(() => runScenario("cluster n1 n2 n3\ndeliver"), /deliver: nothing of that kind is under way/);
  assert.throws(() => runScenario("n1 times out"), /begins with its cluster/);
  assert.throws(() => runScenario("cluster n1 n2 with pace=9"), /the core has no option pace/);
});

test.run();
