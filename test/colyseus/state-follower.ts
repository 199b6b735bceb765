/** A client's state as the stock SDK makes it of what its socket got. */
import { Protocol, type Room } from "@colyseus/core";
import {
  $changes,
  $numFields,
  type ChangeTree,
  Decoder,
  type Metadata,
  Schema,
  type StateView,
} from "@colyseus/schema";
import type { RecordingSocket } from "./machine-harness.ts";

const codeMask = 0x1f;

export class StateFollower<State extends Schema> {
  readonly state: State;
  readonly decoder: Decoder;
  /** What the decoder could make nothing of. */
  readonly warnings: string[] = [];
  patchBytes = 0;
  #socket: RecordingSocket | null = null;
  #read = 0;

  constructor(stateClass: new () => State) {
    this.state = new stateClass();
    this.decoder = new Decoder(this.state);
  }

  follow(socket: RecordingSocket): this {
    if (socket !== this.#socket) this.#read = 0;
    this.#socket = socket;
    const { warn } = console;
    console.warn = (...words: unknown[]) => this.warnings.push(words.join(" "));
    try {
      for (const frame of socket.frames.slice(this.#read)) this.#take(frame);
    } finally {
      console.warn = warn;
    }
    this.#read = socket.frames.length;
    return this;
  }

  #take(frame: Uint8Array): void {
    const code = (frame[0] ?? 0) & codeMask;
    if (code === Protocol.ROOM_STATE) {
      // As the SDK: whoever has a state already puts it right by the new one.
      if (this.decoder.root.refs.size > 1) this.decoder.decodeResync(frame, { offset: 1 });
      else this.decoder.decode(frame, { offset: 1 });
    }
    if (code === Protocol.ROOM_STATE_PATCH) {
      this.patchBytes += frame.length;
      this.decoder.decode(frame, { offset: 1 });
    }
  }

  get seen(): unknown {
    return plain(
      JSON.parse(
        JSON.stringify(this.state.toJSON(), (_key, value: unknown) =>
          typeof value === "bigint" ? `${value}n` : value,
        ),
      ),
    );
  }
}

/** Empty collections are there for one and not yet for the other; what has a gap is listed without. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.filter((each) => each !== null && each !== undefined).map(plain);
    return items.length === 0 ? undefined : items;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, each]) => [key, plain(each)] as const)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** What a client with this view may see of a room's state, told from the rules of the library alone. */
export function visibleTo(room: Room, view: StateView | undefined): unknown {
  return plain(JSON.parse(JSON.stringify(show(room.state, view))));
}

function show(value: unknown, view: StateView | undefined): unknown {
  const tree = (value as Partial<Record<typeof $changes, ChangeTree>> | null)?.[$changes];
  if (tree === undefined) return value;
  if (tree.isFiltered && view?.isChangeTreeVisible(tree) !== true) return undefined;
  const metadata = (value as { constructor: typeof Schema }).constructor[Symbol.metadata] as
    | Metadata
    | undefined;
  if (metadata === undefined || !(value instanceof Schema)) {
    const collection = value as { entries(): Iterable<[string | number, unknown]> };
    const shown = [...collection.entries()].map(([key, each]) => [key, show(each, view)] as const);
    return "set" in (value as object) && "get" in (value as object)
      ? Object.fromEntries(shown.filter(([, each]) => each !== undefined))
      : shown.map(([, each]) => each);
  }
  const fields: [string, unknown][] = [];
  for (let index = 0; index <= (metadata[$numFields] as number); index++) {
    const { name, tag } = metadata[index] as { name: string; tag?: number };
    const isShown =
      tag === undefined ||
      (tag === -1 ? view?.isChangeTreeVisible(tree) : view?.hasTagOnTree(tree, tag)) === true;
    if (isShown) fields.push([name, show((value as unknown as Record<string, unknown>)[name], view)]);
  }
  return Object.fromEntries(fields);
}
