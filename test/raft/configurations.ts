import { type Configuration, emptyConfiguration } from "../../server/raft/configuration.ts";
import { encodeConfiguration } from "../../server/raft/configuration-codec.ts";
import type { Entry } from "../../server/raft/entry.ts";
import { entry } from "./appends.ts";
import { type ClusterOptions, RaftCluster } from "./raft-cluster.ts";

const ids = (members: Configuration["voters"]) => members.map(({ nodeId }) => nodeId).join("");

/** Like "abc", "abc,d" with a learner, "ab+cd" in the joint configuration, "abc,d→bcd" while the wish waits. */
export function shape({ voters, votersOutgoing, learners, nextVoters }: Configuration): string {
  const outgoing = votersOutgoing.length > 0 ? `+${ids(votersOutgoing)}` : "";
  const next = nextVoters.length > 0 ? `→${ids(nextVoters)}` : "";
  return `${ids(voters)}${outgoing}${learners.length > 0 ? `,${ids(learners)}` : ""}${next}`;
}

export const shapeOf = (cluster: RaftCluster, id: string) => shape(cluster.raft(id).configuration);

/** Every configuration that a node has in its log, from its first one on. */
export function shapesIn(cluster: RaftCluster, id: string): string[] {
  const { raft, applied } = cluster.node(id);
  const indexes = applied.filter(({ type }) => type === "configuration").map(({ index }) => index);
  return indexes.map((index) => shape(raft?.configurationAt(index) ?? emptyConfiguration));
}

/** `a` leads and has committed something. */
export function led({ newcomers = [], ...options }: ClusterOptions & { newcomers?: readonly string[] } = {}) {
  const cluster = new RaftCluster(options);
  for (const id of newcomers) cluster.add(id);
  cluster.elect("a");
  cluster.propose("a", "one", "two");
  cluster.run(50);
  return cluster;
}

export function configurationEntry(index: number, term: number, configuration: Configuration): Entry {
  return { ...entry(index, term), type: "configuration", data: encodeConfiguration(configuration) };
}

export const of = (...voters: string[]): Configuration => ({
  ...emptyConfiguration,
  voters: voters.map((nodeId) => ({ nodeId, storeId: `${nodeId}-disk` })),
});
