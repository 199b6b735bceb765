import type { KvState } from "./kv-state.ts";
import { kvTransaction } from "./kv-transaction.ts";
import { command, defineMenu } from "./menu.ts";

/** Keys in order, with values: one command that does everything, at once or not at all. */
export const kvMenu = defineMenu({
  name: "kv",
  commands: {
    transact: command(kvTransaction, (state: KvState, argument, context) =>
      state.transact(argument, context),
    ),
  },
});
