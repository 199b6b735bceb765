import { createServer, type Server } from "node:http";
import * as assert from "uvu/assert";
import { runCli } from "../../server/admin/cli/testudo-cli.ts";
import { drainRoutes } from "../../server/admin/drain-routes.ts";
import { makeOperatorHandler } from "../../server/admin/operator-handler.ts";
import { operatorRoutes } from "../../server/admin/operator-routes.ts";
import { roomsRoutes } from "../../server/admin/rooms-routes.ts";
import type { MembersList } from "../../server/cluster/members-list.ts";
import type { RoomStatus } from "../../server/colyseus/room-status.ts";
import { type MembersWorld, withWorld } from "../cluster/members-world.ts";

/** Whole nodes, each with its door for operators. */
export class Operated {
  readonly world: MembersWorld;
  readonly #doors: Server[] = [];
  /** What each drain that was begun was given. */
  readonly drains: { readonly id: string; readonly timeoutMs: number | null }[] = [];
  /** What each node tells of its replicas, but for what does not matter here. */
  readonly rooms = new Map<string, readonly Partial<RoomStatus>[]>();
  /** A drain that was begun goes on once this is so. */
  emptied: Promise<void> = Promise.resolve();

  constructor(world: MembersWorld) {
    this.world = world;
  }

  async open(...ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const node = this.world.node(id);
      const left = () => ({ clients: 2, plainRooms: 0, leads: 0 });
      const begin = (timeoutMs: number | null) => {
        this.drains.push({ id, timeoutMs });
        void this.#drain(id, door);
      };
      const rooms = () => (this.rooms.get(id) ?? []) as RoomStatus[];
      const unasked = () => Promise.reject(new Error("nothing asks for it here"));
      const routes = [
        ...operatorRoutes(node),
        ...roomsRoutes({ node, rooms, thaw: unasked, exportRoom: unasked, switchCode: unasked }),
        ...drainRoutes({ node, left, begin }),
      ];
      const handler = makeOperatorHandler({ secret: this.world.secret, routes });
      const door = createServer((request, response) => void handler(request, response));
      this.#doors.push(door);
      await new Promise<void>((resolve) => door.listen(node.options.port, "127.0.0.1", resolve));
    }
  }

  async #drain(id: string, door: Server): Promise<void> {
    await this.world.node(id).drain();
    await this.emptied;
    door.close();
    door.closeAllConnections();
    await this.world.stop(id);
  }

  async testudo(at: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
    let out = "";
    let err = "";
    const context = {
      write: (text: string) => {
        out += text;
      },
      tell: (line: string) => {
        err += line;
      },
      cwd: "/",
    };
    const node = ["--url", this.world.node(at).options.publicUrl, "--secret", this.world.secret];
    return { code: await runCli([...args, ...node], context), out, err };
  }

  async members(at: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
    return await this.testudo(at, "members", ...args);
  }

  async list(at: string): Promise<MembersList> {
    const { code, out, err } = await this.members(at, "list", "--json");
    assert.is(code, 0, err);
    return JSON.parse(out) as MembersList;
  }

  close(): void {
    for (const door of this.#doors) {
      door.close();
      door.closeAllConnections();
    }
  }
}

export function withOperator(run: (operated: Operated) => Promise<void>): () => Promise<void> {
  return withWorld(async (world) => {
    const operated = new Operated(world);
    try {
      await operated.open("n1", "n2", "n3");
      await run(operated);
    } finally {
      operated.close();
    }
  });
}
