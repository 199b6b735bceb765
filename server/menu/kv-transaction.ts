import { z } from "zod";
import { keeperLimits } from "./keeper-limits.ts";

const { transactionKeysMax, expiryMsMax } = keeperLimits;
const key = z.string().min(1);
/** As encoded by `encodeValue`. */
const value = z.custom<Uint8Array>((given) => given instanceof Uint8Array, "bytes are expected");

const condition = z.discriminatedUnion("type", [
  /** The index at which it was last written; 0: there is no such key. */
  z.object({ type: z.literal("version"), key, version: z.number().int().nonnegative() }),
  z.object({ type: z.literal("value"), key, value }),
]);

const operation = z.discriminatedUnion("type", [
  z.object({ type: z.literal("get"), key }),
  z.object({
    type: z.literal("put"),
    key,
    value,
    expiresInMs: z.number().int().positive().max(expiryMsMax).nullable(),
  }),
  z.object({ type: z.literal("delete"), key }),
  z.object({ type: z.literal("increment"), key, by: z.number().int() }),
]);

const operations = z.array(operation).max(transactionKeysMax * 2);
export const kvTransaction = z.object({
  conditions: z.array(condition).max(transactionKeysMax * 2),
  do: operations,
  else: operations,
  /** Only while the lock is held with this token. */
  fence: z.object({ name: key, token: z.number().int().positive() }).optional(),
});

export type KvCondition = z.infer<typeof condition>;
export type KvOperation = z.infer<typeof operation>;
export type KvFence = NonNullable<KvTransaction["fence"]>;
export type KvTransaction = z.infer<typeof kvTransaction>;
