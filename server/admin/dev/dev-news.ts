import type { HandedDisk } from "../../cluster/handed-disk.ts";
import type { LostRoom } from "../../colyseus/room-handover.ts";
import type { UnkeptPlayers } from "../../colyseus/unkept-players.ts";

/** What a process that runs one version of the code is told. */
export type DevOrder =
  | { readonly type: "load"; readonly file: string }
  | { readonly type: "start"; readonly disk: HandedDisk | null }
  | { readonly type: "handOver" };

/** What it tells. */
export type DevNews =
  /** A file of the code, which is to be watched. */
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "loaded" }
  | { readonly type: "serving"; readonly lost: readonly LostRoom[] }
  | { readonly type: "unkept"; readonly players: readonly UnkeptPlayers[] }
  | { readonly type: "handed"; readonly disk: HandedDisk };
