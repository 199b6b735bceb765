import { createServer } from "node:net";
import { type ChildEnd, ChildNode, RestartPolicy } from "./child-node.ts";
import { showLine } from "./log-line.ts";
import { exitCodes, NodeError } from "./node-error.ts";
import { urlHost } from "./options.ts";
import { prepareFolder } from "./starter-folder.ts";
import { type NodePlan, planNodes, type StarterOptions } from "./starter-options.ts";

export interface StarterSetup {
  readonly options: StarterOptions;
  /** Node's own flags and the path of main, from `cwd`. */
  readonly command: readonly string[];
  readonly cwd: string;
  /** Makes the page if it is not there yet. */
  readonly preparePage: (progress: (line: string) => void) => Promise<void>;
  readonly write: (line: string) => void;
}

const readyPollMs = 50;
const readyAnswerMsMax = 2000;
/** A terminal's Ctrl-C reaches this process directly and through npm: only a later one is another one. */
const stopAgainAfterMs = 500;
/** On top of what the nodes themselves allow for a stop. */
const stopGraceMs = 1000;

interface Place {
  readonly plan: NodePlan;
  readonly policy: RestartPolicy;
  child: ChildNode | null;
  restart: NodeJS.Timeout | null;
}

/** Runs a whole cluster on one machine: a process for each node, started again when it dies. */
export class Starter {
  readonly #setup: StarterSetup;
  #places: readonly Place[] = [];
  #stopping = false;
  #stoppingSinceMs = 0;
  #exitCode: number = exitCodes.stopped;
  #finish: (code: number) => void = () => {};

  constructor(setup: StarterSetup) {
    this.#setup = setup;
  }

  /**
   * Resolves, when all nodes have ended, with the exit code for the process.
   * @throws OptionError, PORT_IN_USE
   */
  async run(): Promise<number> {
    const { options, write, preparePage } = this.#setup;
    // Ports first: a cluster that runs already must not lose its folder to --fresh.
    await checkPorts(planNodes(options, ""), options.host);
    const plans = planNodes(options, prepareFolder(options));
    await preparePage((line) => write(`Testudo: ${line}`));
    if (this.#stopping) return this.#exitCode;
    write(
      `Testudo: starting ${plans.length === 1 ? "1 node" : `${plans.length} nodes`}, data in ${options.data}`,
    );
    const finished = new Promise<number>((resolve) => (this.#finish = resolve));
    this.#places = plans.map((plan) => ({
      plan,
      policy: new RestartPolicy(options.restartAfterMs),
      child: null,
      restart: null,
    }));
    for (const place of this.#places) this.#start(place);
    this.#tellWhenReady(plans).catch((error: unknown) => write(`Testudo: ${String(error)}`));
    const exitCode = await finished;
    if (exitCode === exitCodes.stopped) write("Testudo: stopped; the next start goes on from here");
    return exitCode;
  }

  /** Asks all nodes to stop; a second time, and when they take too long, ends them. */
  stop(exitCode: number = exitCodes.stopped): void {
    if (this.#stopping) {
      if (performance.now() - this.#stoppingSinceMs < stopAgainAfterMs) return;
      for (const { child } of this.#places) child?.kill("SIGKILL");
      return;
    }
    this.#stopping = true;
    this.#stoppingSinceMs = performance.now();
    this.#exitCode = exitCode;
    for (const place of this.#places) {
      if (place.restart !== null) clearTimeout(place.restart);
      place.restart = null;
      place.child?.kill("SIGTERM");
    }
    const late = setTimeout(() => {
      for (const { child } of this.#places) child?.kill("SIGKILL");
    }, this.#setup.options.stopTimeoutMs + stopGraceMs);
    late.unref();
    this.#finishIfOver();
  }

  #start(place: Place): void {
    const { plan } = place;
    const { command, cwd, options, write } = this.#setup;
    place.restart = null;
    place.child = new ChildNode({
      plan,
      command,
      cwd,
      line: (stream, line) => {
        const shown = stream === "stderr" ? line : showLine(line, options);
        if (shown !== null) write(`${plan.id} | ${shown}`);
      },
      ended: (end) => this.#ended(place, end),
    });
  }

  #ended(place: Place, end: ChildEnd): void {
    const { write } = this.#setup;
    const { id } = place.plan;
    place.child = null;
    if (this.#stopping) return this.#finishIfOver();
    const how = end.signal === null ? `exited with ${end.code ?? "an error"}` : `was ended by ${end.signal}`;
    const next = place.policy.died(end);
    switch (next.type) {
      case "restart":
        write(`Testudo: ${id} ${how}; starts again in ${next.delayMs} ms`);
        place.restart = setTimeout(() => this.#start(place), next.delayMs);
        return;
      case "giveUp":
        write(`Testudo: ${id} ${how} and is not started again: ${next.why}`);
        // What is wrong with one node's options is wrong with all.
        if (end.code === exitCodes.wrongOptions) this.stop(exitCodes.wrongOptions);
        this.#finishIfOver(end.code ?? exitCodes.failed);
        return;
    }
  }

  /** Without a node that runs or will run, there is nothing left to wait for. */
  #finishIfOver(exitCode = this.#exitCode): void {
    if (this.#places.some(({ child, restart }) => child !== null || restart !== null)) return;
    this.#finish(this.#stopping ? this.#exitCode : exitCode);
  }

  async #tellWhenReady(plans: readonly NodePlan[]): Promise<void> {
    const { options, write } = this.#setup;
    const waiting = new Set(plans);
    while (waiting.size > 0 && !this.#stopping) {
      for (const plan of [...waiting]) {
        if (await isReady(`http://${urlHost(options.host)}:${plan.port}/testudo/ready`)) waiting.delete(plan);
      }
      await new Promise((resolve) => setTimeout(resolve, readyPollMs));
    }
    if (this.#stopping) return;
    write(`Testudo is ready: ${plans.map(({ url }) => url).join(" ")}`);
    const pids = this.#places.map(({ plan, child }) => `${child?.pid ?? "-"} (${plan.id})`).join(", ");
    write(
      `Open one of them in two windows and play; then kill a server, from the page or by kill -9: ${pids}. Ctrl-C stops all.`,
    );
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(readyAnswerMsMax) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    // Not listening yet.
    return false;
  }
}

/** @throws PORT_IN_USE for the first port that is taken */
async function checkPorts(plans: readonly NodePlan[], host: string): Promise<void> {
  for (const { port, peerPort } of plans) {
    await checkPort(port, host);
    await checkPort(peerPort, "127.0.0.1");
  }
}

function checkPort(port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE" ? "is in use" : `cannot be had (${error.code ?? error.message})`;
      reject(
        new NodeError(
          "PORT_IN_USE",
          `option port: port ${port} of ${host}, which these nodes need, ${why}; stop what uses it, or give another --port`,
        ),
      );
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve()));
  });
}
