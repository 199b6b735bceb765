import { z } from "zod";
import type { ApplyResult } from "../../server/group/machine.ts";
import type { Origin } from "../../server/group/origins.ts";
import { type CommandContext, command, defineMenu } from "../../server/menu/menu.ts";
import type { RegisterInput } from "../linearizability/register-model.ts";

/** What a machine of registers does for each command. */
export interface RegisterCommands {
  perform(input: RegisterInput, place: Place, context: RegisterContext): ApplyResult;
}

/** Which register, and the proposer's number within its shelf: 1, 2, 3, … */
interface Place {
  readonly key: string;
  readonly sequence: number;
}

export interface RegisterContext extends CommandContext {
  readonly origin: Omit<Origin, "sequence">;
}

const place = { key: z.string().min(1).max(64), sequence: z.number().int().positive() };
const value = z.string().max(256);

const perform = (
  machine: RegisterCommands,
  { key, sequence, ...input }: Place & RegisterInput,
  context: CommandContext,
) => machine.perform(input, { key, sequence }, context as RegisterContext);

/** Compare-and-set registers by key. Also reads go through the log. */
export const registerMenu = defineMenu({
  name: "registers",
  commands: {
    get: command(z.object({ type: z.literal("get"), ...place }), perform),
    put: command(z.object({ type: z.literal("put"), value, ...place }), perform),
    delete: command(z.object({ type: z.literal("delete"), ...place }), perform),
    cas: command(z.object({ type: z.literal("cas"), expected: value.nullable(), value, ...place }), perform),
  },
});
