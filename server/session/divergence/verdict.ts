import { z } from "zod";

const name = z.string().min(1).max(128);
const hash = z.string().min(1).max(64);

const verdict = z.object({
  roomId: name,
  /** Where the hashes were compared. */
  index: z.number().int().positive(),
  /** The majority's; null: there is none, and the room freezes. */
  hash: hash.nullable(),
  /** Who had which; empty if nobody who spoke had another. */
  hashes: z.array(z.tuple([name, hash])).max(64),
  /** Nobody has the hash that was agreed for `index`: all replicas are compared anew, where they have come to. */
  anew: z.literal(true).optional(),
});

/** What was agreed about one room's hashes at one index. */
export type Verdict = z.infer<typeof verdict>;

/** As many as surely fit into one command. */
export const verdictsPerEntryMax = 64;

export const verdictsSchema = z.object({ verdicts: z.array(verdict).min(1).max(verdictsPerEntryMax) });
export type Verdicts = z.infer<typeof verdictsSchema>;
