import type { ServerResponse } from "node:http";
import { z } from "zod";
import { ExportError } from "../colyseus/room-export/export-error.ts";
import { encodeExport } from "../colyseus/room-export/export-file.ts";
import type { RoomNode } from "../colyseus/room-node.ts";
import { SessionError } from "../session/session-error.ts";
import { readBody } from "./asked-body.ts";
import { OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";
import { mustServe, sendBytes } from "./sent-bytes.ts";

const name = z.string().min(1).max(128);
const thawSchema = z.strictObject({ roomId: name, holder: name });

const switchSchema = z.strictObject({ roomId: name.nullable() });

type Asked = Pick<RoomNode, "node" | "rooms" | "thaw" | "exportRoom" | "switchCode">;

/**
 * GET rooms: this node's replicas. GET rooms/export: one room's history, as bytes. POST rooms/thaw: one that stands still
 * goes on with the state that one node has. POST rooms/switch: one, or all (null), go on under this node's code.
 */
export function roomsRoutes(asked: Asked): OperatorRoute[] {
  return [
    {
      method: "GET",
      path: "rooms",
      answer: async () => ({ node: asked.node.options.id, rooms: asked.rooms() }),
    },
    {
      method: "GET",
      path: "rooms/export",
      answer: ({ query, response }) => sendExport(asked, query.get("room"), response),
    },
    { method: "POST", path: "rooms/thaw", answer: ({ body }) => thaw(asked, body) },
    { method: "POST", path: "rooms/switch", answer: ({ body }) => switchCode(asked, body) },
  ];
}

async function sendExport(asked: Asked, roomId: string | null, response: ServerResponse): Promise<undefined> {
  const named = name.safeParse(roomId);
  if (!named.success) throw new OperatorError(400, "GARBLED", "?room=… names a room by its id");
  mustServe(asked.node);
  const records = await asked.exportRoom(named.data).catch((error: unknown) => {
    if (!(error instanceof ExportError)) throw error;
    throw new OperatorError(error.code === "ROOM_NOT_FOUND" ? 404 : 409, error.code, error.message);
  });
  return await sendBytes(encodeExport(records), response);
}

async function thaw(asked: Asked, body: unknown): Promise<unknown> {
  const { roomId, holder } = readBody(thawSchema, body);
  return await unlessRefused(() => asked.thaw(roomId, holder));
}

async function switchCode(asked: Asked, body: unknown): Promise<unknown> {
  const { roomId } = readBody(switchSchema, body);
  return { rooms: await unlessRefused(() => asked.switchCode(roomId)) };
}

async function unlessRefused<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof SessionError) throw new OperatorError(409, error.code, error.message);
    throw error;
  }
}
