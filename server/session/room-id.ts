// A room's id names its group in its last character, so that any node knows whom to ask about a room it has never seen.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** 9 characters, like Colyseus's own ids: 48 random bits and the group. */
export function roomIdFor(group: number, random: (bytes: number) => Uint8Array): string {
  return Buffer.from(random(6)).toString("base64url") + alphabet.charAt(group);
}

/** Null: not an id of ours. */
export function groupOfRoom(roomId: string, groups: number): number | null {
  const group = roomId.length === 9 ? alphabet.indexOf(roomId.charAt(8)) : -1;
  return group >= 0 && group < groups ? group : null;
}

/** One key is allocated by one group: FNV-1a over the key's UTF-16 units. */
export function groupOfKey(key: string, groups: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % groups;
}
