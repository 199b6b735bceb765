import { z } from "zod";
import { OperatorError } from "./operator-error.ts";

/** What an operator's request says. @throws OperatorError GARBLED */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const asked = schema.safeParse(body);
  if (asked.success) return asked.data;
  throw new OperatorError(400, "GARBLED", z.prettifyError(asked.error));
}
