import { test } from "uvu";
import * as assert from "uvu/assert";
import { currentWorld, outsideWorld, runInWorld, settledOutside } from "../../server/session/sandbox.ts";
import { stillWorld } from "./still-world.ts";

const macrotask = <T>(act: () => T): Promise<T> =>
  new Promise((resolve, reject) =>
    setImmediate(() => {
      try {
        resolve(act());
      } catch (error) {
        reject(error);
      }
    }),
  );

test("[D24] what an apply leaves to microtasks runs within it, in its world, to the end", async () => {
  const one = stillWorld("one");
  const seen: (string | undefined)[] = [];
  await macrotask(() => {
    runInWorld(one, () => {
      void (async () => {
        for (let turn = 0; turn < 5; turn++) {
          await Promise.resolve();
          seen.push(currentWorld()?.label);
        }
        process.nextTick(() => seen.push(`tick in ${currentWorld()?.label}`));
      })();
    });
    assert.equal(seen, ["one", "one", "one", "one", "one", "tick in one"]);
    assert.is(currentWorld(), null);
  });
});

test("[D24] the node's own microtasks run before it, outside", async () => {
  await macrotask(() => {
    let label: string | null | undefined = "not run";
    queueMicrotask(() => {
      label = currentWorld()?.label ?? null;
    });
    runInWorld(stillWorld("one"), () => assert.is(label, null));
  });
});

test("[D24] a throw ends the apply, its microtasks run, and the world is left", async () => {
  await macrotask(() => {
    let ran = false;
    assert.throws(
      () =>
        runInWorld(stillWorld("one"), () => {
          queueMicrotask(() => {
            ran = true;
          });
          throw new Error("a bad apply");
        }),
      "a bad apply",
    );
    assert.equal([ran, currentWorld()], [true, null]);
  });
});

test("[D24] an apply inside an apply, or inside a promise's continuation, is a programmer's error", async () => {
  await macrotask(() =>
    assert.throws(
      () => runInWorld(stillWorld("one"), () => runInWorld(stillWorld("two"), () => {})),
      /two inside an apply of one/,
    ),
  );
  await Promise.resolve();
  assert.throws(() => runInWorld(stillWorld("one"), () => {}), /inside a promise's continuation/);
});

test("[D24] the node steps outside in the middle, and comes back; a room's promise settles outside", async () => {
  const one = stillWorld("one");
  const seen: unknown[] = [];
  await macrotask(() => {
    let resolve: (value: number) => void = () => {};
    const promise = new Promise<number>((settle) => {
      resolve = settle;
    });
    void settledOutside(promise).then(() => seen.push(currentWorld()));
    runInWorld(one, () => {
      seen.push(
        outsideWorld(() => currentWorld()),
        currentWorld()?.label,
      );
      resolve(5);
    });
  });
  await macrotask(() => {});
  assert.equal(seen, [null, "one", null]);
});

test.run();
