import { resolve } from "node:path";
import { OptionError } from "./option-error.ts";
import { toggle, wholeNumber } from "./option-kind.ts";
import {
  describeOptions,
  flagName,
  type OptionInputs,
  type OptionSpec,
  readOptions,
} from "./option-sources.ts";
import { hostKind, nodesMax, type ParsedOptions, passedTable, pathKind, urlHost } from "./options.ts";

/** Node k serves clients at port + k, and other nodes at port + 100 + k. */
export const peerPortOffset = 100;
const portMax = 65_535 - peerPortOffset - nodesMax;

export const starterDefaults = Object.freeze({
  nodes: 3,
  host: "127.0.0.1",
  port: 2567,
  data: "data",
  restartAfterMs: 2000,
});

/** How a cluster on one machine is run. */
export interface StarterOptions {
  readonly nodes: number;
  readonly host: string;
  readonly port: number;
  /** An absolute path. */
  readonly data: string;
  readonly fresh: boolean;
  readonly restartAfterMs: number;
  readonly development: boolean;
  readonly verbose: boolean;
  readonly stopTimeoutMs: number;
  /** Flags for every node, as they were given here. */
  readonly passed: readonly string[];
}

const starterTable = {
  nodes: {
    kind: wholeNumber({ min: 1, max: nodesMax }),
    fallback: starterDefaults.nodes,
    summary: "how many nodes, each a process of its own",
  },
  host: { kind: hostKind, fallback: starterDefaults.host, summary: "where clients and the page are served" },
  port: {
    kind: wholeNumber({ min: 1, max: portMax }),
    fallback: starterDefaults.port,
    summary: "the first node's port, the next ones follow",
  },
  data: { kind: pathKind, fallback: starterDefaults.data, summary: "the folder of all nodes' data" },
  fresh: {
    kind: toggle(),
    fallback: false,
    summary: "first remove what an earlier start left in the data folder",
  },
  restartAfterMs: {
    kind: wholeNumber({ min: 0, max: 600_000 }),
    fallback: starterDefaults.restartAfterMs,
    summary: "ms until a node that died is started again",
  },
  development: { kind: toggle(), fallback: true, summary: "let the page kill nodes" },
  verbose: { kind: toggle(), fallback: false, summary: "show every line that the nodes log" },
  ...passedTable,
};

/** @throws OptionError, whose message is one line for the operator */
export function readStarterOptions(inputs: OptionInputs): ParsedOptions<StarterOptions> {
  const { values, origins, helpWanted } = readOptions(starterTable, inputs);
  if (helpWanted) return { type: "help", text: describeOptions(starterTable, "npm start -- [options]") };
  const table: Readonly<Record<string, OptionSpec<unknown>>> = passedTable;
  const given = Object.keys(table).filter((name) => origins[name as keyof typeof origins].type !== "default");
  const passed = given.flatMap((name) => [
    `--${flagName(name)}`,
    flagValue(values[name as keyof typeof values]),
  ]);
  const { nodes, host, port, data, fresh, restartAfterMs, development, stopTimeoutMs } = values;
  // Who asks the nodes for more wants to see it.
  const verbose = values.verbose || values.logLevel === "debug" || values.logLevel === "trace";
  const ids = new Set(nodeIds(nodes));
  for (const option of ["linkDelayMs", "linkLoss"] as const) {
    const stranger = Object.keys(values[option]).find((id) => !ids.has(id));
    if (stranger === undefined) continue;
    throw new OptionError({
      option,
      origin: origins[option],
      value: values[option],
      allowed: `about the nodes ${[...ids].join(", ")}, which ${stranger} is not`,
    });
  }
  const options = {
    nodes,
    host,
    port,
    data: resolve(inputs.cwd, data),
    fresh,
    restartAfterMs,
    development,
    verbose,
    stopTimeoutMs,
    passed,
  };
  return { type: "options", options: Object.freeze(options) };
}

function flagValue(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([node, each]) => `${node}=${String(each)}`)
    .join(",");
}

export interface NodePlan {
  readonly id: string;
  readonly port: number;
  readonly peerPort: number;
  readonly url: string;
  readonly args: readonly string[];
}

export function nodeIds(nodes: number): readonly string[] {
  return Array.from({ length: nodes }, (_, k) => `n${k + 1}`);
}

/** What each node of the cluster is started with. */
export function planNodes(options: StarterOptions, secretFile: string): readonly NodePlan[] {
  const { host, development, passed, data } = options;
  const ids = nodeIds(options.nodes);
  const peerHost = "127.0.0.1";
  const peerPort = (k: number) => options.port + peerPortOffset + k;
  const peers = ids.map((id, k) => `${id}=ws://${peerHost}:${peerPort(k)}`).join(",");
  return ids.map((id, k) => {
    const port = options.port + k;
    const url = `http://${urlHost(host)}:${port}`;
    const named = {
      id,
      host,
      port,
      peerHost,
      peerPort: peerPort(k),
      publicUrl: url,
      peers,
      data: `${data}/${id}`,
      secretFile,
      config: "none",
    };
    const flags = Object.entries(named).map(([name, value]) => `--${flagName(name)}=${value}`);
    return {
      id,
      port,
      peerPort: peerPort(k),
      url,
      args: [...flags, development ? "--development" : "--no-development", ...passed],
    };
  });
}
