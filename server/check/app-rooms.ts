import { pathToFileURL } from "node:url";
import { matchMaker, registerRoomDefinitions, Server } from "@colyseus/core";
import { failurePlace, failureWords } from "../session/failure.ts";
import { type RoomType, roomTypes } from "./room-verdict.ts";

/** Why an app's rooms cannot be had. */
export type AppErrorCode = "FILE_FAILED" | "NO_ROOMS";

export class AppError extends Error {
  readonly code: AppErrorCode;

  constructor(code: AppErrorCode, message: string) {
    super(message);
    this.name = "AppError";
    this.code = code;
  }
}

/** What an app exports that says which rooms it has. */
interface AppExport {
  readonly rooms?: unknown;
  readonly "~rooms"?: unknown;
  readonly initializeGameServer?: (server: object) => unknown;
}

const codesOfSyntax: ReadonlySet<unknown> = new Set([
  "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX",
  "ERR_INVALID_TYPESCRIPT_SYNTAX",
  "ERR_MODULE_NOT_FOUND",
  "ERR_UNSUPPORTED_DIR_IMPORT",
  "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING",
]);

/**
 * The rooms of a studio's server, as its file defines them; nothing listens meanwhile.
 * @throws AppError
 */
export async function loadRooms(file: string): Promise<RoomType[]> {
  Server.prototype.listen = async () => {};
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw new AppError("FILE_FAILED", failedWords(file, error));
  }
  const apps = Object.values(exported).filter(isApp);
  for (const app of apps) await register(file, app);
  const types = roomTypes(matchMaker.getAllHandlers() as never);
  if (types.length > 0) return types;
  const another = apps.some((app) => app["~rooms"] !== undefined);
  const what = another
    ? "its rooms are registered with another copy of @colyseus/core than Testudo uses: let both find the same one (npm ls @colyseus/core)"
    : 'export a server that defines some: export const server = defineServer({ rooms: { arena: defineRoom(ArenaRoom) } }), or config({ … }) of "@colyseus/tools"';
  throw new AppError("NO_ROOMS", `${file} defines no rooms: ${what}`);
}

function isApp(value: unknown): value is AppExport {
  return typeof value === "object" && value !== null;
}

/** A server has registered its rooms by itself; what @colyseus/tools is configured with has not yet. */
async function register(file: string, { rooms, initializeGameServer }: AppExport): Promise<void> {
  try {
    if (typeof rooms === "object" && rooms !== null) registerRoomDefinitions(rooms as never);
    if (typeof initializeGameServer === "function") await initializeGameServer(gameServer);
  } catch (error) {
    throw new AppError("FILE_FAILED", failedWords(file, error));
  }
}

/** As much of a server as defining rooms takes. */
const gameServer = {
  define: (...args: [string | { name: string }, unknown?, unknown?]) => {
    const [name, roomClass, options] = typeof args[0] === "string" ? args : [args[0].name, ...args];
    return matchMaker.defineRoomType(name as string, roomClass as never, options as never);
  },
  onShutdown: () => {},
  onBeforeShutdown: () => {},
  simulateLatency: () => {},
};

function failedWords(file: string, error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  const place = failurePlace(error) ?? file;
  const words = `${place}: ${failureWords(error)}`;
  if (!codesOfSyntax.has(code) && !(error instanceof SyntaxError)) return words;
  return `${words}. Node takes the types out of a file and no more: decorators (@type), enums, parameter properties and imports without the file's ending need a compiler; run it with tsx: npm install -D tsx, then testudo check --import tsx ${file}`;
}
