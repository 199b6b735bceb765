import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkLinksOptions, type LinksOptions, linksDefaults } from "../../server/network/links-options.ts";
import { identityOf, secret } from "./link-bench.ts";

const good: LinksOptions = {
  identity: identityOf("a"),
  secret,
  listen: { host: "127.0.0.1", port: 0 },
  peers: { a: "ws://127.0.0.1:1", b: "ws://127.0.0.1:2", c: "wss://node-c.example" },
};

test("[N40] what is not given is the default, and the node's own address is no peer", () => {
  const checked = checkLinksOptions(good);
  assert.equal(checked.limits, { ...linksDefaults });
  assert.equal([...checked.peers.keys()], ["b", "c"]);
  assert.is(checked.impairments.size, 0);
});

test("[N40] an imitated line is known by its peer", () => {
  const checked = checkLinksOptions({ ...good, linkDelayMs: { b: 5 }, linkLoss: { b: 0.1, c: 0 } });
  assert.equal([...checked.impairments], [["b", { delayMs: 5, jitterMs: 0, loss: 0.1 }]]);
});

const wrong: readonly (readonly [what: string, options: Partial<LinksOptions>, message: RegExp])[] = [
  ["a short secret", { secret: "short" }, /option secret is 5 bytes; allowed: at least 16 bytes/],
  [
    "an empty nodeId",
    { identity: { ...good.identity, nodeId: "" } },
    /identity\.nodeId is ""; allowed: 1 to 255 bytes/,
  ],
  ["an empty clusterId", { identity: { ...good.identity, clusterId: "" } }, /identity\.clusterId/],
  [
    "a port out of range",
    { listen: { host: "x", port: 70_000 } },
    /listen\.port is 70000; allowed: .* 0 to 65535/,
  ],
  ["an address that is none", { peers: { b: "b:1" } }, /peers\.b is "b:1"; allowed: an address like ws:/],
  ["an http address", { peers: { b: "http://b:1" } }, /peers\.b/],
  ["a negative delay", { linkDelayMs: { b: -1 } }, /linkDelayMs\.b is -1; allowed: a number from 0 to 60000/],
  ["a loss above 1", { linkLoss: { b: 1.5 } }, /linkLoss\.b is 1\.5; allowed: a number from 0 to 1/],
  ["a delay to nobody", { linkDelayMs: { z: 1 } }, /linkDelayMs is z; allowed: nodeIds of the peers/],
  ["no time for silence", { silenceMs: 0 }, /silenceMs is 0; allowed: a whole number from 20/],
  ["half a byte", { bufferedBytesMax: 5000.5 }, /bufferedBytesMax is 5000\.5; allowed: a whole number/],
  [
    "a floor above the ceiling",
    { reconnectDelayMsMin: 2000 },
    /reconnectDelayMsMin is 2000; allowed: at most reconnectDelayMsMax/,
  ],
];

for (const [what, options, message] of wrong) {
  test(`[N40] ${what} is refused with option, value and what is allowed`, () => {
    try {
      checkLinksOptions({ ...good, ...options });
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code?: string }).code, "OPTION_INVALID", String(error));
      assert.match((error as Error).message, message);
    }
  });
}

test.run();
