import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { OptionError } from "../../server/cluster/option-error.ts";
import { type NodeOptions, nodeDefaults, readNodeOptions } from "../../server/cluster/options.ts";

const folder = mkdtempSync(join(tmpdir(), "testudo-options-"));
test.after(() => rmSync(folder, { recursive: true }));

const secret = "0123456789abcdef";
const peers = "n1=ws://127.0.0.1:3001,n2=ws://127.0.0.1:3002";

function read(argv: string[], env: Record<string, string> = {}, file?: unknown): NodeOptions {
  const path = join(folder, "testudo.json");
  rmSync(path, { force: true });
  if (file !== undefined) writeFileSync(path, typeof file === "string" ? file : JSON.stringify(file));
  const parsed = readNodeOptions({ argv, env, cwd: folder });
  assert.is(parsed.type, "options");
  return (parsed as { options: NodeOptions }).options;
}

function refusal(...inputs: Parameters<typeof read>): string {
  try {
    read(...inputs);
  } catch (error) {
    assert.instance(error, OptionError);
    const { message } = error as OptionError;
    assert.not.match(message, /[\r\n]/, "an error is one line");
    return message;
  }
  throw new assert.Assertion({ message: "the options were taken" } as never);
}

test("[C1] a flag goes before the environment, the environment before the file, the file before the default", () => {
  assert.is(read([]).port, nodeDefaults.port);
  assert.is(read([], {}, { port: 3000 }).port, 3000);
  assert.is(read([], { TESTUDO_PORT: "3001" }, { port: 3000 }).port, 3001);
  assert.is(read(["--port", "3002"], { TESTUDO_PORT: "3001" }, { port: 3000 }).port, 3002);
  assert.is(read(["--port=3002", "--port", "3003"]).port, 3003, "the last of two flags counts");
});

test("[C1] every kind of value can come from every source", () => {
  const wanted = { n2: "ws://127.0.0.1:3002" };
  assert.equal(read(["--peers", peers, "--secret", secret]).peers, wanted, "this node is not its own peer");
  assert.equal(read([], { TESTUDO_PEERS: peers, TESTUDO_SECRET: secret }).peers, wanted);
  assert.equal(read([], {}, { peers: wanted, secret }).peers, wanted);
  assert.equal(read(["--peers", peers, "--secret", secret, "--link-loss", "n2=0.25"]).linkLoss, { n2: 0.25 });
  assert.equal(read([], {}, { peers: wanted, secret, linkDelayMs: { n2: 40 } }).linkDelayMs, { n2: 40 });
  assert.is(read(["--development"]).development, true);
  assert.is(read(["--no-development"], { TESTUDO_DEVELOPMENT: "true" }).development, false);
  assert.is(read([], { TESTUDO_DEVELOPMENT: "1" }).development, true);
  assert.is(read([], {}, { development: true }).development, true);
});

test("[C1] what is not given is derived: the folder, the public URL, the secret of a node that is alone", () => {
  const options = read(["--id", "rome", "--port", "3000", "--public-url", "https://a.example/"]);
  assert.is(options.data, join(folder, "data/rome"));
  assert.is(options.publicUrl, "https://a.example");
  assert.is(read(["--port", "3000"]).publicUrl, "http://localhost:3000");
  assert.is(read(["--host", "10.1.2.3"]).publicUrl, "http://10.1.2.3:2567");
  assert.ok(options.secret.length >= 16);
  assert.is.not(options.secret, read([]).secret);
  writeFileSync(join(folder, "secret"), `${secret}\n`);
  assert.is(read(["--secret-file", "secret"]).secret, secret);
});

const wrong: readonly (readonly [string, Parameters<typeof read>, RegExp])[] = [
  [
    "a port that is too big",
    [["--port", "99999"]],
    /^option port, from flag --port: "99999" is not allowed; it must be a whole number from 1 to 65535$/,
  ],
  [
    "a port that is a word, from the environment",
    [[], { TESTUDO_PORT: "x" }],
    /^option port, from environment variable TESTUDO_PORT: "x" .* from 1 to 65535$/,
  ],
  [
    "a port with a fraction, from the file",
    [[], {}, { port: 1.5 }],
    /^option port, from file .*testudo\.json: 1\.5 .* from 1 to 65535$/,
  ],
  [
    "a flag without a value",
    [["--id", "--port", "3000"]],
    /^option id, from flag --id: no value is not allowed; it must be 1 to 32 letters/,
  ],
  ["a flag at the end without a value", [["--port"]], /^option port, from flag --port: no value/],
  [
    "an unknown flag",
    [["--prot", "3000"]],
    /^option --prot, from flag --prot: is unknown; .* perhaps --port$/,
  ],
  ["an unknown flag like none", [["--xylophone-solo"]], /is unknown; it must be one that --help lists$/],
  ["a word that is no flag", [["serve"]], /^option serve, .* is unknown/],
  [
    "an unknown variable",
    [[], { TESTUDO_REGOIN: "eu" }],
    /TESTUDO_REGOIN: is unknown; .* perhaps TESTUDO_REGION$/,
  ],
  [
    "an unknown key of the file",
    [[], {}, { peer_port: 1 }],
    /^option peer_port, from file .* is unknown; .* perhaps peerPort$/,
  ],
  ["a file that is not JSON", [[], {}, "{port:1}"], /^option config, from file .*; it must be JSON$/],
  ["a file that is no object", [[], {}, [1]], /a JSON object of options$/],
  [
    "a file that is not there",
    [["--config", "nowhere.json"]],
    /"ENOENT" is not allowed; it must be a file that can be read$/,
  ],
  [
    "a switch with a wrong word",
    [[], { TESTUDO_DEVELOPMENT: "yes" }],
    /"yes" is not allowed; it must be true or false$/,
  ],
  ["a code with a space", [["--code", "my game"]], /it must be at most 64 letters, digits, dots/],
  ["a log level that is none", [["--log-level", "loud"]], /it must be one of fatal, error, warn/],
  [
    "peers without a secret",
    [["--peers", peers]],
    /^option secret, from its default: no value is not allowed; it must be given with --peers/,
  ],
  [
    "a secret that is too short",
    [["--secret", "shhh"]],
    /^option secret, from flag --secret: "\(hidden, 4 characters\)" is not allowed; it must be 16 to 256/,
  ],
  ["two secrets", [["--secret", secret, "--secret-file", "x"]], /^option secretFile, .* left out/],
  ["a secret file that is not there", [["--secret-file", "nowhere"]], /^option secretFile, .* \(ENOENT\)$/],
  [
    "a peer that is no URL",
    [["--peers", "n2=127.0.0.1:3002"]],
    /^option peers, .* a URL that begins with ws:\/\/$/,
  ],
  ["a peer twice", [["--peers", "n2=ws://a:1,n2=ws://b:1"]], /^option peers/],
  ["a peer with a name that is none", [["--peers", "n/2=ws://a:1"]], /^option peers/],
  [
    "more nodes than there may be",
    [["--peers", Array.from({ length: 17 }, (_, k) => `m${k}=ws://a:1`).join(",")]],
    /at most 16 nodes/,
  ],
  [
    "a delay to a node that is not there",
    [["--link-delay-ms", "n9=40"]],
    /^option linkDelayMs, .* which n9 is not$/,
  ],
  ["more loss than all", [["--link-loss", "n1=1.5"]], /a number from 0 to 0\.9$/],
  ["one port for both", [["--peer-port", "2567"]], /^option peerPort, .* another port than --port$/],
  [
    "no public URL on several machines",
    [["--peers", "n2=ws://10.0.0.2:3002", "--secret", secret]],
    /^option publicUrl, .* is on another machine/,
  ],
  ["65 groups", [["--groups", "65"]], /a whole number from 1 to 64$/],
];

for (const [what, inputs, expected] of wrong) {
  test(`[C2] wrong option: ${what}`, () => assert.match(refusal(...inputs), expected));
}

test("[C68] a node in memory is alone and has no folder: peers and --data are refused with it", () => {
  assert.is(read([]).memory, false);
  assert.is(read(["--memory"]).memory, true);
  assert.is(read([], { TESTUDO_MEMORY: "true" }).memory, true);
  assert.match(
    refusal(["--memory", "--peers", peers, "--secret", secret]),
    /^option memory.*what is in memory only is in one process only$/,
  );
  assert.match(refusal(["--memory", "--data", "folder"]), /^option data.* left out, since with --memory/);
});

test("[C2] a secret never stands in an error", () => {
  assert.not.match(refusal(["--secret", "pssst secret"]), /pssst/);
});

test("[Y69] checkpoints are tried in development, unless one says otherwise, and elsewhere if one says so", () => {
  assert.is(read([]).shadowRestore, false);
  assert.is(read(["--development"]).shadowRestore, true);
  assert.is(read(["--development", "--no-shadow-restore"]).shadowRestore, false);
  assert.is(read([], { TESTUDO_SHADOW_RESTORE: "true" }).shadowRestore, true);
});

test("[C2] the help lists every option with its default", () => {
  const parsed = readNodeOptions({ argv: ["--help"], env: {}, cwd: folder });
  assert.is(parsed.type, "help");
  const { text } = parsed as { text: string };
  for (const flag of [
    "--id ID",
    "--peer-port N",
    "--development ",
    "--link-delay-ms n1=N,…",
    "--config FILE",
  ]) {
    assert.ok(text.includes(flag), flag);
  }
  assert.match(text, /--port N .*default 2567\)/);
});

test.run();
