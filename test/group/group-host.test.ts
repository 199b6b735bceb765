import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EngineConstruction } from "../../server/group/engine-construction.ts";
import { groupHost } from "../../server/group/group-host.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";

const message: PeerMessage = { type: "leads", groups: [] };

test("[G63] a message goes only to who is linked as it leaves, with whatever start", () => {
  const sent: string[] = [];
  const up = new Set(["b"]);
  const network = { send: (nodeId: string) => void sent.push(nodeId), bufferedBytes: () => 0 };
  const host = groupHost(
    { network } as unknown as EngineConstruction,
    {
      isUp: (nodeId: string) => up.has(nodeId),
    } as unknown as Parameters<typeof groupHost>[1],
  );
  host.send("b", message);
  host.send("c", message);
  up.delete("b");
  host.send("b", message);
  up.add("b");
  host.send("b", message);
  assert.equal(sent, ["b", "b"]);
});

test.run();
