import type { EffectCall } from "../session/room-program.ts";
import { callPresence } from "./presence/room-presence.ts";
import type { PresenceMethod } from "./presence/shared-presence.ts";

/** Answers what rooms ask of `matchMaker`. */
export interface CallMatchmaking {
  ask(name: string, args: unknown[], call: EffectCall): Promise<unknown>;
}

/** `presence.…` and `matchMaker.…`: effects that no room has declared. */
const callName = /^(?:presence|matchMaker)\./;

export function isCall(effectName: string): boolean {
  return callName.test(effectName);
}

/** What rooms ask of `this.presence` and `matchMaker`, on the leader's node and outside of them. */
export class RoomCalls {
  readonly #matchmaking = Promise.withResolvers<CallMatchmaking>();

  /** From now on there is a matchmaker; what was asked of it before has waited. */
  begin(matchmaking: CallMatchmaking): void {
    this.#matchmaking.resolve(matchmaking);
  }

  async run(effectName: string, argument: unknown, call: EffectCall): Promise<unknown> {
    const args = argument as unknown[];
    const name = effectName.replace(callName, "");
    if (effectName.startsWith("presence.")) return await callPresence(name as PresenceMethod, args, call);
    const matchmaking = await this.#matchmaking.promise;
    return await matchmaking.ask(name, args, call);
  }
}
