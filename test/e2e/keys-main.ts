/** One node whose routes use the keys that all nodes share: `POST /test/ASK` with a list of arguments as JSON. */
import { defineRoom, defineServer, matchMaker, Room } from "@colyseus/core";
import {
  election,
  type HeldLock,
  kv,
  type Leadership,
  locks,
  replicated,
  startTestudo,
  type TestudoPresence,
} from "../../server/index.ts";
import { type Ask, type Asks, answersTo } from "./asks.ts";

class PlainRoom extends Room {
  override autoDispose = false;

  whereAreYou(word: string): string {
    return `${word} ${matchMaker.processId}`;
  }
}

class DuelRoom extends Room {}

const presence = () => matchMaker.presence as TestudoPresence;
/** What was told here, by channel. */
const told = new Map<string, unknown[]>();
const tell = (channel: string, what: unknown) => told.set(channel, [...(told.get(channel) ?? []), what]);

/** By the lock's name: what becomes of this node's last claim to it. */
const claims = new Map<string, Promise<number>>();
/** By token. */
const held = new Map<number, HeldLock>();

/** By term. */
const leads = new Map<number, Leadership>();

const asks: Asks = {
  process: () => matchMaker.processId,
  presence: (method, ...args) => (presence() as unknown as Record<string, Ask>)[method]?.(...args),
  once: (key, method, ...args) => presence().call(key, method, args),
  kv: (method, ...args) => (kv() as unknown as Record<string, Ask>)[method]?.(...args),
  watch: async (prefix, after) => {
    const changed = ({ key, type, version }: { key: string; type: string; version: number }) =>
      tell(prefix, [version, type, key]);
    await kv().watch({
      prefix,
      ...(after === null ? {} : { after }),
      changed,
      lost: (error) => tell(prefix, error.code),
    });
  },
  listen: (channel, after) =>
    presence().subscribeFrom(channel, after, (message, position) => tell(channel, [message, position])),
  subscribe: async (channel) => {
    await presence().subscribe(channel, (message: unknown) => tell(channel, message));
  },
  told: (channel) => told.get(channel) ?? [],
  acquire: async (name, wish) => {
    const lock = await locks().acquire(name, wish);
    if (lock !== null) held.set(lock.token, lock);
    return lock?.token ?? null;
  },
  /** Resolves when the claim waits, or is held: what this node says after it is behind it in the log. */
  claim: async (name, wish) => {
    const claim = asks["acquire"]?.(name, wish) as Promise<number>;
    // Before anybody asks what has become of it.
    claim.catch(() => {});
    claims.set(name, claim);
    await kv().put("claimed", name);
  },
  claimed: (name) => claims.get(name),
  release: (token) => held.get(token)?.release(),
  isLost: (token) => held.get(token)?.lost.aborted,
  claims: (method, ...args) => (locks().claims as unknown as Record<string, Ask>)[method]?.(...args),
  campaign: async (name, wish) => {
    const won = await election(name).campaign(testudo.roomNode.node.options.id, wish);
    if (won !== null) leads.set(won.term, won);
    return won?.term ?? null;
  },
  leader: (name, how) => election(name).leader(how),
  observe: async (name) => {
    await election(name).observe({
      changed: (leader) => tell(`election ${name}`, leader),
      lost: (error) => tell(`election ${name}`, error.code),
    });
  },
  isDeposed: (term) => leads.get(term)?.lost.aborted,
  resign: (term) => leads.get(term)?.resign(),
  decree: (term, key, value) => {
    const { fence } = leads.get(term) as Leadership;
    return kv().put(key, value, { fence });
  },
  isHeld: (name, token) => locks().isHeld(name, token),
  createPlain: async () => (await matchMaker.createRoom("plain", {})).roomId,
  remoteRoomCall: (roomId, method, args) => matchMaker.remoteRoomCall(roomId, method, args),
};

const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  rooms: { plain: defineRoom(PlainRoom), duel: defineRoom(replicated(DuelRoom)) },
});
testudo.handleFirst(answersTo(asks));
await server.listen(undefined as never);
