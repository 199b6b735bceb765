import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  EndpointList,
  endpointsMax,
  endpointUrl,
  readEndpoints,
  settingsUrl,
} from "../../client/endpoints.ts";

test("[W10] one address has one spelling", () => {
  for (const spelling of ["http://A.example:80/", "ws://a.example", "http://a.example"]) {
    assert.is(endpointUrl(spelling), "http://a.example");
  }
  assert.is(endpointUrl("wss://a.example/games/"), "https://a.example/games");
  assert.is(
    settingsUrl({ hostname: "a.example", secure: true, port: 443, pathname: "/x" }),
    "https://a.example/x",
  );
});

test("[W10] a node's answer is read with care", () => {
  assert.is(readEndpoints(null), null);
  assert.is(readEndpoints({ endpoints: "no" }), null);
  assert.equal(
    readEndpoints({
      endpoints: [null, { url: 7 }, { url: "::" }, { url: "ws://a:1", node: "n", region: 3 }],
    }),
    [{ url: "http://a:1", node: "n" }],
  );
  const many = Array.from({ length: 1_000 }, (_, n) => ({ url: `http://a:${n + 1}` }));
  assert.is(readEndpoints({ endpoints: many })?.length, endpointsMax);
});

test("[W10] given urls come first and stay; learned ones are replaced", () => {
  const list = new EndpointList(["ws://a:1", "ws://b:1", "ws://a:1/"]);
  list.learn([
    { url: "http://c:1", node: "c" },
    { url: "http://b:1", node: "b" },
  ]);
  assert.equal(list.all, [
    { url: "http://a:1" },
    { url: "http://b:1", node: "b" },
    { url: "http://c:1", node: "c" },
  ]);
  list.learn([{ url: "http://d:1", node: "d" }]);
  assert.equal(
    list.all.map(({ url }) => url),
    ["http://a:1", "http://b:1", "http://d:1"],
  );
  assert.equal(
    list.from({ url: "http://a:1" }).map(({ url }) => url),
    ["http://b:1", "http://d:1", "http://a:1"],
  );
});

test("[W10] measured nodes go before the others, the quickest first", () => {
  const list = new EndpointList(["ws://a:1", "ws://b:1", "ws://c:1"]);
  list.measured(
    new Map([
      ["http://c:1", 3],
      ["http://b:1", 9],
    ]),
  );
  assert.equal(
    list.all.map(({ url }) => url),
    ["http://c:1", "http://b:1", "http://a:1"],
  );
});

test.run();
