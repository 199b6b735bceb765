import { test } from "uvu";
import * as assert from "uvu/assert";
import { Client, NoNodeAnsweredError } from "../../client/testudo-client.ts";
import { quick, type StubRoom, until } from "./scene.ts";
import { StubCluster, type StubNode } from "./stub-node.ts";

async function cluster(
  run: (cluster: StubCluster, nodes: readonly [StubNode, StubNode, StubNode]) => Promise<void>,
): Promise<void> {
  const stub = new StubCluster();
  const nodes = [await stub.add(), await stub.add(), await stub.add()] as const;
  try {
    await run(stub, nodes);
  } finally {
    await stub.close();
  }
}

const thrown = async (promise: Promise<unknown>): Promise<unknown> =>
  await promise.then(
    () => null,
    (error: unknown) => error,
  );

test("[W10] the nearest node is taken, and the others are learned from it", async () => {
  await cluster(async (_, nodes) => {
    const client = new Client(nodes[1].url.replace("http:", "ws:"), quick);
    const room = (await client.joinOrCreate("arena")) as StubRoom;
    assert.equal(room.endpoint, { node: "n1", region: "here", url: nodes[1].url });
    assert.equal(
      client.endpoints.map(({ node }) => node),
      ["n1", "n0", "n2"],
    );
    await room.leave();
  });
});

test("[W9] nodes that are dead, frozen or unavailable are passed over", async () => {
  await cluster(async (stub, nodes) => {
    const fourth = await stub.add();
    await nodes[0].kill();
    nodes[1].frozen = true;
    nodes[2].refuseWith = 503;
    const urls = [...nodes, fourth].map(({ url }) => url);
    const room = (await new Client(urls, quick).joinOrCreate("arena")) as StubRoom;
    assert.is(room.endpoint?.url, fourth.url);
    await room.leave();
  });
});

test("[W9] a refusal by a live node is final", async () => {
  await cluster(async (_, nodes) => {
    nodes[0].refuseWith = 525;
    const client = new Client(
      nodes.map(({ url }) => url),
      quick,
    );
    const error = (await thrown(client.joinOrCreate("arena"))) as {
      name: string;
      code: number;
      message: string;
    };
    assert.is(error.name, "MatchMakeError");
    assert.is(error.code, 525);
    assert.match(error.message, /refused with 525/);
    assert.is(nodes[1].attachments.length, 0);
  });
});

test("[W9] if no node answers the error has each node's own", async () => {
  await cluster(async (stub, nodes) => {
    const urls = nodes.map(({ url }) => url);
    await stub.close();
    const error = await thrown(new Client(urls, quick).joinOrCreate("arena"));
    assert.instance(error, NoNodeAnsweredError);
    assert.equal(
      (error as NoNodeAnsweredError).attempts.map(({ endpoint }) => endpoint.url),
      urls,
    );
    assert.is((error as NoNodeAnsweredError).code, "NO_NODE_ANSWERED");
  });
});

test("[W9] a node that goes between the seat and the room is passed over, and the seat is kept", async () => {
  await cluster(async (stub, nodes) => {
    nodes[0].closeWith = 4010;
    const urls = nodes.map(({ url }) => url);
    const room = (await new Client(urls, quick).joinOrCreate("arena")) as StubRoom;
    assert.is(room.endpoint?.node, "n1");
    assert.is(stub.seats.size, 1);
    assert.is(nodes[0].attachments.length, 1);
    await room.leave();
  });
});

test("[W10] with order latency a node that answers goes before one that does not", async () => {
  await cluster(async (_, nodes) => {
    nodes[0].frozen = true;
    const urls = nodes.map(({ url }) => url);
    const client = new Client(urls, { ...quick, order: "latency" });
    const room = (await client.joinOrCreate("arena")) as StubRoom;
    assert.is(client.endpoints.at(-1)?.url, nodes[0].url);
    await room.leave();
  });
});

test("[W10] selectByLatency gives a client that goes to the nearest node that answers, and knows the others", async () => {
  await cluster(async (_, nodes) => {
    nodes[0].frozen = true;
    const [frozen, ...live] = nodes.map(({ url }) => url);
    const { hostname, port } = new URL(live[0] as string);
    const settings = { hostname, port: Number(port), secure: false };
    const client = await Client.selectByLatency([frozen as string, settings], quick, { pingCount: 2 });
    assert.instance(client, Client);
    assert.equal(
      client.endpoints.map(({ url }) => url),
      [live[0], frozen],
    );
    assert.is(client.settings.port, Number(port));
    const room = (await client.joinOrCreate("arena")) as StubRoom;
    assert.is(nodes[1].clients, 1);
    assert.equal(client.endpoints.map(({ url }) => url).toSorted(), [frozen, ...live].toSorted());
    await room.leave();
  });
});

test("[W10] selectByLatency says of each node why it is not the one, if none is", async () => {
  const gone = ["http://127.0.0.1:1", "http://127.0.0.1:2"];
  try {
    await Client.selectByLatency(gone, quick);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, NoNodeAnsweredError);
    assert.equal(
      (error as NoNodeAnsweredError).attempts.map(({ endpoint }) => endpoint.url).toSorted(),
      gone,
    );
  }
});

test("[W10] rooms joined at once share one look around", async () => {
  await cluster(async (stub, nodes) => {
    const client = new Client(nodes[0].url, quick);
    const rooms = await Promise.all([client.joinOrCreate("arena"), client.joinOrCreate("arena")]);
    assert.is(stub.seats.size, 2);
    await until(() => nodes[0].clients === 2, "two players");
    for (const room of rooms) await room.leave();
  });
});

test("[W12] a wrong option or url is refused with its name, its value and what is allowed", () => {
  const refused = (...given: ConstructorParameters<typeof Client>): string => {
    try {
      new Client(...given);
      return "taken";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const url = "http://127.0.0.1:1";
  assert.is(refused([]), "endpoints: []; allowed is one url or more");
  assert.match(refused("ftp://a"), /endpoint: ftp:\/\/a; allowed are ws/);
  assert.match(refused(["nonsense"]), /endpoint: nonsense; allowed are ws/);
  assert.match(refused(url, { silenceMs: 0 }), /silenceMs: 0; allowed is 51 to 120000/);
  assert.match(
    refused(url, { silenceMs: 400 }),
    /silenceMs: 400; allowed is more than pingIntervalMs \(500\)/,
  );
  assert.match(refused(url, { order: "nearest" as never }), /order: nearest; allowed are/);
  assert.match(refused(url, { outboxCommandsMax: Number.NaN }), /outboxCommandsMax: NaN; allowed is 1 to/);
  assert.match(refused(url, { protocol: "h3" } as never), /protocol: h3; allowed is only "ws"/);
  assert.is(refused({ hostname: "127.0.0.1", port: 1, secure: false }), "taken");
});

test.run();
