import type { Command } from "commander";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCli, testudoProgram } from "../../server/admin/cli/testudo-cli.ts";

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await runCli(args, {
    write: (text) => {
      out += text;
    },
    tell: (line) => {
      err += line;
    },
    cwd: "/nowhere",
  });
  return { code, out, err };
}

/** Every one, with the words that call it. */
function* below(command: Command, words: readonly string[] = []): Generator<[readonly string[], Command]> {
  yield [words, command];
  for (const each of command.commands) yield* below(each, [...words, each.name()]);
}

const program = testudoProgram({ write: () => {}, tell: () => {}, cwd: "/nowhere" });
const all = [...below(program)];
const acting = all.filter(([, command]) => command.commands.length === 0);

test("[C84] every command has --help with an example", async () => {
  assert.ok(acting.length >= 12, `${acting.length} commands`);
  for (const [words] of all) {
    const { code, out } = await run(...words, "--help");
    assert.is(code, 0, words.join(" "));
    assert.match(out, /\nExample[^\n]*:?\n\s+\$ testudo \S/, words.join(" "));
    assert.match(out, `testudo ${words.join(" ")}`.trim(), words.join(" "));
  }
});

test("[C84] every command that does something has --json", () => {
  for (const [words, command] of acting)
    assert.ok(
      command.options.some(({ long }) => long === "--json"),
      words.join(" "),
    );
});

test("[C85] with --json what goes wrong is JSON, too: the last line of standard error, with its code", async () => {
  const errorOf = (err: string) => (JSON.parse(err.trim().split("\n").at(-1) ?? "") as Failed).error;
  for (const [words, command] of acting) {
    // Whatever it needs is missing, or not there.
    const required = command.registeredArguments.filter((argument) => argument.required);
    const { code, out, err } = await run(...words, ...required.map(() => "nothing"), "--json");
    assert.is.not(code, 0, words.join(" "));
    assert.is(out, "", words.join(" "));
    const { code: name, message } = errorOf(err);
    assert.match(name, /^[A-Z][A-Z_]+$/, words.join(" "));
    assert.ok(message.length > 10, words.join(" "));
  }
  for (const wrong of [["nope"], ["rooms", "nope"], ["replay"], ["replay", "x", "--to", "0"], ["--nope"]]) {
    const { code, err } = await run(...wrong, "--json");
    assert.is(code, 2, wrong.join(" "));
    assert.is(errorOf(err).code, "COMMAND_WRONG", wrong.join(" "));
  }
  assert.match((await run("replay", "x")).err, /^testudo: FILE_MISSING: \/nowhere\/x is not there/);
});

interface Failed {
  readonly error: { readonly code: string; readonly message: string };
}

test.run();
