import type { HandedDisk } from "../cluster/handed-disk.ts";
import { processWide } from "../session/process-wide.ts";
import type { LostRoom } from "./room-handover.ts";
import type { UnkeptPlayers } from "./unkept-players.ts";

/** How a process of `testudo dev` takes the place of the one that ran the code before. */
export interface CodeSwap {
  /** The code is loaded and its rooms are defined. Resolves with what the process before left, if there was one. */
  loaded(): Promise<HandedDisk | null>;
  /** Clients are about to be served. */
  serving(lost: readonly LostRoom[], handOver: () => Promise<HandedDisk>): void;
  /** The players of these rooms have not come over. */
  unkept(players: readonly UnkeptPlayers[]): void;
}

/** Null: this is no process of `testudo dev`. In a CommonJS project there are two copies of this module. */
export const swapping = processWide<{ by: CodeSwap | null }>("codeSwap", () => ({ by: null }));
