import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { testudoVersion } from "../../server/colyseus/testudo-version.ts";
import { levels } from "../../server/raft/level.ts";
import type { Place } from "./cluster.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const copied = ["server", "shared", "client", "package.json"] as const;

interface Patch {
  readonly file: string;
  /** Stands there once. */
  readonly before: string;
  readonly after: string;
}

/**
 * What the next version of Testudo has more than this one: a level, and with it a command of kv. Its number makes it another
 * engine, so rooms run under either the one or the other: those of the game go over by themselves.
 */
const patches: readonly Patch[] = [
  {
    file: "package.json",
    before: `"version": "${testudoVersion()}"`,
    after: `"version": "${testudoVersion()}-next"`,
  },
  {
    file: "server/game.ts",
    before: "replicated(ArenaRoom)",
    after: 'replicated(ArenaRoom, { upgrade: "switch" })',
  },
  {
    file: "server/raft/level.ts",
    before: `{ min: ${levels.min}, max: ${levels.max} })`,
    after: `{ min: ${levels.min}, max: ${levels.max + 1} })`,
  },
  {
    file: "server/menu/kv-menu.ts",
    before: 'import type { KvState } from "./kv-state.ts";\n',
    after:
      'import { z } from "zod";\nimport { levels } from "../raft/level.ts";\nimport type { KvState } from "./kv-state.ts";\n',
  },
  {
    file: "server/menu/kv-menu.ts",
    before: "  },\n});",
    after: `    leap: command(
      z.object({ key: z.string() }),
      (state: KvState, { key }, context) =>
        state.transact({ conditions: [], do: [{ type: "increment", key, by: 1_000 }], else: [] }, context),
      { since: levels.max },
    ),
  },
});`,
  },
  {
    file: "server/menu/kv.ts",
    before: "  /** @returns the new number @throws NOT_A_NUMBER */\n",
    after: `  async leap(key: string): Promise<unknown> {
    const { results } = await this.#line.propose("kv", kvMenu.encode("leap", { key }, this.#line.level)) as KvOutcome;
    return results.map(resultOf)[0]?.value;
  }

  /** @returns the new number @throws NOT_A_NUMBER */
`,
  },
  {
    file: "server/admin/keeper-routes.ts",
    before: '  z.strictObject({ type: z.literal("delete"), key, fence }),\n',
    after:
      '  z.strictObject({ type: z.literal("delete"), key, fence }),\n  z.strictObject({ type: z.literal("leap"), key }),\n',
  },
  {
    file: "server/admin/keeper-routes.ts",
    before: '    case "delete":\n',
    after: '    case "leap":\n      return { value: await kv.leap(asked.key) };\n    case "delete":\n',
  },
];

/** A build of its own, beside this one, which finds the same node_modules. */
export class NextVersion {
  readonly #folder: string;

  /** @throws Error if a patch does not fit exactly once */
  constructor() {
    // Ignored by git, and below the root: modules are found as from the root itself.
    mkdirSync(join(root, "dist"), { recursive: true });
    this.#folder = mkdtempSync(join(root, "dist/next-version-"));
    for (const name of copied) cpSync(join(root, name), join(this.#folder, name), { recursive: true });
    for (const patch of patches) this.#apply(patch);
  }

  get place(): Place {
    const preload = join(this.#folder, "server/colyseus/register.ts");
    return { cwd: this.#folder, imports: [pathToFileURL(preload).href] };
  }

  #apply({ file, before, after }: Patch): void {
    const path = join(this.#folder, file);
    const text = readFileSync(path, "utf8");
    const found = text.split(before).length - 1;
    if (found !== 1)
      throw new Error(`the next version: "${before}" stands ${found} times in ${file}, not once`);
    writeFileSync(
      path,
      text.replace(before, () => after),
    );
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
