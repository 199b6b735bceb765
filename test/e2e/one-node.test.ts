// test-run: seconds=90
import { suite } from "uvu";
import { driverContract } from "../colyseus/driver-contract.ts";
import { presenceContract } from "../colyseus/presence-contract.ts";
import { AskedNodes } from "./asked-nodes.ts";
import { unhurried } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Driver and presence of a node that is alone. */
const test = suite("one node");

let nodes: AskedNodes;
const options = { nodes: 1, main: "test/e2e/plain-rooms-main.ts", args: unhurried };
const feature = shareCluster(test, options, (cluster) => {
  nodes = new AskedNodes(cluster);
});

driverContract(feature, { driver: () => nodes.driver, isText: true });
presenceContract(feature, { presence: () => nodes.presence });

test.run();
