/** One node with a game of which there are two versions: which one it has says --code, as two checkouts would. */
import { type Client, defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { ArenaRoom } from "../../server/arena/arena-room.ts";
import { replicated, testudo } from "../../server/index.ts";

const isNew = process.argv.includes("--code=v2");

class UpgradedArena extends ArenaRoom {
  /** Not there in v1. */
  upgradedFrom = "";
  upgrades = 0;

  onUpgrade(_oldState: unknown, from: string): void {
    this.upgradedFrom = from;
    this.upgrades++;
  }

  constructor() {
    super();
    Object.assign(this.messages, { upgraded: () => [this.upgradedFrom, this.upgrades] });
  }
}

const MatchState = schema({ count: t.number().default(0) }, "MatchState");

/** Each version adds what it thinks right: a room that two versions run would differ at once. */
class MatchRoom extends Room<{ state: InstanceType<typeof MatchState> }> {
  override state = new MatchState();
  step = isNew ? 100 : 1;

  override messages = {
    add: () => {
      this.state.count += this.step;
      return this.state.count;
    },
    end: () => void this.disconnect(),
  };

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

const server = defineServer({
  ...testudo(),
  rooms: {
    arena: defineRoom(isNew ? replicated(UpgradedArena, { upgrade: "switch" }) : replicated(ArenaRoom)),
    match: defineRoom(replicated(MatchRoom)),
  },
});
await server.listen(undefined as never);
