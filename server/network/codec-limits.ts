/**
 * What one frame may hold. Both sides keep to the same limits: the encoder refuses what a decoder would refuse.
 * Byte arrays (an entry's data, a chunk, gossip) have no limit of their own but the frame's.
 */
export const codecLimits = Object.freeze({
  frameBytesMax: 8 * 1024 * 1024,
  frameMessagesMax: 65_536,
  /** UTF-8 bytes of a name or id. */
  stringBytesMax: 255,
  /** Of a sentence for an operator. */
  reasonBytesMax: 4096,
  entriesMax: 65_536,
  proposalsMax: 65_536,
  /** Of a configuration's or founding's list. */
  membersMax: 256,
  /** Of a founding, and so of a `leads`. */
  groupsMax: 65,
  /** Group ids: 0 to this. */
  groupIdMax: 65_535,
});
