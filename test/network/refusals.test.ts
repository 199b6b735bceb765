import net from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WebSocketServer } from "ws";
import { closeCodes } from "../../server/network/close-reason.ts";
import { codecLimits } from "../../server/network/codec-limits.ts";
import { encodeFrame, frameVersion } from "../../server/network/frame.ts";
import {
  AcceptorHandshake,
  DialerHandshake,
  handshakeBytesMax,
  protocolVersion,
} from "../../server/network/handshake.ts";
import {
  identityOf,
  type LinkBench,
  type Stranger,
  secret,
  type TestNode,
  until,
  withBench,
} from "./link-bench.ts";

const nowhere = "ws://127.0.0.1:1";
const heartbeat = encodeFrame([
  { type: "heartbeat", sequence: 1, digest: 2, confirms: 3, takesLeads: true, echo: 4, echoDelayMs: 0 },
]);

/** The other side was told why, the node says so in its log, nothing was linked, and the node lives. */
async function assertRefused(
  bench: LinkBench,
  node: TestNode,
  stranger: Stranger,
  reason: keyof typeof closeCodes,
): Promise<void> {
  const text = await stranger.closeText();
  assert.ok(text.startsWith(`${reason}: `), text);
  assert.is(stranger.closed?.code, closeCodes[reason]);
  await until("a line in the log", () =>
    node.lines.some(({ level, fields }) => level === "warn" && fields.reason === reason),
  );
  assert.equal(node.events, []);
  await assertLives(bench, node, "a");
}

/** It can still be linked. */
async function assertLives(bench: LinkBench, node: TestNode, nodeId: string): Promise<void> {
  const before = node.ups(nodeId);
  await bench.impostor(node.url(), identityOf(nodeId));
  await until("a real node is linked", () => node.ups(nodeId) === before + 1);
}

const startB = (bench: LinkBench, more: object = {}): Promise<TestNode> =>
  bench.node("b", { peers: { a: nowhere }, ...more });

test(
  "[N20] a node with another secret is refused, and told so",
  withBench(async (bench) => {
    const b = await startB(bench);
    const stranger = await bench.impostor(b.url(), identityOf("a"), { secret: "quite another secret" });
    await assertRefused(bench, b, stranger, "SECRET_WRONG");
  }),
);

test(
  "[N20] two nodes with different secrets are not linked, and both say why, once",
  withBench(async (bench) => {
    const b = await startB(bench);
    const a = await bench.node("a", {
      peers: { b: b.url() },
      secret: "quite another secret",
      reconnectDelayMsMax: 20,
    });
    const wrong = (node: TestNode) => node.lines.filter(({ fields }) => fields.reason === "SECRET_WRONG");
    await until("both say so", () => wrong(a).length > 0 && wrong(b).length > 0);
    assert.is(wrong(a)[0]?.level, "warn");
    assert.is(wrong(a).length, 1);
    assert.equal([...a.events, ...b.events], []);
  }),
);

test(
  "[N20] who does not know the secret is not linked by accepting either",
  withBench(async (bench) => {
    // A false b: it relays a's own proof back to it, which is all that it can do.
    const falseB = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await new Promise((resolve) => falseB.once("listening", resolve));
    bench.onClose(() => {
      for (const ws of falseB.clients) ws.terminate();
      falseB.close();
    });
    falseB.on("connection", (ws) => {
      const self = identityOf("b");
      const { challenge } = new AcceptorHandshake({
        secret: "unknown to this one",
        self,
        nonce: new Uint8Array(32),
      });
      ws.send(challenge);
      ws.on("message", (hello: Buffer) => {
        const welcome = Buffer.concat([hello.subarray(0, 5), Buffer.from([3]), hello.subarray(6, 38)]);
        ws.send(welcome);
      });
    });
    const { port } = falseB.address() as net.AddressInfo;
    const a = await bench.node("a", { peers: { b: `ws://127.0.0.1:${port}` } });
    await until("a says so", () => a.lines.some(({ fields }) => fields.reason === "SECRET_WRONG"));
    assert.equal(a.events, []);
  }),
);

test(
  "[N21] a handshake that was overheard is worth nothing a second time",
  withBench(async (bench) => {
    const b = await startB(bench);
    const first = await bench.stranger(b.url());
    const handshake = new DialerHandshake({
      secret,
      self: identityOf("a"),
      nonce: new Uint8Array(32),
      meant: "b",
    });
    const hello = handshake.hello(first.received[0] as Buffer);
    const second = await bench.stranger(b.url());
    second.ws.send(hello);
    await assertRefused(bench, b, second, "SECRET_WRONG");
  }),
);

test(
  "[N22] a node of another protocol version is refused before its secret is looked at, and both versions are named",
  withBench(async (bench) => {
    const b = await startB(bench);
    const version = protocolVersion + 1;
    const stranger = await bench.impostor(b.url(), identityOf("a"), {
      version,
      secret: "quite another secret",
    });
    assert.match(await stranger.closeText(), `version ${version}; this node speaks ${protocolVersion}`);
    await assertRefused(bench, b, stranger, "VERSION_DIFFERS");
  }),
);

test(
  "[N22] a dialler tells a node of another version so",
  withBench(async (bench) => {
    const newer = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await new Promise((resolve) => newer.once("listening", resolve));
    bench.onClose(() => newer.close());
    const texts: string[] = [];
    newer.on("connection", (ws) => {
      ws.send(Buffer.from([0x54, 0x53, 0x54, 0x44, protocolVersion + 1, 1, 9, 9]));
      ws.on("close", (_code, text) => texts.push(text.toString()));
    });
    const { port } = newer.address() as net.AddressInfo;
    const a = await bench.node("a", { peers: { b: `ws://127.0.0.1:${port}` } });
    await until("it is told", () => texts.length > 0);
    assert.match(texts[0] as string, "VERSION_DIFFERS: protocol version");
    assert.ok(a.lines.some(({ fields }) => fields.reason === "VERSION_DIFFERS"));
    for (const ws of newer.clients) ws.terminate();
  }),
);

test(
  "[N23] a node of another cluster is refused; one that is of none yet is not",
  withBench(async (bench) => {
    const b = await startB(bench, { identity: identityOf("b", { clusterId: "cluster-1" }) });
    const stranger = await bench.impostor(b.url(), identityOf("a", { clusterId: "cluster-2" }));
    await assertRefused(bench, b, stranger, "CLUSTER_DIFFERS");
  }),
);

test(
  "[N23] a cluster that becomes known while running counts for later handshakes, and ends links to others",
  withBench(async (bench) => {
    const b = await bench.node("b", { peers: { a: nowhere, a2: nowhere } });
    const same = await bench.impostor(b.url(), identityOf("a", { clusterId: "cluster-1" }));
    const other = await bench.impostor(b.url(), identityOf("a2", { clusterId: "cluster-2" }));
    await until("both are up", () => b.ups("a") === 1 && b.ups("a2") === 1);
    b.links.setClusterId("cluster-1");
    assert.equal(b.downs("a2"), ["CLUSTER_DIFFERS"]);
    assert.equal(b.downs("a"), []);
    assert.match(await other.closeText(), "CLUSTER_DIFFERS");
    const late = await bench.impostor(b.url(), identityOf("a2", { clusterId: "cluster-2" }));
    assert.match(await late.closeText(), "CLUSTER_DIFFERS");
    assert.is(same.closed, null);
  }),
);

test(
  "[N24] a node that is not among the peers is refused",
  withBench(async (bench) => {
    const b = await startB(bench);
    await assertRefused(bench, b, await bench.impostor(b.url(), identityOf("aa")), "NODE_UNEXPECTED");
  }),
);

test(
  "[N24] a node that answers at another node's address is refused, and both say so",
  withBench(async (bench) => {
    const c = await bench.node("c", { peers: { a: nowhere } });
    const a = await bench.node("a", { peers: { b: c.url(), c: nowhere } });
    const said = (node: TestNode) => node.lines.some(({ fields }) => fields.reason === "NODE_UNEXPECTED");
    await until("both say so", () => said(a) && said(c));
    assert.equal([...a.events, ...c.events], []);
  }),
);

test(
  "[N24] a dialler refuses a node that proves to be another one than it dialled",
  withBench(async (bench) => {
    const c = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await new Promise((resolve) => c.once("listening", resolve));
    bench.onClose(() => c.close());
    const texts: string[] = [];
    c.on("connection", (ws) => {
      const handshake = new AcceptorHandshake({ secret, self: identityOf("c"), nonce: new Uint8Array(32) });
      ws.send(handshake.challenge);
      ws.once("message", (hello: Buffer) => {
        handshake.hello(hello);
        ws.send(handshake.welcome);
      });
      ws.on("close", (_code, text) => texts.push(text.toString()));
    });
    const { port } = c.address() as net.AddressInfo;
    const a = await bench.node("a", { peers: { b: `ws://127.0.0.1:${port}`, c: nowhere } });
    await until("c is told", () =>
      texts.some((text) => text.startsWith("NODE_UNEXPECTED: b is dialled, but c")),
    );
    assert.equal(a.events, []);
    for (const ws of c.clients) ws.terminate();
  }),
);

test(
  "[N24] a node is not linked to itself",
  withBench(async (bench) => {
    const b = await startB(bench);
    await assertRefused(bench, b, await bench.impostor(b.url(), identityOf("b")), "OWN_ID");
  }),
);

test(
  "[N24] the node whose id sorts later does not dial",
  withBench(async (bench) => {
    const b = await bench.node("b", { peers: { a: nowhere, c: nowhere } });
    await assertRefused(bench, b, await bench.impostor(b.url(), identityOf("c")), "DIRECTION_WRONG");
  }),
);

test(
  "[N25] a second node with an id that is linked and alive is refused; the first keeps its link",
  withBench(async (bench) => {
    const b = await startB(bench);
    const first = await bench.impostor(b.url(), identityOf("a"));
    await until("up", () => b.ups("a") === 1);
    const second = await bench.impostor(b.url(), identityOf("a", { storeId: "another" }));
    assert.match(await second.closeText(), "NODE_DUPLICATE: another node with the id a is linked and alive");
    assert.is(second.closed?.code, closeCodes.NODE_DUPLICATE);
    assert.is(first.closed, null);
    assert.equal(b.downs("a"), []);
    first.ws.send(heartbeat);
    await until("the first one is heard", () => b.received("a").length === 1);
  }),
);

test(
  "[N25] a second node with the id of a link that does not answer takes its place",
  withBench(async (bench) => {
    const b = await startB(bench, { pingTimeoutMs: 50, silenceMs: 60_000 });
    const frozen = await bench.impostor(b.url(), identityOf("a"));
    await until("up", () => b.ups("a") === 1);
    frozen.ws.pause();
    const next = identityOf("a");
    await bench.impostor(b.url(), next);
    await until("the next is up", () => b.ups("a") === 2);
    assert.equal(b.downs("a"), ["SILENT"]);
    const last = b.events.at(-1);
    assert.is(last?.type === "linkUp" && last.peer.bootId, next.bootId);
  }),
);

test(
  "[N25] the same process that dials again replaces its old link",
  withBench(async (bench) => {
    const b = await startB(bench);
    const identity = identityOf("a");
    const old = await bench.impostor(b.url(), identity);
    await until("up", () => b.ups("a") === 1);
    await bench.impostor(b.url(), identity);
    await until("up again", () => b.ups("a") === 2);
    assert.equal(b.downs("a"), ["REPLACED"]);
    assert.equal(
      b.events.map(({ type }) => type),
      ["linkUp", "linkDown", "linkUp"],
    );
    await old.closeText();
  }),
);

test(
  "[N26] a connection that says nothing is ended in time, and is told why",
  withBench(async (bench) => {
    const b = await startB(bench, { handshakeTimeoutMs: 50 });
    await assertRefused(bench, b, await bench.stranger(b.url()), "HANDSHAKE_TIMEOUT");
  }),
);

test(
  "[N26] a connection that does not even speak HTTP is ended in time",
  withBench(async (bench) => {
    const b = await startB(bench, { handshakeTimeoutMs: 50 });
    const socket = net.connect(b.links.address.port, "127.0.0.1");
    let closed = false;
    socket.on("error", () => {});
    socket.on("close", () => {
      closed = true;
    });
    await until("it is closed", () => closed);
  }),
);

test(
  "[N26] a node that stops does not wait for those who say nothing",
  withBench(async (bench) => {
    const b = await startB(bench, { handshakeTimeoutMs: 60_000 });
    const stranger = await bench.stranger(b.url());
    const socket = net.connect(b.links.address.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\n");
    await new Promise((resolve) => socket.once("connect", resolve));
    let closed = false;
    void b.links.close().then(() => {
      closed = true;
    });
    await until("b is closed", () => closed);
    assert.match(await stranger.closeText(), "CLOSING: b stops");
    socket.destroy();
  }),
);

test(
  "[N26] a flood of silent connections neither grows without limit nor locks a real node out",
  withBench(async (bench) => {
    const pendingConnectionsMax = 8;
    const b = await startB(bench, { pendingConnectionsMax, handshakeTimeoutMs: 60_000 });
    const strangers = await Promise.all(Array.from({ length: 20 }, () => bench.stranger(b.url())));
    const sockets = Array.from({ length: 20 }, () => net.connect(b.links.address.port, "127.0.0.1"));
    let ended = 0;
    for (const socket of sockets) socket.on("error", () => {}).on("close", () => ended++);
    bench.onClose(() => sockets.forEach((socket) => void socket.destroy()));
    // Every stranger is older than the last eight sockets.
    await until("all strangers are gone", () => strangers.every(({ closed }) => closed !== null));
    await until("all sockets but eight are gone", () => ended === 12);
    assert.match(strangers[0]?.closed?.text ?? "", "CONNECTIONS_TOO_MANY");
    await assertLives(bench, b, "a");
    const lines = b.lines.filter(({ fields }) => fields.reason === "CONNECTIONS_TOO_MANY");
    assert.ok(lines.length < 20, "the flood does not fill the log");
  }),
);

test(
  "[N26] before a connection is authenticated it may send little only",
  withBench(async (bench) => {
    const b = await startB(bench);
    const stranger = await bench.stranger(b.url());
    stranger.ws.send(Buffer.alloc(handshakeBytesMax + 1));
    await until("it is closed", () => stranger.closed !== null);
    assert.is(stranger.closed?.code, 1009);
    await until("a line", () => b.lines.some(({ fields }) => fields.reason === "HANDSHAKE_GARBLED"));
    await assertLives(bench, b, "a");
  }),
);

for (const [what, bytes] of [
  ["nothing", Buffer.alloc(0)],
  ["noise", Buffer.from("GET / HTTP/1.1")],
  ["a step out of turn", Buffer.from([0x54, 0x53, 0x54, 0x44, protocolVersion, 4])],
  ["a frame", Buffer.from(heartbeat)],
] as const) {
  test(
    `[N26] ${what} instead of a hello is refused`,
    withBench(async (bench) => {
      const b = await startB(bench);
      const stranger = await bench.stranger(b.url());
      stranger.ws.send(bytes);
      await assertRefused(bench, b, stranger, "HANDSHAKE_GARBLED");
    }),
  );
}

/** A linked peer sends this; the link ends, the node goes on. */
function badFrame(
  reason: keyof typeof closeCodes,
  bytes: Uint8Array | string,
  text: string,
): () => Promise<void> {
  return withBench(async (bench) => {
    const b = await startB(bench);
    const a = await bench.impostor(b.url(), identityOf("a"));
    await until("up", () => b.ups("a") === 1);
    a.ws.send(heartbeat);
    a.ws.send(bytes);
    a.ws.send(heartbeat);
    assert.match(await a.closeText(), text);
    assert.is(a.closed?.code, closeCodes[reason]);
    assert.equal(b.downs("a"), [reason]);
    assert.is(b.received("a").length, 1, "what came before counts, what came after does not");
    const line = b.lines.find(({ fields }) => fields.reason === reason);
    assert.is(line?.level, "warn");
    await assertLives(bench, b, "a");
  });
}

const unknown = heartbeat.slice();
unknown[5] = 200;
const newer = heartbeat.slice();
newer[0] = frameVersion + 1;

test(
  "[N30] a garbled frame ends the link with the reason, not the node",
  badFrame("FRAME_GARBLED", heartbeat.subarray(0, 9), "FRAME_GARBLED: byte 9"),
);
test(
  "[N30] a text message is a garbled frame",
  badFrame("FRAME_GARBLED", "hello", "FRAME_GARBLED: byte 0: a text message"),
);
test(
  "[N30] a frame of another version ends the link",
  badFrame("FRAME_VERSION", newer, "FRAME_VERSION: byte 0"),
);
test(
  "[N30] an unknown message ends the link",
  badFrame("MESSAGE_UNKNOWN", unknown, "MESSAGE_UNKNOWN: byte 5: message type 200"),
);

test(
  "[N30] a frame that is too long ends the link before it is read to its end",
  withBench(async (bench) => {
    const b = await startB(bench);
    const a = await bench.impostor(b.url(), identityOf("a"));
    await until("up", () => b.ups("a") === 1);
    a.ws.send(Buffer.alloc(codecLimits.frameBytesMax + 1));
    await until("down", () => b.downs("a").length === 1);
    assert.equal(b.downs("a"), ["FRAME_TOO_LONG"]);
    await until("the other side is closed", () => a.closed !== null);
    await assertLives(bench, b, "a");
  }),
);

test(
  "[N30] the longest frame that is allowed is taken",
  withBench(async (bench) => {
    const { a, b } = await bench.pair({ a: { bufferedBytesMax: 16 * 1024 * 1024 } });
    const body = new Uint8Array(codecLimits.frameBytesMax - 11);
    a.links.send("b", { type: "gossip", version: 1, body });
    await until("it came", () => b.received("a").length === 1);
    const [message] = b.received("a");
    assert.is(message?.type === "gossip" && message.body.length, body.length);
    assert.equal([...a.downs("b"), ...b.downs("a")], []);
  }),
);

test.run();
