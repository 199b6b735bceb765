import { Command } from "commander";
import { z } from "zod";
import { type CliContext, type NodeFlags, show, withExample, withNode } from "./cli-context.ts";
import { CliError } from "./cli-error.ts";
import { watchCommand } from "./kv-watch-command.ts";
import { readValue, readWhole, shownValue } from "./kv-words.ts";
import { OperatorClient } from "./operator-client.ts";

interface GetFlags extends NodeFlags {
  readonly local?: boolean;
  readonly replicas?: string;
}

interface WriteFlags extends NodeFlags {
  readonly fence?: string;
}

interface PutFlags extends WriteFlags {
  readonly expiresInMs?: string;
  readonly ifVersion?: string;
}

const getSchema = z.object({
  value: z.json(),
  version: z.number(),
  index: z.number(),
  ageMs: z.number().nullable(),
});
const putSchema = z.object({ version: z.number() });
const deleteSchema = z.object({ deleted: z.boolean() });
const casSchema = z.object({ swapped: z.boolean(), value: z.json(), version: z.number() });

/** `testudo kv …`: the keys and values that all nodes share. */
export function kvCommand(context: CliContext): Command {
  const command = new Command("kv").description("the keys and values that all nodes share");
  withExample(command, "kv put season 7 --secret-file data/secret");
  for (const make of [getCommand, putCommand, casCommand, deleteCommand, watchCommand])
    command.addCommand(make(context));
  return command;
}

function getCommand(context: CliContext): Command {
  const command = new Command("get")
    .description("what is there under a key, the newest")
    .argument("<key>")
    .option("--local", "as the node that is asked has it, without asking the others")
    .option("--replicas <n>", "only once so many replicas have it");
  withExample(withNode(command), "kv get season --secret-file data/secret");
  return command.action(async (key: string, flags: GetFlags) => {
    const replicas = readWhole("--replicas", flags.replicas);
    const consistency = flags.local ? "local" : "linearizable";
    const asked = { type: "get", key, consistency, ...(replicas === undefined ? {} : { replicas }) };
    const found = getSchema.parse(await new OperatorClient(flags).ask("POST", "kv", asked));
    if (found.version === 0) throw new CliError("KEY_UNKNOWN", `there is no key "${key}"`);
    show(context, flags.json, { key, ...found }, [shownValue(found.value)]);
  });
}

function putCommand(context: CliContext): Command {
  const command = new Command("put")
    .description("puts a value under a key, whatever is there")
    .argument("<key>")
    .argument("<value>", "text; with --json, JSON")
    .option("--expires-in-ms <ms>", "it is gone after so long, and may go before if everything is full")
    .option("--if-version <version>", "only if what is there has this version; 0: only if there is nothing");
  withExample(
    withFence(withNode(command)),
    "kv put season '{\"number\":7}' --json --secret-file data/secret",
  );
  return command.action(async (key: string, text: string, flags: PutFlags) => {
    const value = readValue(text, flags);
    const expiresInMs = readWhole("--expires-in-ms", flags.expiresInMs);
    const version = readWhole("--if-version", flags.ifVersion);
    if (version !== undefined && expiresInMs !== undefined)
      throw new CliError("OPTION_WRONG", "--if-version and --expires-in-ms: give one of them", 2);
    if (version !== undefined) {
      await swap(context, flags, { key, expected: { version }, value });
      return;
    }
    const put = { type: "put", key, value, ...(expiresInMs === undefined ? {} : { expiresInMs }) };
    const done = putSchema.parse(await write(flags, put));
    show(context, flags.json, { key, ...done }, [`${key} has version ${done.version}`]);
  });
}

function casCommand(context: CliContext): Command {
  const command = new Command("cas")
    .description("puts a new value if the old one is there; else it ends with 1 (see also: put --if-version)")
    .argument("<key>")
    .argument("<old>", "what must be there: text; with --json, JSON")
    .argument("<new>", "the same");
  withExample(withFence(withNode(command)), "kv cas season 7 8 --json --secret-file data/secret");
  return command.action(async (key: string, old: string, text: string, flags: WriteFlags) => {
    await swap(context, flags, {
      key,
      expected: { value: readValue(old, flags) },
      value: readValue(text, flags),
    });
  });
}

function deleteCommand(context: CliContext): Command {
  const command = new Command("delete").description("takes a key away").argument("<key>");
  withExample(withFence(withNode(command)), "kv delete season --secret-file data/secret");
  return command.action(async (key: string, flags: WriteFlags) => {
    const done = deleteSchema.parse(await write(flags, { type: "delete", key }));
    show(context, flags.json, { key, ...done }, [done.deleted ? `${key} is gone` : `there was no ${key}`]);
  });
}

function withFence(command: Command): Command {
  return command.option(
    "--fence <lock:token>",
    'only while the lock is held with this token: under lock run "$TESTUDO_LOCK:$TESTUDO_LOCK_TOKEN"',
  );
}

function readFence(text: string | undefined): { fence?: { name: string; token: number } } {
  if (text === undefined) return {};
  const [, name, token] = /^(.+):(\d{1,15})$/s.exec(text) ?? [];
  if (name !== undefined) return { fence: { name, token: Number(token) } };
  throw new CliError("OPTION_WRONG", `--fence ${text}: a lock's name, ":" and the token are expected`, 2);
}

async function swap(
  context: CliContext,
  flags: WriteFlags,
  asked: { readonly key: string; readonly expected: object; readonly value: unknown },
): Promise<void> {
  const { key } = asked;
  const done = casSchema.parse(await write(flags, { type: "cas", ...asked }));
  if (flags.json) context.write(`${JSON.stringify({ key, ...done })}\n`);
  const { swapped, value, version } = done;
  if (!swapped) {
    const there = version === 0 ? "nothing" : `${shownValue(value)}, version ${version}`;
    throw new CliError("NOT_SWAPPED", `under ${key} there is ${there}: nothing was done`);
  }
  if (!flags.json) context.write(`${key} has version ${version}\n`);
}

/** Asked of one node, once: whoever asks again might do it twice. */
async function write(flags: WriteFlags, asked: object): Promise<unknown> {
  try {
    return await new OperatorClient(flags).ask("POST", "kv", { ...asked, ...readFence(flags.fence) });
  } catch (error) {
    if (error instanceof CliError && error.code !== "NODE_UNREACHABLE") throw error;
    const message =
      error instanceof CliError ? error.message : `${flags.url} was gone before it had answered`;
    const what = `${message}. If it was asked already it may have been done, once: look with testudo kv get`;
    throw new CliError("NODE_UNREACHABLE", what);
  }
}
