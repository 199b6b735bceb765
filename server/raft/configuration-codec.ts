import { check } from "./check.ts";
import type { Address, Configuration, Member } from "./configuration.ts";

/*
 * A configuration as an entry's data: JSON in ASCII, so that a log can be read by eye. Ids and URLs are ASCII (their
 * options see to that); `TextEncoder` is out of reach for code that must also run without Node or a browser.
 */

const asciiMax = 0x7f;
/** Of each list: a configuration in which everybody is being replaced has twice the members. */
const listMax = 256;

const memberSets = ["voters", "votersOutgoing", "learners", "nextVoters"] as const;

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const members = (set: readonly Member[]) => set.map(({ nodeId, storeId }) => [nodeId, storeId]);
  const sets = Object.fromEntries(memberSets.map((name) => [name, members(configuration[name])]));
  const addresses = configuration.addresses.map(({ nodeId, url }) => [nodeId, url]);
  const text = JSON.stringify({ ...sets, addresses, level: configuration.level });
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    check(code <= asciiMax, `a configuration's ids and URLs are ASCII: ${text}`);
    bytes[at] = code;
  }
  return bytes;
}

/** @throws RaftBroken: only a leader writes these, and the disk and the links have checked every byte. */
export function decodeConfiguration(data: Uint8Array): Configuration {
  let text = "";
  for (const code of data) text += String.fromCharCode(code);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  check(typeof value === "object" && value !== null, `this is no configuration: ${text}`);
  const fields = value as Readonly<Record<string, unknown>>;
  const pairs = (name: string): (readonly [string, string])[] => {
    const list = fields[name];
    check(Array.isArray(list) && list.length <= listMax, `a configuration's ${name} are no list: ${text}`);
    for (const pair of list as readonly unknown[])
      check(isPair(pair), `a configuration's ${name} are no pairs: ${text}`);
    return list as (readonly [string, string])[];
  };
  const members = (name: (typeof memberSets)[number]): Member[] =>
    pairs(name).map(([nodeId, storeId]) => ({ nodeId, storeId }));
  const { level } = fields;
  check(Number.isSafeInteger(level), `a configuration's level is no number: ${text}`);
  return {
    voters: members("voters"),
    votersOutgoing: members("votersOutgoing"),
    learners: members("learners"),
    nextVoters: members("nextVoters"),
    addresses: pairs("addresses").map(([nodeId, url]): Address => ({ nodeId, url })),
    level: level as number,
  };
}

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string");
}
