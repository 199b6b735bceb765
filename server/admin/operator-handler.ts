import type { IncomingMessage, ServerResponse } from "node:http";
import type { AdminHandler } from "./admin-handler.ts";
import { OperatorError } from "./operator-error.ts";
import { isOperator } from "./operator-token.ts";

/** What an operator may ask of a node. `path` is below /testudo/operator/. */
export interface OperatorRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  /**
   * What it resolves with is the answer, as JSON; undefined: it has written the answer itself.
   * @throws {OperatorError} the operator's mistake, or what cannot be done now
   */
  answer(asked: OperatorRequest): Promise<unknown>;
}

export interface OperatorRequest {
  readonly query: URLSearchParams;
  /** Of a POST: JSON, not yet looked at. */
  readonly body: unknown;
  readonly response: ServerResponse;
}

const prefix = "/testudo/operator/";
const bodyBytesMax = 64 * 1024;

/** Answers operators, who know the cluster's secret (see operator-token). Nobody else learns what there is. */
export function makeOperatorHandler({
  secret,
  routes,
}: {
  secret: string;
  routes: readonly OperatorRoute[];
}): AdminHandler {
  return (request, response) => {
    const url = new URL(request.url ?? "", "http://node");
    if (!url.pathname.startsWith(prefix)) return false;
    answer(url, { secret, routes, request, response }).catch((error: unknown) => refuse(response, error));
    return true;
  };
}

async function answer(
  url: URL,
  parts: {
    readonly secret: string;
    readonly routes: readonly OperatorRoute[];
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
  },
): Promise<void> {
  const { secret, routes, request, response } = parts;
  if (!isOperator(request.headers.authorization, secret)) {
    request.resume();
    throw new OperatorError(
      401,
      "NOT_AN_OPERATOR",
      "this needs the cluster's secret: --secret-file, --secret or TESTUDO_SECRET, as the nodes have it",
    );
  }
  const path = url.pathname.slice(prefix.length);
  const here = routes.filter((route) => route.path === path);
  const route = here.find(({ method }) => method === request.method);
  if (route === undefined) {
    request.resume();
    if (here.length === 0) throw new OperatorError(404, "NOT_FOUND", `there is no ${path.slice(0, 100)}`);
    const allowed = here.map(({ method }) => method).join(", ");
    throw new OperatorError(405, "METHOD_NOT_ALLOWED", `only ${allowed}`);
  }
  const body = request.method === "POST" ? await readBody(request) : null;
  const told = await route.answer({ query: url.searchParams, body, response });
  if (told !== undefined) write(response, 200, told);
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > bodyBytesMax)
      throw new OperatorError(413, "TOO_LONG", `a command has at most ${bodyBytesMax} bytes`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch {
    throw new OperatorError(400, "GARBLED", "the command is no JSON");
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  // An answer that has begun cannot be taken back: cut off, it is no whole one for whoever reads it.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, code, message } =
    error instanceof OperatorError
      ? error
      : { status: 500, code: codeOf(error), message: error instanceof Error ? error.message : String(error) };
  write(response, status, { error: { code, message } });
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "FAILED";
}

function write(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}
