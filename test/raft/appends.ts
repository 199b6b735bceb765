import type { Entry } from "../../server/raft/entry.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import type { RaftCluster } from "./raft-cluster.ts";

type Append = Extract<RaftMessage, { type: "appendEntries" }>;

export const appendsTo = (cluster: RaftCluster, id: string): Append[] =>
  cluster.packets.flatMap(({ to, message }) =>
    to === id && message.type === "appendEntries" ? [message] : [],
  );

export const answersOf = (cluster: RaftCluster, id: string) =>
  cluster.packets.flatMap(({ from, message }) =>
    from === id && message.type === "appendEntriesResponse" ? [message] : [],
  );

export function entry(index: number, term: number, text = `${index}.${term}`): Entry {
  return {
    index,
    term,
    type: "command",
    logTimeMs: index,
    wallTimeMs: index,
    data: new TextEncoder().encode(text),
  };
}

/** As the leader of `term`, from node `from`. */
export function append(
  cluster: RaftCluster,
  to: string,
  from: string,
  message: Partial<Append> & { term: number },
): void {
  const whole: Append = {
    type: "appendEntries",
    storeId: `${from}-disk`,
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 0,
    entries: [],
    ...message,
  };
  cluster.receive(to, from, whole);
}
