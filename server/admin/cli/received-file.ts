import { createWriteStream, existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { CliContext } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";

const progressEveryBytes = 16 << 20;

/** Where a file that a command makes will be. @throws CliError FILE_EXISTS */
export function newFile(file: string, { cwd }: Pick<CliContext, "cwd">): string {
  const path = resolve(cwd, file);
  if (existsSync(path)) throw new CliError("FILE_EXISTS", `${file} is there already: choose another name`, 2);
  return path;
}

/**
 * What a node answers, as a file. Checked as it comes: `check` reads all of it. The file has its name only once it is
 * whole, and on the disk. @returns its bytes
 */
export async function receiveFile(
  answer: Response,
  path: string,
  {
    context,
    check,
  }: {
    readonly context: CliContext;
    readonly check: (chunks: AsyncIterable<Uint8Array>) => Promise<void>;
  },
): Promise<number> {
  if (answer.body === null) throw new CliError("REFUSED", "the node answers nothing");
  const partial = `${path}.partial`;
  const [kept, checked] = answer.body.tee();
  let bytes = 0;
  let toldBytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of checked as unknown as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes - toldBytes >= progressEveryBytes) {
        toldBytes = bytes;
        context.tell(`${Math.round(bytes / (1 << 20))} MiB\n`);
      }
      yield chunk;
    }
  }
  const file = createWriteStream(partial, { flush: true });
  try {
    await Promise.all([pipeline(Readable.fromWeb(kept as never), file), check(counted())]);
  } catch (error) {
    await rm(partial, { force: true });
    throw cliError(error);
  }
  await rename(partial, path);
  return bytes;
}

/** What went wrong with a file or a folder, in the words of whoever found out. */
export function cliError(error: unknown): CliError {
  const { code, message } = error as { code?: unknown; message?: string };
  return new CliError(typeof code === "string" ? code : "FAILED", message ?? String(error));
}
