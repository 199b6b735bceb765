import { test } from "uvu";
import * as assert from "uvu/assert";
import { keeperRoutes } from "../../server/admin/keeper-routes.ts";
import { EmbeddedKeeper } from "../../server/cluster/embedded-keeper.ts";

const embedded = new EmbeddedKeeper();
const { kv, locks } = embedded.keeper;
const routes = keeperRoutes(embedded.keeper);
/** An embedded keeper does not keep its process alive. */
const stay = setInterval(() => {}, 1_000);

async function asked(path: string, body: unknown, query = ""): Promise<string> {
  const route = routes.find((each) => each.path === path);
  try {
    const response = undefined as never;
    return JSON.stringify(await route?.answer({ query: new URLSearchParams(query), body, response }));
  } catch (error) {
    const { status, code, message } = error as { status: number; code: string; message: string };
    return `${status} ${code}: ${message}`;
  }
}

test("[C93] what an operator's request has wrong is told with its place and what is allowed, and nothing is done", async () => {
  await kv.put("a", 1);
  const lock = await locks.acquire("pen");
  const pen = { name: "pen", claimant: "c" };
  for (const [path, body, words] of [
    ["kv", null, /^400 GARBLED: .*expected object/],
    ["kv", { type: "rename", key: "a" }, /^400 GARBLED: .*get.*put.*at type|^400 GARBLED: .*\n.*at type/s],
    ["kv", { type: "put", key: 7, value: 2 }, /^400 GARBLED: .*expected string, received number\n.*at key/s],
    ["kv", { type: "put", key: "a", value: 2, often: 1 }, /^400 GARBLED: .*Unrecognized key: "often"/s],
    ["kv", { type: "put", key: "", value: 2 }, /^409 ARGUMENT: the key takes 0 bytes in UTF-8: 1 to 1024/],
    ["kv", { type: "put", key: "a", value: "x".repeat(49_152) }, /^409 VALUE_TOO_BIG: .* 49152 are allowed/],
    ["kv", { type: "put", key: "a", value: 2, expiresInMs: -1 }, /^409 ARGUMENT: expiresInMs is -1: whole/],
    [
      "kv",
      { type: "put", key: "a", value: 2, fence: { name: "pen", token: 1e9 } },
      /^409 FENCED: the lock "pen" is not held with the token 1000000000/,
    ],
    ["kv", { type: "cas", key: "a", expected: {}, value: 2 }, /^400 GARBLED: .*at expected/s],
    ["kv", { type: "get", key: "a", consistency: "soon" }, /^400 GARBLED: .*at consistency/s],
    [
      "lock",
      { type: "acquire", ...pen, leaseMs: 1, waitMs: null },
      /^409 ARGUMENT: leaseMs is 1: whole .* 100 to/,
    ],
    [
      "lock",
      { type: "acquire", ...pen, name: "", leaseMs: 1e3, waitMs: 0 },
      /^409 ARGUMENT: the lock's name takes 0/,
    ],
    ["lock", { type: "steal", ...pen }, /^400 GARBLED: .*at type/s],
    ["lock", { type: "release", name: "pen", claimant: "" }, /^400 GARBLED: .*at claimant/s],
    // Not its claim.
    ["lock", { type: "release", ...pen }, /^\{"wasThere":false\}$/],
    ["lock", { type: "renew", ...pen }, /^\{"isHeld":false\}$/],
  ] as const)
    assert.match(await asked(path, body), words, `${path} ${JSON.stringify(body)?.slice(0, 100)}`);
  assert.is((await kv.get("a")).value, 1);
  assert.is(await locks.isHeld("pen", lock?.token ?? 0), true);
  await lock?.release();
});

test.after(async () => {
  clearInterval(stay);
  await embedded.stop();
});

test.run();
