import type { IncomingMessage, ServerResponse } from "node:http";
import { ENDPOINTS_PATH } from "../../shared/wrapper-protocol.ts";
import type { TestudoNode } from "../cluster/node.ts";
import type { NodeCodeStatus } from "../colyseus/fingerprint/node-codes.ts";
import type { RoomFailures } from "../colyseus/room-failures.ts";
import type { RoomStatus } from "../colyseus/room-status.ts";
import type { DivergenceCounts } from "../session/divergence/divergence-book.ts";
import type { EventualCounts } from "../session/eventuals.ts";
import { buildStatus } from "./status.ts";

export interface AdminHandlerOptions {
  readonly node: TestudoNode;
  /** This node's replicas of the rooms. */
  readonly rooms: () => readonly RoomStatus[];
  /** By default none. */
  readonly divergences?: () => DivergenceCounts;
  /** By default none. */
  readonly eventuals?: () => EventualCounts;
  readonly roomFailures?: () => RoomFailures;
  /** By default none. */
  readonly codes?: () => readonly NodeCodeStatus[];
}

/** Answers what is asked under /testudo/, and says whether it did. */
export type AdminHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

const prefix = "/testudo/";

interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** After the answer has left. */
  readonly afterwards?: () => void;
}

/**
 * GET /testudo/status, /testudo/endpoints, /testudo/ready (200, or 503 until every group has a leader), /testudo/open (200
 * while new clients may come, else 404, by which HAProxy's disable-on-404 keeps those that are here), and, in development, POST /testudo/kill. Any page may read; only the cluster's own pages may kill.
 */
export function makeAdminHandler(options: AdminHandlerOptions): AdminHandler {
  return (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    if (!path.startsWith(prefix)) return false;
    // Bodies are of no use here; unread ones would hold up the connection.
    request.resume();
    const answer = answerTo(options, request, path);
    const body = answer.status === 204 ? "" : JSON.stringify(answer.body);
    response.writeHead(answer.status, {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
      "access-control-allow-headers": "content-type",
      "cache-control": "no-store",
      ...(body === ""
        ? {}
        : { "content-type": "application/json; charset=utf-8", "content-length": Buffer.byteLength(body) }),
    });
    response.end(request.method === "HEAD" ? "" : body, answer.afterwards);
    return true;
  };
}

function answerTo(options: AdminHandlerOptions, request: IncomingMessage, path: string): Answer {
  const { node } = options;
  const method = request.method ?? "GET";
  if (method === "OPTIONS") return { status: 204, body: null };
  const reads = method === "GET" || method === "HEAD";
  switch (path) {
    case `${prefix}status`:
      return reads ? { status: 200, body: buildStatus(options) } : methodRefused("GET");
    case ENDPOINTS_PATH:
      return reads ? { status: 200, body: { endpoints: node.endpoints() } } : methodRefused("GET");
    case `${prefix}ready`:
      return reads ? readiness(node) : methodRefused("GET");
    case `${prefix}open`:
      return reads ? openness(node) : methodRefused("GET");
    case `${prefix}kill`:
      return method === "POST" ? kill(node, request) : methodRefused("POST");
    default:
      return failure(404, "NOT_FOUND", `there is no ${path.slice(0, 100)}`);
  }
}

function readiness(node: TestudoNode): Answer {
  const leaderless = node
    .groups()
    .filter(({ leader }) => leader === null)
    .map(({ id }) => id);
  const ready = node.life.state === "serving" && leaderless.length === 0;
  return { status: ready ? 200 : 503, body: { ready, state: node.life.state, leaderless } };
}

function openness({ door }: TestudoNode): Answer {
  return { status: door === "open" ? 200 : 404, body: { door } };
}

function kill(node: TestudoNode, request: IncomingMessage): Answer {
  if (!node.options.development)
    return failure(403, "NOT_IN_DEVELOPMENT", "nodes can be killed only with --development");
  const { origin } = request.headers;
  if (origin !== undefined && !ownOrigin(node, origin))
    return failure(403, "FOREIGN_PAGE", "only the cluster's own pages may kill a node");
  return {
    status: 200,
    body: { killed: node.options.id, pid: process.pid },
    afterwards: () => process.kill(process.pid, "SIGKILL"),
  };
}

/** A page of some other site, open in the developer's browser, reaches localhost too; it shall not kill. */
function ownOrigin(node: TestudoNode, origin: string): boolean {
  const asked = URL.parse(origin);
  if (asked === null) return false;
  return node.endpoints().some(({ url }) => {
    const own = new URL(url);
    return (
      own.origin === asked.origin ||
      (own.port === asked.port && isLocal(own.hostname) && isLocal(asked.hostname))
    );
  });
}

function isLocal(hostname: string): boolean {
  return hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
}

function methodRefused(allowed: string): Answer {
  return failure(405, "METHOD_NOT_ALLOWED", `only ${allowed}`);
}

function failure(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}
