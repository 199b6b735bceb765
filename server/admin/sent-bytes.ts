import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TestudoNode } from "../cluster/node.ts";
import { OperatorError } from "./operator-error.ts";

/** @throws NOT_SERVING */
export function mustServe(node: Pick<TestudoNode, "life" | "options">): void {
  if (node.life.serves) return;
  throw new OperatorError(
    503,
    "NOT_SERVING",
    `node ${node.options.id} is ${node.life.state}: ask another one`,
  );
}

/** As fast as the operator takes it: nothing of it waits here. What fails in the middle cuts the answer off. */
export async function sendBytes(
  bytes: AsyncIterable<Uint8Array>,
  response: ServerResponse,
): Promise<undefined> {
  response.writeHead(200, { "content-type": "application/octet-stream", "cache-control": "no-store" });
  await pipeline(Readable.from(bytes), response);
  return undefined;
}
