import { gameOf } from "./room-code.ts";
import type { RoomProgram } from "./room-program.ts";
import type { RoomWorld } from "./room-world.ts";

interface UpgradedRoom {
  readonly roomId: string;
  readonly world: RoomWorld;
  readonly program: RoomProgram;
}

/**
 * A room comes to life that another version of its code has saved.
 * @throws what its onUpgrade throws: a room that is half of one code must not exist
 */
export function upgradeRoom({ program, world, roomId }: UpgradedRoom, from: string): void {
  const upgrade = async () => await program.upgrade?.(gameOf(from));
  world.finish(
    upgrade,
    `onUpgrade of room ${roomId} waits for something outside the log: it must finish by itself`,
  );
}
