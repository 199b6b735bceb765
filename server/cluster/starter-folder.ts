import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { OptionError } from "./option-error.ts";
import { nodesMax } from "./options.ts";
import { nodeIds } from "./starter-options.ts";

const markName = "testudo-cluster.json";
const secretName = "secret";
const secretBytes = 32;
const folderFormat = 1;

const markSchema = z.object({
  format: z.literal(folderFormat),
  nodes: z.number().int().min(1).max(nodesMax),
});

export interface StarterFolderOptions {
  readonly data: string;
  readonly nodes: number;
  readonly fresh: boolean;
}

/**
 * Makes the folder of a cluster on one machine ready: a mark that it is one, and the nodes' secret.
 * `fresh` removes what the starter and its nodes made there, and never anything in a folder without the mark.
 * @returns the path of the secret's file
 * @throws OptionError if the folder is something else, or of a cluster of another size
 */
export function prepareFolder({ data, nodes, fresh }: StarterFolderOptions): string {
  const wrong = (option: string, value: unknown, allowed: string) =>
    new OptionError({ option, origin: { type: "default" }, value, allowed });
  let found: readonly string[];
  try {
    mkdirSync(data, { recursive: true });
    found = readdirSync(data);
  } catch (error) {
    throw wrong(
      "data",
      data,
      `a folder that can be written (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
    );
  }
  const mark = readMark(data);
  if (mark === null && found.length > 0) {
    throw wrong(
      "data",
      data,
      `an empty folder, or one that npm start made: it holds other things, and nothing in it was touched`,
    );
  }
  if (mark !== null && fresh) {
    for (const name of [...nodeIds(mark.nodes), secretName, markName])
      rmSync(join(data, name), { recursive: true, force: true });
  } else if (mark !== null && mark.nodes !== nodes) {
    throw wrong(
      "nodes",
      nodes,
      `${mark.nodes}, as many as the cluster in ${data} was founded with; or --fresh for a new one`,
    );
  }
  writeFileSync(join(data, markName), `${JSON.stringify({ format: folderFormat, nodes })}\n`);
  return prepareSecret(data);
}

function readMark(data: string): z.infer<typeof markSchema> | null {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(join(data, markName), "utf8"));
  } catch {
    return null;
  }
  return markSchema.safeParse(content).data ?? null;
}

function prepareSecret(data: string): string {
  const path = join(data, secretName);
  if (!existsSync(path))
    writeFileSync(path, `${randomBytes(secretBytes).toString("hex")}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}
