import { z } from "zod";
import type { RoomNode } from "../colyseus/room-node.ts";
import { SessionError } from "../session/session-error.ts";
import { OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";

const name = z.string().min(1).max(128);
const thawSchema = z.strictObject({ roomId: name, holder: name });

/** GET rooms: this node's replicas. POST rooms/thaw: one that stands still goes on with the state that one node has. */
export function roomsRoutes(asked: Pick<RoomNode, "node" | "rooms" | "thaw">): OperatorRoute[] {
  return [
    {
      method: "GET",
      path: "rooms",
      answer: async () => ({ node: asked.node.options.id, rooms: asked.rooms() }),
    },
    { method: "POST", path: "rooms/thaw", answer: ({ body }) => thaw(asked, body) },
  ];
}

async function thaw(asked: Pick<RoomNode, "thaw">, body: unknown): Promise<unknown> {
  const request = thawSchema.safeParse(body);
  if (!request.success) throw new OperatorError(400, "GARBLED", z.prettifyError(request.error));
  try {
    return await asked.thaw(request.data.roomId, request.data.holder);
  } catch (error) {
    if (error instanceof SessionError) throw new OperatorError(409, error.code, error.message);
    throw error;
  }
}
