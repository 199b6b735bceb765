// test-run: seconds=400
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, CloseCode, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { protocolVersion } from "../../server/network/handshake.ts";
import { type Cluster, type End, NodeProcess, sleep, unhurried } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

const test = suite("bad input");

type Strict = Room<unknown, { readonly count: number }>;

/** Colyseus's codes for what matchmaking refuses. */
const codes = {
  noHandler: 520,
  noCriteria: 521,
  noRoom: 522,
  unhandled: 523,
  expired: 524,
  application: 526,
};
const secret = "0123456789abcdef";
const level = { level: 1 };
const magic = "TSTD";

let cluster: Cluster;
const others: NodeProcess[] = [];

const shown = shareCluster(test, { main: "test/e2e/rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

test.after(async () => {
  await Promise.all(others.map((process) => process.end("SIGKILL")));
});

/** What the nodes have to stand: afterwards they live, and an honest player's room has lost nothing. */
function bad(name: string, run: () => Promise<void>): void {
  shown(name, async () => {
    assert.equal(
      cluster.ids.filter((id) => cluster.process(id).isOver),
      [],
      "all nodes live",
    );
    const honest = await create();
    assert.is(await honest.request("add", { by: 3 }), 3);
    await run();
    await cluster.ready();
    assert.is(await honest.request("add", { by: 4 }), 7);
    await honest.leave();
    assert.equal(
      cluster.ids.filter((id) => cluster.process(id).isOver),
      [],
      "all nodes live",
    );
  });
}

function url(at = 0): string {
  return cluster.urls[at % cluster.urls.length] ?? "";
}

function own(room: unknown): Strict {
  const strict = room as Strict;
  strict.reconnection.enabled = false;
  return strict;
}

async function create(name = "strict"): Promise<Strict> {
  return own(await new Client(url()).create(name, level));
}

async function joinById(roomId: string, at = 1): Promise<Strict> {
  return own(await new Client(url(at)).joinById(roomId, level));
}

async function rejected(attempt: Promise<unknown>): Promise<Error & { code?: unknown }> {
  try {
    await attempt;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was let through");
}

function left(room: Strict): Promise<{ code: number; reason: string }> {
  return new Promise((resolve) => {
    room.onLeave((code, reason) => resolve({ code, reason: reason ?? "" }));
    room.onDrop((code, reason) => resolve({ code, reason: reason ?? "" }));
  });
}

/** A process beside the cluster. @param args after those that keep it away from everything else */
function lone(args: readonly string[]): NodeProcess {
  const process = new NodeProcess(join(import.meta.dirname, "../../server/main.ts"), [
    "--config=none",
    ...args,
  ]);
  others.push(process);
  return process;
}

function lastLines(process: NodeProcess): string[] {
  return process.lines.filter((line) => line.startsWith("testudo: "));
}

async function endOf(process: NodeProcess): Promise<End> {
  await cluster.until(`its end after ${process.lines.join("\n")}`, () => process.isOver);
  return await process.ended;
}

// ---- processes ------------------------------------------------------------------------------------------------------

bad("[E8] a wrong option, wherever it stands, ends the process with 2 and one line", async () => {
  const file = join(cluster.data, "wrong.json");
  writeFileSync(file, '{ "peerport": 1 }');
  const cases = [
    [["--prot=2567"], /--prot.*perhaps --port/],
    [["--port=65536"], /port.*"65536".*1 to 65535/],
    [["--peers=n2=http://127.0.0.1:1", `--secret=${secret}`], /peers.*ws:/],
    [["--peers=n2=ws://127.0.0.1:1"], /secret.*given with --peers/],
    [[`--config=${file}`], /peerport.*perhaps peerPort/],
  ] as const;
  const data = `--data=${join(cluster.data, "never")}`;
  for (const { process, words } of cases.map(([args, words]) => ({
    process: lone([data, ...args]),
    words,
  }))) {
    assert.equal(await endOf(process), { code: 2, signal: null }, process.lines.join("\n"));
    assert.is(lastLines(process).length, 1, process.lines.join("\n"));
    assert.match(lastLines(process)[0] ?? "", words);
  }
});

bad("[E8] a port that another node serves is refused with 2 and one line", async () => {
  const { port, peerPort } = cluster.planOf("n1");
  const free = [`--id=twin`, `--port=${port + 50}`, `--peer-port=${peerPort + 50}`];
  for (const [which, taken] of [
    ["client", `--port=${port}`],
    ["peer", `--peer-port=${peerPort}`],
  ] as const) {
    const process = lone([...free, taken, `--data=${join(cluster.data, `twin-${which}`)}`]);
    assert.equal(await endOf(process), { code: 2, signal: null }, process.lines.join("\n"));
    assert.is(lastLines(process).length, 1);
    assert.match(
      lastLines(process)[0] ?? "",
      new RegExp(`PORT_IN_USE.*${which === "client" ? port : peerPort}`),
    );
  }
});

bad(
  "[E8] a data folder that is open, or another node's, is refused, and is none the worse for it",
  async () => {
    const { port, peerPort, args } = cluster.planOf("n1");
    const free = [`--port=${port + 51}`, `--peer-port=${peerPort + 51}`];
    const data = args.find((arg) => arg.startsWith("--data=")) ?? "";
    const open = lone([`--id=n1`, ...free, data]);
    const { code } = await endOf(open);
    assert.ok(code !== 0 && code !== null, `exit code ${code}`);
    assert.match(lastLines(open)[0] ?? "", /STORAGE_LOCKED/);

    const folder = join(cluster.data, "moved");
    mkdirSync(folder);
    const first = lone(["--id=first", ...free, `--data=${folder}`]);
    await cluster.until("the first node serves", () =>
      first.lines.some((line) => line.includes('"serving"')),
    );
    assert.equal(await first.end("SIGTERM"), { code: 0, signal: null });
    const second = lone(["--id=second", ...free, `--data=${folder}`]);
    assert.equal(await endOf(second), { code: 3, signal: null }, second.lines.join("\n"));
    assert.match(lastLines(second)[0] ?? "", /STORAGE_FOREIGN.*first/);
    const again = lone(["--id=first", ...free, `--data=${folder}`]);
    await cluster.until("the first node serves again", () =>
      again.lines.some((line) => line.includes('"serving"')),
    );
    assert.equal(await again.end("SIGTERM"), { code: 0, signal: null });
  },
);

bad(
  "[E8] a node with another secret never belongs to the cluster; both sides say why; the real one is let in",
  async () => {
    await cluster.process("n3").end("SIGTERM");
    const args = cluster.planOf("n3").args.filter((arg) => !/^--(secret|data)/.test(arg));
    const impostor = lone([
      ...args,
      "--secret=quite-another-secret",
      `--data=${join(cluster.data, "impostor")}`,
    ]);
    await cluster.until("the impostor is told", () =>
      impostor.lines.some((line) => line.includes("SECRET_WRONG")),
    );
    await cluster.until("the cluster says so", () =>
      cluster.process("n1").lines.some((line) => line.includes("SECRET_WRONG")),
    );
    const answer = await fetch(`${cluster.url("n3")}/testudo/ready`).catch(() => null);
    assert.ok(answer === null || answer.status === 503, "the impostor does not serve");
    await impostor.end("SIGKILL");
    cluster.launch("n3");
    await cluster.ready();
  },
);

// ---- the port for other nodes ---------------------------------------------------------------------------------------

/** A stranger at a node's peer port, who says this; how the node ends it. */
async function strangerSays(
  words: (challenge: Buffer) => Buffer | string,
): Promise<{ code: number; text: string }> {
  const socket = new WebSocket(`ws://127.0.0.1:${cluster.planOf("n1").peerPort}`);
  socket.on("error", () => {});
  const ended = new Promise<{ code: number; text: string }>((resolve) => {
    socket.once("close", (code, text) => resolve({ code, text: text.toString() }));
  });
  socket.once("message", (challenge: Buffer) => socket.send(words(challenge)));
  return await ended;
}

bad("[E9] a peer of another version, a garbled frame and one too long are refused by name", async () => {
  for (const [words, reason] of [
    // The head of a hello: magic, version, step.
    [
      () => Buffer.concat([Buffer.from(magic), Buffer.from([99, 2]), Buffer.alloc(80)]),
      /^VERSION_DIFFERS: .*99/,
    ],
    [() => Buffer.from("GET / HTTP/1.1"), /^HANDSHAKE_GARBLED: /],
    [() => "text", /^HANDSHAKE_GARBLED: /],
    [() => Buffer.alloc(0), /^HANDSHAKE_GARBLED: /],
    [(challenge: Buffer) => challenge, /^HANDSHAKE_GARBLED: /],
    [
      () => Buffer.concat([Buffer.from(magic), Buffer.from([protocolVersion, 2]), Buffer.alloc(80)]),
      /^SECRET_WRONG: /,
    ],
  ] as const) {
    const { text } = await strangerSays(words);
    assert.match(text, reason);
  }
  const { code, text } = await strangerSays(() => Buffer.alloc(1_000_000));
  assert.ok(code === 1009 || text.startsWith("HANDSHAKE_GARBLED"), `${code} ${text}`);
  const reasons = cluster.process("n1").lines.filter((line) => /VERSION_DIFFERS/.test(line));
  assert.ok(reasons.length > 0, "the node's log says so");
});

// ---- players --------------------------------------------------------------------------------------------------------

for (const type of ["unheard of", "constructor", "__proto__", "toString"]) {
  bad(`[E10] a message type that the room does not know (${type})`, async () => {
    const room = await create();
    const error = await rejected(room.request(type));
    assert.is(error.name, "no_handler");
    assert.match(error.message, type);
    assert.is(await room.request("count"), 0);
    const gone = left(room);
    room.send(type, { any: 1 });
    const { code, reason } = await gone;
    assert.is(code, CloseCode.WITH_ERROR);
    assert.match(reason, type);
  });
}

bad(
  "[E10] an argument that does not fit its schema: a request is told what, a message ends the connection",
  async () => {
    const room = await create();
    for (const argument of [
      undefined,
      null,
      {},
      { by: 0 },
      { by: 11 },
      { by: "1" },
      { by: Number.NaN },
      [1],
      "add",
    ]) {
      const { message } = await rejected(room.request("add", argument));
      assert.match(message, /by|expected|Invalid/i, JSON.stringify(argument));
    }
    assert.is(await room.request("count"), 0);
    const gone = left(room);
    room.send("add", { by: 11 });
    assert.is((await gone).code, CloseCode.WITH_ERROR);
  },
);

bad(
  "[E10] a message that is too big ends the connection, in words or by the protocol's own code",
  async () => {
    for (const [bytes, expected] of [
      [50_000, { code: CloseCode.WITH_ERROR, reason: /at most 49152 bytes/ }],
      // Past this the frame is not even read.
      [100_000, { code: 1009, reason: /^/ }],
    ] as const) {
      const room = await create();
      const gone = left(room);
      room.send("text", "x".repeat(bytes));
      const { code, reason } = await gone;
      assert.is(code, expected.code, reason);
      assert.match(reason, expected.reason);
    }
    const room = await create();
    assert.is(await room.request("text", "x".repeat(48_000)), 48_000);
    await room.leave();
  },
);

bad("[E10] too many messages: past the room's rate, and past what may be on its way", async () => {
  const quick = await create();
  const rated = left(quick);
  for (let n = 0; n < 60; n++) quick.send("add", { by: 1 });
  assert.is((await rated).code, CloseCode.WITH_ERROR);
  // What came before the limit counts.
  const flood = await create();
  const refused = left(flood);
  for (let n = 0; n < 5_000; n++) flood.send("count");
  const { code, reason } = await refused;
  assert.ok(code === CloseCode.WITH_ERROR || code === CloseCode.MAY_TRY_RECONNECT, `${code} ${reason}`);
});

bad("[E11] a full room: joinById is told, joinOrCreate finds another", async () => {
  const first = await create();
  const second = await joinById(first.roomId);
  for (const at of [0, 1, 2]) {
    const error = await rejected(new Client(url(at)).joinById(first.roomId, level));
    assert.is(error.code, codes.noRoom);
    assert.match(error.message, /full|locked/);
  }
  const elsewhere = own(await new Client(url(2)).joinOrCreate("strict", level));
  assert.is.not(elsewhere.roomId, first.roomId);
  await second.leave();
  // Who leaves makes room, on every node.
  const third = await cluster.until(
    "a seat is free",
    async () => await joinById(first.roomId, 2).catch(() => null),
  );
  for (const room of [elsewhere, third, first]) await room.leave();
});

bad("[E11] a seat that nobody took in time is gone, and the room is not full for it", async () => {
  const room = await create("fleeting");
  const seat = (await (
    await fetch(`${url()}/matchmake/joinById/${room.roomId}`, {
      method: "POST",
      body: JSON.stringify(level),
      headers: { "content-type": "application/json" },
    })
  ).json()) as never;
  await sleep(1_500);
  const error = await rejected(new Client(url()).consumeSeatReservation(seat));
  assert.is(error.code, codes.expired, error.message);
  assert.match(error.message, /expired/);
  const second = await joinById(room.roomId);
  for (const one of [second, room]) await one.leave();
});

/** A socket of one's own to a seat, with this token: what the node says. */
async function forced(room: Strict, token: string, at = 1): Promise<string> {
  const socket = new WebSocket(
    `${url(at).replace("http", "ws")}/testudo/${room.roomId}?sessionId=${room.sessionId}&reconnectionToken=${token}`,
  );
  const said: string[] = [];
  socket.on("error", (error) => said.push(error.message));
  socket.on("message", (data: Buffer) => said.push(data.toString("latin1")));
  const [code] = await new Promise<[number]>((resolve) =>
    socket.once("close", (closed) => resolve([closed])),
  );
  return `${code} ${said.join(" ")}`;
}

bad("[E11] a token that is forged, or of another seat, opens nothing, and its owner plays on", async () => {
  const room = await create();
  const other = await create();
  const [, token = ""] = room.reconnectionToken.split(":");
  for (const forged of [
    `${room.roomId}:forged`,
    `${other.roomId}:${token}`,
    `${room.roomId}:${"x".repeat(200)}`,
    "no-such-room:token",
  ]) {
    for (const at of [0, 1]) {
      const error = await rejected(new Client(url(at)).reconnect(forged));
      assert.ok(typeof error.code === "number", `${forged}: ${error.message}`);
      assert.match(error.message, /token|not found|no longer|disposed/i, `${forged}: ${error.message}`);
    }
  }
  for (const forged of ["forged", "", "x".repeat(200), other.reconnectionToken.split(":")[1] ?? ""]) {
    assert.match(await forced(room, forged), /token|expired|40\d\d/);
  }
  assert.is(await room.request("add", { by: 1 }), 1);
  for (const one of [room, other]) await one.leave();
});

bad("[E11] another seat's token does not open the seat of a player whose node has died", async () => {
  const tokenOf = ({ reconnectionToken }: Strict) => reconnectionToken.split(":")[1] ?? "";
  const orphan = own(await new Client(url(2)).create("strict", level));
  const neighbour = await joinById(orphan.roomId);
  assert.is(await orphan.request("add", { by: 1 }), 1);
  await cluster.kill("n3");
  const intrude = async () => {
    for (const token of [tokenOf(neighbour), `${tokenOf(orphan)}x`, ""])
      for (const at of [0, 1]) assert.match(await forced(orphan, token, at), /token|expired|40\d\d/);
  };
  await intrude();
  assert.is(await neighbour.request("add", { by: 1 }), 2);
  const back = own(await new Client(url(0)).reconnect(orphan.reconnectionToken));
  assert.is(back.sessionId, orphan.sessionId);
  // Its seat is taken now, by itself; and the token that it came by has been used.
  await intrude();
  assert.is(await back.request("add", { by: 1 }), 3);
  assert.match(await forced(back, tokenOf(orphan), 1), /token|expired|40\d\d/);
  assert.is(await back.request("add", { by: 1 }), 4);
  assert.is(await neighbour.request("add", { by: 1 }), 5);
  cluster.launch("n3");
  await cluster.ready();
  for (const one of [neighbour, back]) await one.leave();
});

bad("[E11] a socket that names no seat, or a seat that nobody has, is closed", async () => {
  const room = await create();
  for (const path of [
    "/testudo/nowhere99?sessionId=1",
    `/testudo/${room.roomId}`,
    `/testudo/${room.roomId}?sessionId=`,
    `/testudo/${room.roomId}?sessionId=nobody`,
    `/testudo/${room.roomId}?sessionId=${"x".repeat(300)}`,
    // The seat is taken, and this is not its player.
    `/testudo/${room.roomId}?sessionId=${room.sessionId}`,
  ]) {
    for (const at of [0, 1]) {
      const socket = new WebSocket(`${url(at).replace("http", "ws")}${path}`);
      socket.on("error", () => {});
      const code = await new Promise<number>((resolve) => socket.once("close", resolve));
      assert.ok(code > 1000, `${path}: ${code}`);
    }
  }
  assert.is(await room.request("add", { by: 1 }), 1);
  await room.leave();
});

bad("[E11] a token that was used is used up once the next one is acknowledged", async () => {
  const room = await create();
  const used = room.reconnectionToken;
  const gone = left(room);
  room.connection.close();
  await gone;
  const back = own(await new Client(url(1)).reconnect(used));
  assert.is.not(back.reconnectionToken, used);
  // Answered after the acknowledgement, which went before it.
  assert.is(await back.request("add", { by: 1 }), 1);
  for (const at of [0, 1, 2]) {
    const error = await rejected(new Client(url(at)).reconnect(used));
    assert.is(error.code, codes.expired, error.message);
  }
  assert.match(await forced(back, used.split(":")[1] ?? ""), /token|expired/);
  assert.is(await back.request("add", { by: 1 }), 2);
  await back.leave();
});

bad("[E11] a room that there is not, by id and by name, on every node", async () => {
  for (const at of [0, 1, 2]) {
    const client = new Client(url(at));
    for (const id of ["nowhere99", "0", "../../etc/passwd", "x".repeat(500)]) {
      assert.ok((await rejected(client.joinById(id, level))).message !== "", id);
    }
    assert.is((await rejected(client.joinById("nowhere99", level))).code, codes.noRoom);
    assert.is((await rejected(client.joinOrCreate("no such game"))).code, codes.noHandler);
  }
  const gone = await create();
  await gone.leave();
  const error = await cluster.until(
    "the room is disposed of",
    async () => await rejected(joinById(gone.roomId, 2)).catch(() => null),
  );
  assert.is(error.code, codes.noRoom);
});

bad("[E11] join options that the room refuses: told, and no seat is taken", async () => {
  const room = await create();
  for (const options of [undefined, {}, { level: 0 }, { level: "1" }, { level: 4 }]) {
    const error = await rejected(new Client(url(1)).joinById(room.roomId, options));
    assert.match(error.message, /level|expected|Invalid/i);
  }
  const second = await joinById(room.roomId);
  for (const one of [second, room]) await one.leave();
  for (const body of ["{", "[]", "7", "null", '{"level":', "x".repeat(10_000)]) {
    const answer = await fetch(`${url()}/matchmake/create/strict`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    assert.ok(answer.status >= 400, `${body.slice(0, 20)}: ${answer.status} ${await answer.text()}`);
  }
});

test.run();
