/** What the README shows: somebody's own server, with an ordinary room of theirs, made a node of a cluster. */
import { defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, testudo } from "../../server/index.ts";

const TallyState = schema({ count: t.number().default(0) }, "TallyState");

class TallyRoom extends Room<{ state: InstanceType<typeof TallyState> }> {
  override state = new TallyState();
  override messages = { add: () => ++this.state.count };
}

const server = defineServer({
  ...testudo(),
  rooms: { tally: defineRoom(replicated(TallyRoom)).filterBy(["mode"]) },
});
// Without a port: where the options say.
await server.listen(undefined as never);
