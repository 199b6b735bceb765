type Answer = (args: readonly unknown[]) => unknown;

const nothing: Answer = () => undefined;
const nobody: Answer = () => null;
const none: Answer = () => [];
const zero: Answer = () => 0;
const yes: Answer = () => true;

const seatIn = (roomId: unknown, name: unknown) => ({
  name,
  roomId,
  sessionId: "a seat",
  processId: "a node",
});
const seat: Answer = ([name]) => seatIn("a room", name);

/** As of an empty store, and of a server without other rooms. */
const answers: Readonly<Record<string, Answer>> = {
  "presence.publish": nothing,
  "presence.channels": none,
  "presence.exists": () => false,
  "presence.set": nothing,
  "presence.setex": nothing,
  "presence.expire": nothing,
  "presence.get": nobody,
  "presence.del": nothing,
  "presence.sadd": nothing,
  "presence.smembers": none,
  "presence.sismember": zero,
  "presence.srem": nothing,
  "presence.scard": zero,
  "presence.sinter": none,
  "presence.hset": yes,
  "presence.hincrby": ([, , by]) => by,
  "presence.hincrbyex": ([, , by]) => by,
  "presence.hget": nobody,
  "presence.hgetall": () => ({}),
  "presence.hdel": () => false,
  "presence.hlen": zero,
  "presence.incr": () => 1,
  "presence.decr": () => -1,
  "presence.llen": zero,
  "presence.rpush": ([, ...values]) => values.length,
  "presence.lpush": ([, ...values]) => values.length,
  "presence.rpop": nobody,
  "presence.lpop": nobody,
  "presence.brpop": nobody,
  "matchMaker.createRoom": ([name]) => ({
    name,
    roomId: "a room",
    processId: "a node",
    clients: 0,
    locked: false,
  }),
  "matchMaker.create": seat,
  "matchMaker.join": seat,
  "matchMaker.joinOrCreate": seat,
  "matchMaker.joinById": ([roomId]) => seatIn(roomId, "a name"),
  "matchMaker.reserveSeatFor": ([room]) => {
    const { roomId, name } = (room ?? {}) as { readonly roomId?: unknown; readonly name?: unknown };
    return seatIn(roomId, name);
  },
  "matchMaker.reserveMultipleSeatsFor": ([, seats]) => (Array.isArray(seats) ? seats.map(yes as never) : []),
  "matchMaker.remoteRoomCall": nothing,
  "matchMaker.query": none,
  "matchMaker.findOneRoomAvailable": nothing,
  "matchMaker.getRoomById": nothing,
  "matchMaker.findRoomsByIds": none,
  "matchMaker.stats.fetchAll": none,
  "matchMaker.stats.getGlobalCCU": zero,
};

/** What a room is answered that asks `this.presence` or `matchMaker` where the script does not say it; null: it is another effect. */
export function callAnswer(name: string, argument: unknown): { readonly value: unknown } | null {
  const answer = Object.hasOwn(answers, name) ? answers[name] : undefined;
  return answer === undefined ? null : { value: answer(argument as unknown[]) };
}
