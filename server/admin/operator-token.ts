import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * What an operator's commands are known by: derived from the cluster's secret, so that who has the one has the other, and
 * the secret itself never goes over a client's connection.
 */
export function operatorToken(secret: string): string {
  return createHmac("sha256", secret).update("testudo operator").digest("base64url");
}

/** `authorization`: the header, `Bearer TOKEN`. */
export function isOperator(authorization: string | undefined, secret: string): boolean {
  const given = Buffer.from(authorization ?? "");
  const expected = Buffer.from(`Bearer ${operatorToken(secret)}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}
