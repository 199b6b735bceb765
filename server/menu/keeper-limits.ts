const kib = 1024;
const mib = 1024 * kib;

/** What may be kept, by all nodes together, and asked of it. Past each, the caller gets an error that names it. */
export const keeperLimits = Object.freeze({
  /** A key's, a channel's or a field's name, in UTF-8. */
  keyBytesMax: kib,
  valueBytesMax: 48 * kib,
  /**
   * Of all keys and values of a menu: they are saved in one go, and nothing else happens meanwhile; with everything else
   * that a menu remembers they must fit into one checkpoint.
   */
  bytesMax: 2 * mib,
  /** What each key counts besides its own bytes. */
  entryBytes: 256,
  /** The same, of each member of a set, field of a hash and element of a list. */
  elementBytes: 64,
  /** Different keys of one transaction. */
  transactionKeysMax: 64,
  /** Of one answer; the rest is asked for with its cursor. */
  rangeKeysMax: 1_000,
  rangeBytesMax: mib,
  /** How far from now something may expire: a year. */
  expiryMsMax: 366 * 24 * 3_600_000,
  /** Watches of one node. */
  watchesMax: 1_024,
  /** Subscriptions of one node: each room has some. */
  subscriptionsMax: 65_536,
  /** Reads of one node that wait for other replicas. */
  replicaReadsMax: 1_024,
  /** Who holds a lock or waits for one, in all. */
  claimsMax: 1_024,
  /** The same, with their locks' names. */
  claimsBytesMax: 192 * kib,
  leaseMsMin: 100,
  leaseMsMax: 300_000,
  /** Changes that are remembered, for watches that go on from an earlier one. */
  changesKeptMax: 1_024,
  changesKeptBytesMax: mib,
  /** Published messages that are remembered, for subscriptions that go on from an earlier one. */
  messagesKeptMax: 1_024,
  messagesKeptBytesMax: mib,
  messagesKeptMs: 10_000,
  /** Of the names of channels or keys of which it is remembered up to where they were forgotten. */
  droppedBytesMax: 128 * kib,
  /** Calls with a key of their own whose outcome is remembered. */
  callsKeptMax: 4_096,
  callsKeptBytesMax: 256 * kib,
  callsKeptMs: 60_000,
  /** Results that are remembered, of a menu: of proposals that are asked for again. */
  resultsKeptMax: 1_024,
  resultsKeptBytesMax: 256 * kib,
});
