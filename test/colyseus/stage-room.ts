/** A room whose eventual handlers do what a test likes, on three machines that tell each other of them. */
import { type Client, definePlugins, Room, RoomPlugin } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { z } from "zod";
import { Eventuals } from "../../server/session/eventuals.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import type { Message } from "../../server/session/message-codec.ts";
import { defineTestRoom, type Replica } from "./machine-harness.ts";
import { type Player, Scene } from "./scene.ts";

const Hero = schema({ x: t.number().default(0), tags: t.array("string") }, "Hero");
export const StageState = schema({ heroes: t.map(Hero), round: t.number().default(1) }, "StageState");

export class Deck {
  cards = [1, 2, 3];
  get top(): number | undefined {
    return this.cards.at(-1);
  }
  draw(): number | undefined {
    return this.cards.pop();
  }
}

class NotesPlugin extends RoomPlugin {
  override readonly pluginName = "notes" as const;
  notes: string[] = ["first"];
}

// biome-ignore lint/suspicious/noExplicitAny: each test's handler does what it likes
export type Act = (this: any, client: any, message: any) => unknown;
/** What the handlers of "act" (by `this`) and "arrow" (by a closure) do. */
let act: Act = () => {};

export function does(what: Act): void {
  act = what;
}

export class StageRoom extends Room<{ state: InstanceType<typeof StageState> }> {
  override state = new StageState();
  override plugins = definePlugins([new NotesPlugin()]);
  count = 0;
  settings = { speed: 3, deep: { list: [1, 2] } };
  scores = new Map<string, { points: number }>();
  names = new Set(["a"]);
  moves: object[] = [{ dx: 1 }];
  bytes = new Uint8Array([1, 2, 3]);
  since = new Date(0);
  deck = new Deck();
  frozen = Object.freeze({ inside: [1] });
  cache = new Map<string, number>();
  owners = new Map<Client, string>();

  override messages = {
    act(this: StageRoom, client: Client, message: unknown) {
      return act.call(this, client, message);
    },
    arrow: (client: Client, message: unknown) => act.call(this, client, message),
    emote: (client: Client, what: string) => {
      this.broadcast("emote", `${client.sessionId} ${what}`);
    },
    counted: () => {
      this.count++;
      this.broadcast("counted", this.count);
    },
    say: {
      format: z.object({ words: z.string().max(5) }),
      handler: (client: Client, { words }: { words: string }) =>
        this.broadcast("said", words, { except: client }),
    },
  };

  override onCreate(): void {
    this.maxMessagesPerSecond = 50;
    this.onMessageBytes("raw", (_client, bytes: Uint8Array) => this.broadcastBytes("raw", bytes, {}));
    this.onMessage("late", (client: Client) => act.call(this, client, null));
  }

  override onJoin(client: Client): void {
    this.state.heroes.set(client.sessionId, new Hero());
    this.state.heroes.get(client.sessionId)?.tags.push("new");
    this.scores.set(client.sessionId, { points: 1 });
    this.owners.set(client, client.sessionId);
    client.userData = { hat: "red" };
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  total(): number {
    return [...this.scores.values()].reduce((sum, { points }) => sum + points, 0);
  }
}

const eventual = "eventual" as const;
const options = {
  classes: [Deck],
  transient: ["cache"],
  messages: { act: eventual, arrow: eventual, emote: eventual, say: eventual, raw: eventual, late: eventual },
};
const defined = defineTestRoom("stage", StageRoom, options);

export interface Wire {
  readonly scene: Scene;
  readonly refused: string[];
  readonly told: { from: string; to: string; body: Uint8Array }[];
  readonly busy: Set<string>;
  eventuals(nodeId: string): Eventuals;
  say(sessionId: string, frame: Uint8Array, fields?: Partial<Message>): void;
  settled(): Promise<void>;
  drops: boolean;
}

/** Three machines whose `tell` is wired. */
function wire(scene: Scene): Wire {
  const byNode = new Map<string, Eventuals>();
  const sequences = new Map<string, number>();
  const told: Wire["told"] = [];
  const [refused, busy] = [[] as string[], new Set<string>()];
  const made: Wire = {
    ...{ scene, refused, told, busy, drops: false },
    eventuals: (nodeId) => byNode.get(nodeId) as Eventuals,
    say(sessionId, frame, fields = {}) {
      const { nodeId, epoch } = scene.player(sessionId);
      const key = `${sessionId} ${epoch}`;
      const sequence = (sequences.get(key) ?? 0) + 1;
      sequences.set(key, sequence);
      const message = { roomId: scene.roomId, sessionId, epoch, stream: "epoch", sequence, frame } as const;
      byNode.get(nodeId)?.say({ ...message, ...fields }, (reason) => refused.push(reason));
    },
    async settled() {
      for (let turn = 0; turn < 6; turn++) await inMacrotask(() => {});
    },
  };
  const add = (replica: Replica) =>
    byNode.set(
      replica.nodeId,
      new Eventuals({
        nodeId: replica.nodeId,
        machines: [replica.machine],
        groups: () => ({
          isBusy: (to) => busy.has(to),
          tell: (group, to, body) => {
            told.push({ from: replica.nodeId, to, body });
            if (!made.drops) byNode.get(to)?.heard(group, replica.nodeId, body);
          },
        }),
        soon: (run) => setImmediate(run),
        log: { warn: (fields, words) => replica.warnings.push({ ...fields, words }) },
      }),
    );
  for (const replica of scene.replicas) add(replica);
  return made;
}

export async function stage(wrapper = false): Promise<Wire> {
  await defined;
  const scene = new Scene();
  await scene.create("stage");
  await scene.join("ann", "A");
  await scene.join("ben", "B", {}, wrapper);
  await scene.join("cleo", "C");
  for (const player of scene.players.values()) player.socket.frames.length = 0;
  return wire(scene);
}

export const heard = ({ messages }: Player, name: string) =>
  messages.filter(([each]) => each === name).map(([, said]) => said);
