/** What one store takes. Past a limit the caller is wrong: an assertion ends the process. */
export const storageLimits = Object.freeze({
  /** Other nodes' stores that are remembered. */
  storesSeenMax: 256,
  /** Group ids are 0 to this. */
  groupIdMax: 65_535,
  /** A pack of entries is closed once it holds this much, so that cutting one rewrites little. */
  packBytesMax: 1 << 20,
  /** One entry's data. */
  entryDataBytesMax: 16 << 20,
  /** One checkpoint (design 6, limits). */
  checkpointBytesMax: 4 << 20,
  /** A checkpoint's key, as UTF-8. */
  checkpointKeyBytesMax: 512,
  /** A node's id, as UTF-8. */
  nodeIdBytesMax: 128,
  /** The database's memory for what is not yet in a table; bounds the write-ahead log too. */
  writeBufferBytes: 16 << 20,
});
