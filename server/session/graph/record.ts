/**
 * The saved form of a graph: a version byte, the records of its objects in the order in which a breadth-first walk from
 * the root first meets them (so depth needs no stack, and equal graphs give equal bytes), the byte stores behind typed
 * arrays, what StateViews see (if there are any), and a CRC-32. One object is one record; what it holds is values, and a value that is an object is either "the
 * next new one" or the number of an earlier one.
 */
export const graphVersion = 1;

/** What kind of object a record saves. */
export const kinds = Object.freeze({
  object: 1,
  nullObject: 2,
  array: 3,
  map: 4,
  set: 5,
  date: 6,
  regExp: 7,
  error: 8,
  arrayBuffer: 9,
  view: 10,
  schema: 11,
  mapSchema: 12,
  arraySchema: 13,
  setSchema: 14,
  collectionSchema: 15,
  stateView: 16,
});
export type KindName = keyof typeof kinds;

export const kindNames: ReadonlyMap<number, KindName> = new Map(
  Object.entries(kinds).map(([name, code]) => [code, name as KindName]),
);

/** Bits of a record's second byte: the parts that follow, and how far the object is locked. */
export const parts = Object.freeze({ lockMask: 3, className: 4, scalars: 8, entries: 16, props: 32 });

/** 0: open, 1: not extensible, 2: sealed, 3: frozen. */
export type Lock = 0 | 1 | 2 | 3;

/** What a value's first byte says; bytes from `smallInteger` on are the integers 0 to 127 themselves. */
export const tags = Object.freeze({
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  nan: 4,
  integer: 5,
  float64: 6,
  bigint: 7,
  string: 8,
  symbol: 9,
  holes: 10,
  newObject: 11,
  oldObject: 12,
  reference: 13,
  class: 14,
  smallInteger: 128,
});

/** Strings up to this many UTF-16 units are saved once and then named by number. */
export const internedLengthMax = 64;

/** Strings: 0 and 1 open a new one (Latin-1, UTF-16), from 2 on they are numbers of earlier ones. */
export const newLatin1 = 0;
export const newUtf16 = 1;
export const firstInterned = 2;
