/** One time that this node's replica of a room was found to differ from the others. */
export interface Divergence {
  readonly roomId: string;
  /** Where the hashes were compared. */
  readonly index: number;
  readonly ownHash: string;
  readonly hash: string;
  /** The node's wall clock. */
  readonly foundAtMs: number;
  /** Known once the replica stands beside another one at one index. `room.state.players.get("p1").x: 3 against 4` */
  firstDifference: string | null;
  /** What the healing waits for; null: nothing, it goes on or is done. */
  waitsFor: string | null;
  healedAtMs: number | null;
}
