/** The rooms of the replay's test, as an app has them: chance, timers, effects, leaves, lines, and what fails. */
import { type Client, defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { type Effects, type ReplicatedRoom, replicated, testudo } from "../../server/index.ts";

const Fighter = schema({ x: t.number().default(0), hits: t.number().default(0) }, "Fighter");
const MatchState = schema(
  { round: t.number().default(0), luck: t.number().default(0), fighters: t.map(Fighter) },
  "MatchState",
);

/** The same rooms with another rule: how code that has changed since shows. */
const extra = process.env["REPLAY_EXTRA"] === "1" ? 1 : 0;

class MatchRoom extends Room<{ state: InstanceType<typeof MatchState> }> {
  override state = new MatchState();
  declare effect: ReplicatedRoom["effect"];
  effects = { dice: { timeoutMs: 5_000, run: () => runDice() } } satisfies Effects;

  override messages = {
    step: (client: Client, by: number) => {
      const fighter = this.state.fighters.get(client.sessionId);
      if (fighter !== undefined) fighter.x += by + Math.floor(Math.random() * 100) + extra;
      console.log(`step of ${client.sessionId} by ${by}`);
    },
    roll: async (client: Client) => {
      const rolled = await this.effect("dice");
      const fighter = this.state.fighters.get(client.sessionId);
      if (fighter !== undefined) fighter.hits += rolled as number;
      return rolled;
    },
    end: () => this.disconnect(),
  };

  override onCreate(): void {
    this.setTimestep(() => {
      this.state.round += 1;
      this.state.luck = Math.random();
    }, 100);
  }

  override onJoin(client: Client): void {
    this.state.fighters.set(client.sessionId, new Fighter());
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 1);
  }

  override onLeave(client: Client): void {
    this.state.fighters.delete(client.sessionId);
  }
}

/** On a node only: a replay that would run it again would end here. */
function runDice(): number {
  if (process.argv.some((arg) => arg.startsWith("--peer-port"))) return 1 + (process.pid % 1000);
  process.exit(9);
}

/** Says more than a group's log keeps by itself. */
class NoisyRoom extends Room {
  override messages = { noise: () => {}, heard: () => true };
}

/** Its code runs on its leader's node alone; it is nobody else's to run, a replay's neither. */
class TavernRoom extends Room<{ state: InstanceType<typeof MatchState> }> {
  override messages = {
    sing: (client: Client, songs: number) => {
      this.state.round += songs;
      this.state.luck = Math.random();
      client.send("sung", this.state.round);
      return runDice();
    },
  };

  override onCreate(): void {
    runDice();
    this.state = new MatchState();
  }
}

export const server = defineServer({
  ...testudo(),
  rooms: {
    match: defineRoom(replicated(MatchRoom)),
    noisy: defineRoom(replicated(NoisyRoom)),
    tavern: defineRoom(replicated(TavernRoom, { run: "leader" })),
  },
});
await server.listen(undefined as never);
