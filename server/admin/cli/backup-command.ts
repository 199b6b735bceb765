import { createWriteStream, existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Command } from "commander";
import { decodeBackup } from "../../cluster/backup/backup-file.ts";
import { type CliContext, type NodeFlags, show, withExample, withNode } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { OperatorClient } from "./operator-client.ts";

const progressEveryBytes = 16 << 20;

/** `testudo backup FILE`: the whole cluster, while it runs. */
export function backupCommand(context: CliContext): Command {
  const command = new Command("backup")
    .description("save the state of the whole cluster to a file, while it runs")
    .argument("<file>", "is made, and must not be there yet");
  withExample(withNode(command), "backup arena.backup --secret-file data/secret");
  return command.action(async (file: string, flags: NodeFlags) => {
    const path = resolve(context.cwd, file);
    if (existsSync(path))
      throw new CliError("FILE_EXISTS", `${file} is there already: choose another name`, 2);
    const answer = await new OperatorClient(flags).open("GET", "backup");
    const told = await receive(answer, path, context);
    show(context, flags.json, told, [
      `${file}: cluster ${told.clusterId}, ${told.groups} groups, ${told.parts} parts, ${told.entries} entries, ${told.bytes} bytes`,
    ]);
  });
}

interface Received {
  clusterId: string;
  groups: number;
  parts: number;
  entries: number;
  bytes: number;
}

/** Checked as it comes; the file has its name only once it is whole, and on the disk. */
async function receive(answer: Response, path: string, context: CliContext): Promise<Received> {
  if (answer.body === null) throw new CliError("REFUSED", "the node answers nothing");
  const partial = `${path}.partial`;
  const told: Received = { clusterId: "", groups: 0, parts: 0, entries: 0, bytes: 0 };
  const [kept, checked] = answer.body.tee();
  const file = createWriteStream(partial, { flush: true });
  try {
    await Promise.all([pipeline(Readable.fromWeb(kept as never), file), check(checked, told, context)]);
  } catch (error) {
    await rm(partial, { force: true });
    throw cliError(error);
  }
  await rename(partial, path);
  return told;
}

async function check(stream: ReadableStream<Uint8Array>, told: Received, context: CliContext): Promise<void> {
  let toldBytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
      told.bytes += chunk.length;
      if (told.bytes - toldBytes >= progressEveryBytes) {
        toldBytes = told.bytes;
        context.tell(`${Math.round(told.bytes / (1 << 20))} MiB\n`);
      }
      yield chunk;
    }
  }
  for await (const record of decodeBackup(counted())) {
    if (record.type === "backup") told.clusterId = record.clusterId;
    if (record.type === "backup") told.groups = record.groups;
    if (record.type === "part") told.parts += 1;
    if (record.type === "entries") told.entries += record.entries.length;
  }
}

/** What went wrong with a file or a folder, in the words of whoever found out. */
export function cliError(error: unknown): CliError {
  const { code, message } = error as { code?: unknown; message?: string };
  return new CliError(typeof code === "string" ? code : "FAILED", message ?? String(error));
}
