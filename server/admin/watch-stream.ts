import type { ServerResponse } from "node:http";
import type { Kv } from "../menu/kv.ts";
import { jsonOf } from "./json-value.ts";
import { OperatorError } from "./operator-error.ts";

/** Past it whoever reads too slowly is cut off, with words: what is known goes back no further than that, too. */
const watchBufferedBytesMax = 1024 * 1024;
/** Who hears nothing for some of these knows that the node is gone, or stands still. */
const aliveEveryMs = 2_000;

/**
 * GET kv/watch?prefix=&after=: first `{ after }`, the version behind which changes come, then each of them, a line of JSON
 * each; `{ alive }` says that the node lives; `{ error }` is the last one.
 * @throws OperatorError, KeeperError: nothing was sent yet
 */
export async function sendChanges(
  kv: Kv,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<undefined> {
  const prefix = query.get("prefix") ?? "";
  const after = await readAfter(kv, query.get("after"));
  const stream = new WatchStream(response);
  const end = await kv.watch({
    prefix,
    after,
    changed: ({ value, ...change }) => stream.write({ ...change, value: jsonOf(value) }),
    lost: ({ code, message }) => stream.end({ code, message }),
  });
  stream.begin(after, end);
  return undefined;
}

async function readAfter(kv: Kv, text: string | null): Promise<number> {
  if (text === null) return (await kv.range({ limit: 1 })).index;
  if (/^\d{1,16}$/.test(text)) return Number(text);
  throw new OperatorError(
    400,
    "GARBLED",
    `after=${text.slice(0, 40)}: a version is expected, a whole number`,
  );
}

class WatchStream {
  readonly #response: ServerResponse;
  /** What comes before it has begun. */
  #early: object[] | null = [];

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  begin(after: number, end: () => void): void {
    const response = this.#response;
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    const early = this.#early ?? [];
    this.#early = null;
    for (const line of [{ after }, ...early]) this.write(line);
    const alive = setInterval(() => this.write({ alive: true }), aliveEveryMs);
    const over = () => {
      clearInterval(alive);
      end();
    };
    // It may have ended, or its socket have gone, before anybody listened.
    if (response.writableEnded || response.destroyed) over();
    else response.once("close", over);
  }

  write(line: object): void {
    if (this.#early !== null) {
      this.#early.push(line);
      return;
    }
    const response = this.#response;
    if (response.writableEnded) return;
    response.write(`${JSON.stringify(line)}\n`);
    if (response.writableLength <= watchBufferedBytesMax) return;
    const message = `more than ${watchBufferedBytesMax} bytes of changes wait to be read: read faster, and go on behind the last one`;
    this.end({ code: "WATCH_TOO_SLOW", message });
  }

  end(error: { readonly code: string; readonly message: string }): void {
    if (this.#early !== null) {
      this.#early.push({ error });
      return;
    }
    this.#response.end(`${JSON.stringify({ error })}\n`);
  }
}
