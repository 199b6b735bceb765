import { relative } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type DevEvent, DevServer } from "../dev/dev-server.ts";
import { type CliContext, withExample } from "./cli-context.ts";
import { existingFile, type StudioFlags, withImport } from "./studio-flags.ts";

interface DevFlags extends StudioFlags {
  readonly port: number;
  readonly json?: boolean;
}

const portDefault = 2567;

/** `testudo dev`: one node in memory, which takes up changed code while its rooms go on. */
export function devCommand(context: CliContext): Command {
  const command = new Command("dev")
    .description("run a server in memory, and take up its code's changes while its rooms go on")
    .argument("<file>", "what exports the server, as app.config.ts, or lets it listen")
    .option("--port <port>", "where clients are served", wholePort, portDefault)
    .option("--json", "what happens as JSON lines, for programs");
  withExample(withImport(command), "dev src/app.config.ts");
  return command.action(async (file: string, flags: DevFlags) => {
    const path = existingFile(context, file);
    const server = new DevServer({
      file: path,
      port: flags.port,
      imports: flags.import,
      cwd: context.cwd,
      tell: (event) =>
        context.write(`${flags.json ? JSON.stringify(event) : describe(event, context.cwd)}\n`),
      write: context.tell,
    });
    const stop = () => void server.stop();
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
    await server.run();
    for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, stop);
  });
}

function wholePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("allowed is a whole number from 1 to 65535.");
}

/** For people. */
export function describe(told: DevEvent, cwd: string): string {
  switch (told.event) {
    case "serving":
      return `Testudo dev: ${relative(cwd, told.file)} at ${told.url}, in memory; its rooms: ${told.url}/testudo/status. No time limit on room code: breakpoints may stand.`;
    case "reloaded":
      return `Testudo dev: reloaded in ${told.ms} ms: ${told.changed.map((path) => relative(cwd, path)).join(", ")}`;
    case "room-lost":
      return `Testudo dev: room ${told.roomName} ${told.roomId} is lost, and begins anew with the next player: ${told.why}`;
    case "players-left":
      return `Testudo dev: the players of room ${told.roomName} ${told.roomIds.join(", ")} did not come over: it keeps no seat of who is dropped, and without players it ends. Call this.allowReconnection(client, 20) in its onDrop(client): what a reload does here, a server that falls does to a match. (Told once for ${told.roomName}.)`;
    case "failed":
      return `Testudo dev: ${told.why}${told.goesOn ? "; the code before goes on" : ""}`;
  }
}
