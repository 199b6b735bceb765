import { pack, unpack } from "msgpackr";
import { z } from "zod";

const name = z.string().min(1).max(128);
const index = z.number().int().nonnegative();
const hash = z.string().min(1).max(64);
const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "bytes are expected");

export const statementsPerMessageMax = 256;
/** More come when these are forgotten. */
export const endedPerMessageMax = 256;

const statement = z.object({
  roomId: name,
  source: name,
  since: index,
  points: z.array(z.object({ index, hash })).min(1).max(64),
});

const peerWord = z.discriminatedUnion("type", [
  /** To the leader. */
  z.object({ type: z.literal("statements"), statements: z.array(statement).max(statementsPerMessageMax) }),
  /**
   * To the leader: all rooms of the group that are listed and have ended here, and those of which this node's replica
   * differs, so that it cannot say. Each word replaces the one before.
   */
  z.object({
    type: z.literal("ended"),
    roomIds: z.array(name).max(endedPerMessageMax),
    oddIds: z.array(name).max(endedPerMessageMax),
    /** Of those, the ones that this node has no replica of at all. */
    absentIds: z.array(name).max(endedPerMessageMax).default([]),
  }),
  /** A replica that differs asks for another node's, chunk after chunk. `request`: the asker's own number. */
  z.object({
    type: z.literal("copyWanted"),
    request: index,
    roomId: name,
    index,
    hash,
    notBefore: index,
    chunk: index,
    /** The asker's version of the game's code. */
    code: z.string().max(128),
    /** The asker's code is only tried on it: it may run under another. */
    isTrial: z.boolean().default(false),
  }),
  /** `index`: the room is as of this entry. */
  z.object({
    type: z.literal("copyChunk"),
    request: index,
    index,
    chunk: index,
    isLast: z.boolean(),
    bytes,
  }),
  /** A room has just left its old code here: whoever has the new one may ask for it at once. May be lost. */
  z.object({ type: z.literal("handedOver"), roomId: name, code: z.string().max(128) }),
  z.object({ type: z.literal("copyRefused"), request: index, reason: z.string().max(1_000) }),
]);

/** What the session layers of two nodes say to each other about their rooms' replicas. */
export type PeerWord = z.infer<typeof peerWord>;

export function encodeWord(word: PeerWord): Uint8Array {
  return pack(word);
}

/** Null: it is no such word. */
export function decodeWord(body: Uint8Array): PeerWord | null {
  try {
    const parsed = peerWord.safeParse(unpack(body));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
