import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = join(import.meta.dirname, "../..");

test("every file and folder that ARCHITECTURE.md names is there", () => {
  const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  const named = [...text.matchAll(/`((?:client|server|shared|test)\/[^`]+)`/g)].map(
    ([, path]) => path as string,
  );
  assert.ok(named.length > 50, `${named.length} are named`);
  assert.equal(
    named.filter((path) => !existsSync(join(root, path))),
    [],
  );
});

test.run();
