/** A voter or learner is a node *and* its disk: an emptied disk is another member (design 4.3). */
export interface Member {
  readonly nodeId: string;
  readonly storeId: string;
}

/** Who counts. `votersOutgoing` is empty but in a joint configuration (Raft §6). */
export interface Configuration {
  readonly voters: readonly Member[];
  readonly votersOutgoing: readonly Member[];
  readonly learners: readonly Member[];
}
