import { z } from "zod";
import { ProposalError } from "../group/proposal-error.ts";
import { KeeperError } from "../menu/keeper-error.ts";
import type { Kv, KvWriting } from "../menu/kv.ts";
import type { LockClaims } from "../menu/lock-claims.ts";
import { MenuError } from "../menu/menu.ts";
import { readBody } from "./asked-body.ts";
import { jsonOf } from "./json-value.ts";
import { OperatorError } from "./operator-error.ts";
import type { OperatorRoute } from "./operator-handler.ts";
import { sendChanges } from "./watch-stream.ts";

interface KeeperDoors {
  readonly kv: Kv;
  readonly locks: { readonly claims: LockClaims };
}

const key = z.string();
const expected = z.union([z.strictObject({ value: z.json() }), z.strictObject({ version: z.number() })]);
const fence = z.strictObject({ name: z.string(), token: z.number() }).optional();
/** How large and how long things may be is checked by Kv, whose words say what is allowed. */
const kvSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("get"),
    key,
    consistency: z.enum(["local", "lease", "linearizable"]).optional(),
    replicas: z.number().optional(),
  }),
  z.strictObject({ type: z.literal("put"), key, value: z.json(), expiresInMs: z.number().optional(), fence }),
  z.strictObject({ type: z.literal("delete"), key, fence }),
  z.strictObject({ type: z.literal("cas"), key, expected, value: z.json(), fence }),
]);
type KvAsked = z.infer<typeof kvSchema>;

const claim = { name: z.string(), claimant: z.string().min(1).max(64) };
const lockSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("acquire"),
    ...claim,
    leaseMs: z.number(),
    waitMs: z.number().nullable(),
  }),
  z.strictObject({ type: z.literal("renew"), ...claim }),
  z.strictObject({ type: z.literal("release"), ...claim }),
  z.strictObject({ type: z.literal("turn"), ...claim }),
]);
type LockAsked = z.infer<typeof lockSchema>;

/** How long a question for a claim's turn stays open: shorter than any proxy's patience. */
const turnMs = 5_000;

/** POST kv and lock: one operation each. GET kv/watch: changes, a line of JSON each, for as long as somebody listens. */
export function keeperRoutes({ kv, locks }: KeeperDoors): OperatorRoute[] {
  return [
    {
      method: "POST",
      path: "kv",
      answer: ({ body }) => withWords(() => operate(kv, readBody(kvSchema, body))),
    },
    {
      method: "POST",
      path: "lock",
      answer: ({ body }) => withWords(() => claimed(locks.claims, readBody(lockSchema, body))),
    },
    {
      method: "GET",
      path: "kv/watch",
      answer: ({ query, response }) => withWords(() => sendChanges(kv, query, response)),
    },
  ];
}

async function operate(kv: Kv, asked: KvAsked): Promise<unknown> {
  switch (asked.type) {
    case "get": {
      const { key, consistency = "linearizable", replicas } = asked;
      const how = replicas === undefined ? { consistency } : { consistency, replicas };
      const { value, ageMs, ...read } = await kv.get(key, how);
      return { ...read, value: jsonOf(value), ageMs: Number.isFinite(ageMs) ? ageMs : null };
    }
    case "put": {
      const { expiresInMs } = asked;
      const expiry = expiresInMs === undefined ? {} : { expiresInMs };
      return { version: await kv.put(asked.key, asked.value, { ...fenceOf(asked), ...expiry }) };
    }
    case "delete":
      return { deleted: await kv.delete(asked.key, fenceOf(asked)) };
    case "cas": {
      const { key, expected } = asked;
      const { value, ...outcome } = await kv.compareAndSet(key, expected, asked.value, fenceOf(asked));
      return { ...outcome, value: jsonOf(value) };
    }
  }
}

async function claimed(claims: LockClaims, asked: LockAsked): Promise<unknown> {
  switch (asked.type) {
    case "acquire":
      return { token: await claims.acquire(asked, asked) };
    case "renew":
      return { isHeld: await claims.renew(asked) };
    case "release":
      return { wasThere: await claims.release(asked) };
    case "turn":
      return await claims.turn(asked, { ms: turnMs });
  }
}

function fenceOf({ fence }: { readonly fence?: KvWriting["fence"] | undefined }): KvWriting {
  return fence === undefined ? {} : { fence };
}

/** What was refused is no failure of the node. */
async function withWords<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof KeeperError || error instanceof MenuError)
      throw new OperatorError(409, error.code, error.message);
    if (error instanceof ProposalError) throw new OperatorError(503, error.code, error.message);
    throw error;
  }
}
