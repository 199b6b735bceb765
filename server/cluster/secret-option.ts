import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { OptionError, type OptionOrigin } from "./option-error.ts";
import { text } from "./option-kind.ts";

export const secretLengthMin = 16;

export const secretKind = text({
  pattern: /^[\x21-\x7e]{16,256}$/,
  allowed: `${secretLengthMin} to 256 characters, without spaces`,
  argument: "TEXT",
});

/** The cluster's secret: as given, or from its file. @throws OptionError */
export function decideSecret({
  secret,
  secretFile,
  origins,
  cwd,
  alone,
}: {
  secret: string | null;
  secretFile: string | null;
  origins: Readonly<Record<"secret" | "secretFile", OptionOrigin>>;
  cwd: string;
  alone: boolean;
}): string {
  if (secret !== null && secretFile !== null) {
    throw new OptionError({
      option: "secretFile",
      origin: origins.secretFile,
      value: secretFile,
      allowed: "left out, since --secret is given",
    });
  }
  if (secret !== null) return secret;
  if (secretFile !== null) return readSecret(resolve(cwd, secretFile), origins.secretFile);
  // Nobody else may link to a node that is alone: a secret that nobody knows.
  if (alone) return randomBytes(32).toString("hex");
  throw new OptionError({
    option: "secret",
    origin: origins.secret,
    value: "",
    allowed: `given with --peers: ${secretKind.allowed}, or --secret-file`,
  });
}

function readSecret(path: string, origin: OptionOrigin): string {
  let content: string;
  try {
    content = readFileSync(path, "utf8").trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unreadable";
    throw new OptionError({
      option: "secretFile",
      origin,
      value: path,
      allowed: `a file that can be read (${code})`,
    });
  }
  const parsed = secretKind.schema.safeParse(content);
  if (parsed.success) return parsed.data;
  throw new OptionError({
    option: "secretFile",
    origin,
    value: path,
    allowed: `a file that holds ${secretKind.allowed}`,
  });
}
