#!/usr/bin/env node
/** `testudo`: the operator's command line. */
import { runCli } from "./admin/cli/testudo-cli.ts";

process.exitCode = await runCli(process.argv.slice(2), {
  write: (text) => void process.stdout.write(text),
  tell: (line) => void process.stderr.write(line),
  cwd: process.cwd(),
});
