import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCli } from "../../server/admin/cli/testudo-cli.ts";
import { OperatorError } from "../../server/admin/operator-error.ts";
import { makeOperatorHandler, type OperatorRoute } from "../../server/admin/operator-handler.ts";
import { operatorToken } from "../../server/admin/operator-token.ts";
import { roomsRoutes } from "../../server/admin/rooms-routes.ts";
import { SessionError } from "../../server/session/session-error.ts";

const test = suite("operators");
const secret = "sixteen letters or more";

const group = {
  id: 0,
  role: "leader",
  term: 3,
  leader: "n1",
  commitIndex: 9,
  appliedIndex: 8,
  level: { agreed: 1, heldBackBy: [{ nodeId: "n3", levelMax: 1 }] },
};
const routes: readonly OperatorRoute[] = [
  { method: "GET", path: "groups", answer: async () => ({ node: "n1", groups: [group] }) },
  { method: "POST", path: "echo", answer: async ({ body, query }) => ({ body, query: [...query] }) },
  {
    method: "POST",
    path: "refuse",
    answer: async () => {
      throw new OperatorError(409, "NOT_NOW", "wait for it");
    },
  },
];

async function withNode(run: (url: string) => Promise<void>, served = routes): Promise<void> {
  const handler = makeOperatorHandler({ secret, routes: served });
  const server = createServer((request, response) => {
    if (!handler(request, response)) response.writeHead(418).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const code = await runCli(args, {
    write: (text) => {
      out += text;
    },
    tell: (line) => {
      err += line;
    },
    cwd: "/",
  });
  return { code, out, err };
}

const bearer = { authorization: `Bearer ${operatorToken(secret)}` };

test("[C40] without the token nobody learns what there is", async () => {
  await withNode(async (url) => {
    for (const authorization of [undefined, "Bearer ", `Bearer ${operatorToken("another secret")}`, secret]) {
      for (const path of ["groups", "nothing"]) {
        const headers = authorization === undefined ? {} : { authorization };
        const answer = await fetch(`${url}/testudo/operator/${path}`, { headers });
        assert.is(answer.status, 401);
        assert.match(
          ((await answer.json()) as { error: { message: string } }).error.message,
          /--secret-file/,
        );
      }
    }
    assert.is((await fetch(`${url}/elsewhere`)).status, 418);
  });
});

test("[C40] what is wrong with a command is told: path, method, body, its own refusal", async () => {
  await withNode(async (url) => {
    const ask = async (method: string, path: string, body?: string) => {
      const init = { method, headers: bearer, ...(body === undefined ? {} : { body }) };
      const answer = await fetch(`${url}/testudo/operator/${path}`, init);
      return [answer.status, ((await answer.json()) as { error?: { code: string } }).error?.code];
    };
    assert.equal(await ask("GET", "nothing"), [404, "NOT_FOUND"]);
    assert.equal(await ask("POST", "groups", "{}"), [405, "METHOD_NOT_ALLOWED"]);
    assert.equal(await ask("POST", "echo", "{"), [400, "GARBLED"]);
    assert.equal(await ask("POST", "echo", JSON.stringify("x".repeat(70_000))), [413, "TOO_LONG"]);
    assert.equal(await ask("POST", "refuse", "{}"), [409, "NOT_NOW"]);
    const echoed = await fetch(`${url}/testudo/operator/echo?a=1`, {
      method: "POST",
      headers: bearer,
      body: "[2]",
    });
    assert.equal(await echoed.json(), { body: [2], query: [["a", "1"]] });
  });
});

test("[C41] a command's result, for people and for programs", async () => {
  await withNode(async (url) => {
    const args = ["groups", "--url", url, "--secret", secret];
    const shown = await cli(...args);
    assert.is(shown.code, 0, shown.err);
    assert.match(
      shown.out,
      /^group +role of n1 +term +leader +committed +applied +level\n0 +leader +3 +n1 +9 +8 +1, waiting for n3, which knows only 1\n$/,
    );
    assert.equal(JSON.parse((await cli(...args, "--json")).out), { node: "n1", groups: [group] });
  });
});

test("[C41] exit codes: 1 if it could not be done, 2 if the command was wrong, each with what to do", async () => {
  await withNode(async (url) => {
    const wrongSecret = await cli("groups", "--url", url, "--secret", "another secret");
    assert.equal([wrongSecret.code, wrongSecret.out], [1, ""]);
    assert.match(wrongSecret.err, /NOT_AN_OPERATOR.*--secret-file/);
  });
  const nobody = await cli("groups", "--url", "http://127.0.0.1:1", "--secret", secret);
  assert.is(nobody.code, 1);
  assert.match(nobody.err, /NODE_UNREACHABLE: http:\/\/127.0.0.1:1 does not answer/);
  for (const [args, told] of [
    [["groups"], /needs the cluster's secret/],
    [["groups", "--secret-file", "/nowhere"], /\/nowhere cannot be read \(ENOENT\)/],
    [["groups", "--secret", secret, "--secret-file", "/nowhere"], /give one of them/],
    [["groups", "--secret", secret, "--url", "nonsense"], /nonsense is no URL/],
    [["grops"], /unknown command 'grops'/],
    [["groups", "--nonsense"], /unknown option '--nonsense'/],
  ] as const) {
    const { code, err } = await cli(...args);
    assert.is(code, 2, args.join(" "));
    assert.match(err, told);
  }
});

test("[V12, Y144] rooms that stand still, or are pinned, are listed with who has what; one goes on with what a node has", async () => {
  const hashes = [
    ["n1", "6ff9c4a5bddf0405"],
    ["n2", "c180261cba4b90f1"],
    ["n3", "6ff9c4a5bddf0405"],
  ];
  const frozen = { type: "frozen", index: 172, hashes };
  const atRest = { pinned: false, restlessBecause: null };
  const room = { roomId: "Ev1_AWqyA", name: "arena", group: 0, seats: 3, standing: frozen, ...atRest };
  const restless = { pinned: true, restlessBecause: "a hook has not finished" };
  const asked = {
    node: { options: { id: "n1" } },
    rooms: () => [
      room,
      { ...room, roomId: "BSOHqrjCA", seats: 2, standing: null },
      { ...room, ...restless, roomId: "Pinned01A", seats: 1, standing: null },
      { ...room, ...restless, roomId: "Pinned02A", seats: 0, standing: { type: "absent" } },
    ],
    thaw: async (roomId: string, holder: string) => {
      if (roomId !== room.roomId) throw new SessionError("ROOM_NOT_FROZEN", `${roomId} does not stand still`);
      return { roomId, index: 172, hash: new Map(hashes as [string, string][]).get(holder), hashes };
    },
  } as unknown as Parameters<typeof roomsRoutes>[0];
  const served = roomsRoutes(asked);
  await withNode(async (url) => {
    const rooms = async (...args: string[]) => await cli("rooms", ...args, "--url", url, "--secret", secret);
    assert.match(
      (await rooms("list")).out,
      /Ev1_AWqyA +arena +0 +3 +frozen: n1, n3 \(6ff9c4a5\) against n2 \(c180261c\)\nBSOHqrjCA +arena +0 +2 +serving\n/,
    );
    assert.match(
      (await rooms("list")).out,
      /Pinned01A .* 1 +serving, pinned: a hook has not finished\nPinned02A .* 0 +absent, pinned: a hook has/,
    );
    const thawed = await rooms("thaw", "Ev1_AWqyA", "n3");
    assert.is(thawed.code, 0, thawed.err);
    assert.match(
      thawed.out,
      /^room Ev1_AWqyA goes on with what n3 has \(hash 6ff9c4a5bddf0405 at entry 172\)\nn2 /,
    );
    const refused = await rooms("thaw", "BSOHqrjCA", "n3");
    assert.is(refused.code, 1);
    assert.match(refused.err, /ROOM_NOT_FROZEN: BSOHqrjCA does not stand still/);
    assert.is((await rooms("thaw", "Ev1_AWqyA")).code, 2);
  }, served);
});

test("[U8] rooms are switched by an operator, one or all; whoever is not is named, with the reason", async () => {
  const foreign = { type: "foreign", code: "v1", own: "v2" };
  const room = { roomId: "Ev1_AWqyA", name: "arena", group: 0, seats: 0, standing: foreign };
  const done = { roomId: room.roomId, from: "v1", to: "v2", tookMs: 120, why: null };
  const asked = {
    node: { options: { id: "n1" } },
    rooms: () => [{ ...room, pinned: false, restlessBecause: null }],
    switchCode: async (roomId: string | null) => {
      if (roomId === null) return [done, { ...done, roomId: "BSOHqrjCA", tookMs: null, why: "not at rest" }];
      if (roomId !== room.roomId) throw new SessionError("ROOM_NOT_FOREIGN", `${roomId} has this code`);
      return [done];
    },
  } as unknown as Parameters<typeof roomsRoutes>[0];
  const served = roomsRoutes(asked);
  await withNode(async (url) => {
    const rooms = async (...args: string[]) => await cli("rooms", ...args, "--url", url, "--secret", secret);
    assert.match((await rooms("list")).out, /Ev1_AWqyA .* foreign: under code "v1"/);
    const one = await rooms("switch", "Ev1_AWqyA");
    assert.equal([one.code, one.out], [0, 'room Ev1_AWqyA went from code "v1" to "v2" in 120 ms\n']);
    const all = await rooms("switch", "--all");
    assert.is(all.code, 1);
    assert.match(all.out, /room BSOHqrjCA is not switched: not at rest/);
    assert.match(all.err, /NOT_SWITCHED: 1 of 2 rooms are not switched/);
    assert.equal(JSON.parse((await rooms("switch", "Ev1_AWqyA", "--json")).out), { rooms: [done] });
    assert.match((await rooms("switch", "nowhere")).err, /ROOM_NOT_FOREIGN: nowhere has this code/);
    for (const wrong of [["switch"], ["switch", "Ev1_AWqyA", "--all"]])
      assert.is((await rooms(...wrong)).code, 2);
  }, served);
});

test("[C41] help with an example, for every command", async () => {
  const { code, out } = await cli("--help");
  assert.is(code, 0);
  const names = [...out.matchAll(/^ {2}(\w+)/gm)]
    .map(([, name]) => name ?? "")
    .filter((name) => name !== "help");
  assert.ok(names.includes("groups"));
  for (const name of names) assert.match((await cli(name, "--help")).out, /Example:\n {2}\$ testudo/, name);
});

test.run();
