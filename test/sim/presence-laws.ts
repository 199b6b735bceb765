import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import { keeperCommand } from "../../server/menu/keeper-machine.ts";
import type { KeeperResult } from "../../server/menu/keeper-result.ts";
import { presenceMenu } from "../../server/menu/presence-menu.ts";
import type { Coverage } from "./coverage.ts";
import { newsChannel, tallyKey } from "./sim-news-room.ts";
import { hold } from "./violation.ts";

/** Before each command of presence. */
const presenceNumber = keeperCommand("presence", new Uint8Array())[0];

/** What a room has heard, in its order. */
interface Ear {
  readonly heard: string[];
  /** Of the last one, among all that were published. */
  at: number;
}

/**
 * What rooms ask of the cluster's own presence, worked out anew from the keeper's log: each call is done once by its key, and
 * gives that; what is published a room hears once and in order, from where it began.
 */
export class PresenceLaws {
  readonly #coverage: Coverage;
  #index = 0;
  /** By the call's own key: what it gave. */
  readonly #given = new Map<string, unknown>();
  #tally = 0;
  readonly #published: string[] = [];
  /** By message: where it stands among all that were published. */
  readonly #places = new Map<string, number>();
  /** By room and call: what its code was told. */
  readonly #told = new Map<string, number>();
  readonly #tallies = new Map<number, string>();
  readonly #ears = new Map<string, Ear>();

  constructor(coverage: Coverage) {
    this.#coverage = coverage;
  }

  /** Some replica of the keeper has applied it. */
  applied({ index, command }: AppliedCommand, result: ApplyResult): void {
    if (index <= this.#index) return;
    this.#index = index;
    if (command[0] !== presenceNumber || result.type !== "done") return;
    const given = result.value as KeeperResult;
    const { argument } = presenceMenu.decode(command.subarray(1));
    const { method, args, once } = argument as { method: string; args: string[]; once: string | null };
    const isOurs = (method === "incr" && args[0] === tallyKey) || args[0] === newsChannel;
    if (!isOurs || once === null || given.type !== "done") return;
    if (this.#given.has(once)) this.#coverage.hit("presenceCallsAgain");
    else {
      this.#coverage.hit("presenceCalls");
      if (method === "incr") this.#given.set(once, ++this.#tally);
      else {
        const message = JSON.parse(args[1] as string) as string;
        this.#places.set(message, this.#published.push(message) - 1);
        this.#given.set(once, given.value);
      }
    }
    if (method !== "incr") return;
    const tally = this.#given.get(once);
    hold(
      given.value === tally,
      "X51",
      () => `${once} counts to ${given.value} at ${index}, it is call ${tally}`,
    );
  }

  /** What a room's code was told its call number `call` has counted to, on one replica. */
  counted(roomId: string, call: number, tally: number): void {
    const key = `${roomId} ${call}`;
    const known = this.#told.get(key);
    hold(
      known === undefined || known === tally,
      "X51",
      () => `call ${key} gives ${tally}, elsewhere ${known}`,
    );
    const other = this.#tallies.get(tally);
    hold(
      other === undefined || other === key,
      "X51",
      () => `calls ${key} and ${other} both count to ${tally}`,
    );
    hold(tally <= this.#tally, "X51", () => `call ${key} gives ${tally} of ${this.#tally}`);
    this.#told.set(key, tally);
    this.#tallies.set(tally, key);
  }

  /** What a room has heard as its `number`-th message, on one replica. */
  heard(roomId: string, number: number, message: string): void {
    const ear = this.#ears.get(roomId) ?? { heard: [], at: -1 };
    this.#ears.set(roomId, ear);
    const known = ear.heard[number - 1];
    if (known !== undefined) {
      hold(
        known === message,
        "X51",
        () => `${roomId} hears ${message} as number ${number}, elsewhere ${known}`,
      );
      return;
    }
    hold(
      number === ear.heard.length + 1,
      "X51",
      () => `${roomId} hears number ${number} after ${ear.heard.length}`,
    );
    const place = this.#places.get(message);
    hold(place !== undefined, "X51", () => `${roomId} hears ${message}, which nobody has published`);
    hold(
      ear.heard.length === 0 || place === ear.at + 1,
      "X51",
      () => `${roomId} hears message ${place} after ${ear.at}`,
    );
    this.#coverage.hit("newsHeard");
    ear.heard.push(message);
    ear.at = place;
  }

  /** A room that has still to hear something; null: all have heard all of it. */
  unrest(roomIds: Iterable<string>): string | null {
    for (const roomId of roomIds) {
      const { at } = this.#ears.get(roomId) ?? {};
      const last = this.#published.length - 1;
      if (at !== undefined && at < last) return `${roomId} has heard message ${at} of ${last}`;
    }
    return null;
  }
}
