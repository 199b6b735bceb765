const kib = 1024;
const mib = 1024 * kib;

/** What may be kept, by all nodes together, and asked of it. Past each, the caller gets an error that names it. */
export const keeperLimits = Object.freeze({
  /** A key's, a channel's or a field's name, in UTF-8. */
  keyBytesMax: kib,
  valueBytesMax: 48 * kib,
  /** Of all keys and values of a menu: a checkpoint is written in one go, and nothing else happens meanwhile. */
  bytesMax: 4 * mib,
  /** What each key, member, field and element counts besides its own bytes. */
  entryBytes: 256,
  /** Different keys of one transaction. */
  transactionKeysMax: 64,
  /** Of one answer; the rest is asked for with its cursor. */
  rangeKeysMax: 1_000,
  rangeBytesMax: mib,
  /** How far from now something may expire: a year. */
  expiryMsMax: 366 * 24 * 3_600_000,
  /** Watches, and subscriptions, of one node. */
  watchesMax: 1_024,
  /** Changes that are remembered, for watches that go on from an earlier one. */
  changesKeptMax: 1_024,
  changesKeptBytesMax: mib,
  /** Results that are remembered of each node: of a proposal that is asked for again. */
  resultsKeptMax: 256,
  resultsKeptBytesMax: 256 * kib,
});
