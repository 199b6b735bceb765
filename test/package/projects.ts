/** Two studios' projects, file by file: what somebody who installs the package has, and has had with stock Colyseus. */

const typed = {
  "package.json": JSON.stringify({ name: "typed", private: true, type: "module" }),
  // As Colyseus's own template.
  "tsconfig.json": JSON.stringify({
    compilerOptions: {
      ...{ target: "es2024", module: "nodenext", strict: true, noEmit: true, types: ["node"] },
      ...{ experimentalDecorators: true, useDefineForClassFields: false, allowImportingTsExtensions: true },
      skipLibCheck: true,
    },
    include: ["*.ts"],
  }),
  "tally-room.ts": `
import { type Client, Room } from "@colyseus/core";
import { MapSchema, Schema, type } from "@colyseus/schema";

export class Player extends Schema {
  @type("string") name = "";
  @type("number") points = 0;
}

export class TallyState extends Schema {
  @type({ map: Player }) players = new MapSchema<Player>();
  @type("number") rolled = 0;
}

export class TallyRoom extends Room<{ state: TallyState }> {
  override state = new TallyState();
  override messages = {
    add: (client: Client, points: number): number => {
      const player = this.state.players.get(client.sessionId)!;
      this.state.rolled += Math.random();
      return (player.points += points);
    },
  };
  override onJoin(client: Client, { name }: { name: string }): void {
    this.state.players.set(client.sessionId, new Player().assign({ name }));
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}
`,
  "server.ts": `
import { defineRoom, defineServer } from "@colyseus/core";
import { replicated, type ReplicatedOptions, type ReplicatedRoom, testudo } from "testudo";
import { TallyRoom } from "./tally-room.ts";

const options: ReplicatedOptions = { messages: {} };
const server = defineServer({
  ...testudo(),
  rooms: { tally: defineRoom(replicated(TallyRoom, options)).filterBy(["mode"]) },
});
await server.listen(undefined as never);

// @ts-expect-error: the compiler knows what the package's types say
export const wrong = () => replicated(TallyRoom, { classes: 7 });
export const told = (room: InstanceType<typeof TallyRoom> & ReplicatedRoom): Promise<unknown> => room.propose("add", 1);
`,
  "tally.test.ts": `
import { assertDeterminism, type CheckReport } from "testudo/check";
import { TallyRoom } from "./tally-room.ts";

const report: CheckReport = await assertDeterminism(TallyRoom, {
  steps: [
    { type: "join", client: "ann", options: { name: "Ann" } },
    { type: "message", client: "ann", message: "add", payload: 2 },
    { type: "tick", ms: 1000 },
  ],
});
console.log(report.equal ? "equal" : "not equal");
process.exit(0);
`,
  "player.ts": `
import { Client } from "testudo/client";

const [url = "", other = ""] = process.argv.slice(2);
const client = new Client([url, other]);
const room = await client.joinOrCreate<{ rolled: number }>("tally", { name: "wrapped", mode: "alone" });
console.log(await room.request("add", 4));
await room.leave();
process.exit(0);
`,
};

const commonJs = {
  "package.json": JSON.stringify({ name: "common", private: true, type: "commonjs" }),
  "server.js": `
const { defineRoom, defineServer, Room } = require("@colyseus/core");
const { schema, t } = require("@colyseus/schema");
const { replicated, testudo } = require("testudo");

const Player = schema({ name: t.string().default(""), points: t.number().default(0) }, "Player");
const TallyState = schema({ players: t.map(Player), rolled: t.number().default(0) }, "TallyState");

class TallyRoom extends Room {
  state = new TallyState();
  messages = {
    add: (client, points) => {
      const player = this.state.players.get(client.sessionId);
      this.state.rolled += Math.random();
      return (player.points += points);
    },
  };
  onJoin(client, { name }) {
    this.state.players.set(client.sessionId, new Player().assign({ name }));
  }
  onDrop(client) {
    this.allowReconnection(client, 60);
  }
}

const server = defineServer({
  ...testudo(),
  rooms: { tally: defineRoom(replicated(TallyRoom)).filterBy(["mode"]) },
});
server.listen();
`,
};

/** The same as `typed`, as tsx runs it where nothing is said of modules. */
const { "player.ts": _, ...server } = typed;
const typedCommonJs = {
  ...server,
  "package.json": JSON.stringify({ name: "typed-common", private: true }),
  "server.ts": typed["server.ts"].replace("await server.listen", "server.listen"),
};

export const projects = { typed, commonJs, typedCommonJs } as const;
