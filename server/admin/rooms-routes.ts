import { z } from "zod";
import type { RoomNode } from "../colyseus/room-node.ts";
import { SessionError } from "../session/session-error.ts";
import { OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";

const name = z.string().min(1).max(128);
const thawSchema = z.strictObject({ roomId: name, holder: name });

const switchSchema = z.strictObject({ roomId: name.nullable() });

type Asked = Pick<RoomNode, "node" | "rooms" | "thaw" | "switchCode">;

/**
 * GET rooms: this node's replicas. POST rooms/thaw: one that stands still goes on with the state that one node has. POST
 * rooms/switch: one, or all (null), go on under this node's code.
 */
export function roomsRoutes(asked: Asked): OperatorRoute[] {
  return [
    {
      method: "GET",
      path: "rooms",
      answer: async () => ({ node: asked.node.options.id, rooms: asked.rooms() }),
    },
    { method: "POST", path: "rooms/thaw", answer: ({ body }) => thaw(asked, body) },
    { method: "POST", path: "rooms/switch", answer: ({ body }) => switchCode(asked, body) },
  ];
}

async function thaw(asked: Asked, body: unknown): Promise<unknown> {
  const { roomId, holder } = read(thawSchema, body);
  return await unlessRefused(() => asked.thaw(roomId, holder));
}

async function switchCode(asked: Asked, body: unknown): Promise<unknown> {
  const { roomId } = read(switchSchema, body);
  return { rooms: await unlessRefused(() => asked.switchCode(roomId)) };
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const request = schema.safeParse(body);
  if (!request.success) throw new OperatorError(400, "GARBLED", z.prettifyError(request.error));
  return request.data;
}

async function unlessRefused<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof SessionError) throw new OperatorError(409, error.code, error.message);
    throw error;
  }
}
