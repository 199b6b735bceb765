/** The machines as they are drawn in ARCHITECTURE.md: `node test/docs/drawings.ts` renews them. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { AnyStateMachine } from "xstate";
import { nodeLifeMachine } from "../../server/cluster/node-life.ts";
import { roleMachine } from "../../server/raft/role-machine.ts";
import { drawMachine } from "./machine-drawing.ts";

const architecture = fileURLToPath(new URL("../../ARCHITECTURE.md", import.meta.url));

const drawn: Readonly<Record<string, AnyStateMachine>> = { role: roleMachine, node: nodeLifeMachine };

/** The text with each drawing as its machine is now. @throws if a place for one is missing */
export function withDrawings(text: string): string {
  let renewed = text;
  for (const [name, machine] of Object.entries(drawn)) {
    const place = new RegExp(`(<!-- drawing: ${name} -->\n)[^]*?(\n<!-- /drawing -->)`);
    if (!place.test(renewed)) throw new Error(`there is no place for the drawing "${name}"`);
    const drawing = `\`\`\`mermaid\n${drawMachine(machine)}\n\`\`\``;
    renewed = renewed.replace(place, (_, begin: string, end: string) => `${begin}${drawing}${end}`);
  }
  return renewed;
}

export function readArchitecture(): string {
  return readFileSync(architecture, "utf8");
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(architecture, withDrawings(readArchitecture()));
