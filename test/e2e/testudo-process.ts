import { execFile } from "node:child_process";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";

const cli = join(import.meta.dirname, "../../server/cli.ts");

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `testudo …`, as an operator calls it. */
export function testudo(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

/** The flags that let a command talk to this node. */
export function toNode(cluster: Cluster, id: string): readonly string[] {
  return ["--url", cluster.url(id), "--secret-file", flagOf(cluster, id, "secret-file")];
}

/** What a node's process is started with. */
export function flagOf(cluster: Cluster, id: string, name: string): string {
  const flag = cluster.planOf(id).args.find((arg) => arg.startsWith(`--${name}=`)) ?? "";
  return flag.slice(`--${name}=`.length);
}
