import { type Endpoint, type NodeStatus, readEndpoints, readStatus } from "./node-status.ts";

const pollMs = 500;
/** After a failed poll the next one comes sooner: a fallen shield should be seen to fall. */
const pollAgainMs = 150;
const pollTimeoutMs = 1_500;
/** So many failed polls in a row are a fall: fewer where nothing listens, for an answer may also be late. */
const failuresMax = Object.freeze({ refused: 2, late: 5 });
const endpointsMs = 5_000;

/** Is the node there? `unknown`: it has not answered yet. */
export type Life =
  | { readonly type: "unknown" }
  | { readonly type: "standing"; readonly status: NodeStatus; readonly roundTripMs: number }
  | { readonly type: "fallen"; readonly sinceMs: number };

export interface WatchedNode extends Endpoint {
  readonly life: Life;
}

interface Watched extends WatchedNode {
  readonly failures: number;
  /** Of the process that answered last. */
  readonly pid: number | null;
}

export type ClusterEvent =
  | { readonly type: "fell"; readonly node: string }
  | { readonly type: "rose"; readonly node: string }
  | { readonly type: "led"; readonly node: string; readonly groups: readonly string[] };

/** Asks every node for its status, twice a second, and tells what happened since. */
export class ClusterWatch {
  readonly #nodes = new Map<string, Watched>();
  readonly #leaders = new Map<string, { readonly node: string; readonly term: number }>();
  readonly #listener: (event: ClusterEvent | { readonly type: "changed" }) => void;
  #fallen = 0;

  constructor(listener: (event: ClusterEvent | { readonly type: "changed" }) => void) {
    this.#listener = listener;
  }

  get nodes(): readonly WatchedNode[] {
    return [...this.#nodes.values()].sort((a, b) => a.node.localeCompare(b.node, "en", { numeric: true }));
  }

  /** How many ends of a process this page has seen. */
  get serversKilled(): number {
    return this.#fallen;
  }

  start(endpoints: readonly Endpoint[]): void {
    this.#learn(endpoints);
    setInterval(() => void this.#refreshEndpoints(), endpointsMs);
  }

  /** Kills the node's process: in development only. Returns why it could not be done, or null. */
  async kill(node: string): Promise<string | null> {
    const watched = this.#nodes.get(node);
    if (watched === undefined) return `there is no ${node}`;
    try {
      const answer = await fetch(`${watched.url}/testudo/kill`, {
        method: "POST",
        signal: AbortSignal.timeout(pollTimeoutMs),
      });
      return answer.ok ? null : `${node} refused: ${answer.status}`;
    } catch {
      // It may be gone before it can answer: the next polls tell.
      return null;
    }
  }

  #learn(endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      if (this.#nodes.has(endpoint.node)) continue;
      this.#nodes.set(endpoint.node, { ...endpoint, life: { type: "unknown" }, failures: 0, pid: null });
      void this.#poll(endpoint.node);
    }
    this.#listener({ type: "changed" });
  }

  async #refreshEndpoints(): Promise<void> {
    const standing = this.nodes.find(({ life }) => life.type === "standing");
    if (standing === undefined) return;
    try {
      this.#learn((await fetchEndpoints(standing.url)) ?? []);
    } catch {
      // It fell just now; the next round asks another node.
    }
  }

  async #poll(node: string): Promise<void> {
    const watched = this.#nodes.get(node);
    if (watched === undefined) return;
    const startMs = performance.now();
    let status: NodeStatus | null = null;
    let failure: keyof typeof failuresMax = "refused";
    try {
      const answer = await fetch(`${watched.url}/testudo/status`, {
        cache: "no-store",
        signal: AbortSignal.timeout(pollTimeoutMs),
      });
      if (answer.ok) status = readStatus(await answer.json());
    } catch (error) {
      if (error instanceof DOMException && error.name === "TimeoutError") failure = "late";
    }
    const nowMs = performance.now();
    if (status === null) this.#missed(watched, nowMs, failuresMax[failure]);
    else this.#answered(watched, status, nowMs - startMs);
    this.#listener({ type: "changed" });
    const next = this.#nodes.get(node);
    setTimeout(
      () => void this.#poll(node),
      status === null && next?.life.type === "standing" ? pollAgainMs : pollMs,
    );
  }

  #missed(watched: Watched, nowMs: number, max: number): void {
    const failures = watched.failures + 1;
    const falls = watched.life.type !== "fallen" && failures >= max;
    this.#nodes.set(watched.node, {
      ...watched,
      failures,
      ...(falls ? { life: { type: "fallen", sinceMs: nowMs } } : {}),
    });
    // Whoever was down before this page came was not seen to fall.
    if (falls && watched.life.type === "standing") this.#fell(watched.node);
  }

  #answered(watched: Watched, status: NodeStatus, roundTripMs: number): void {
    // Another process under the same name: it fell and was up again between two polls.
    const missedFall = watched.life.type === "standing" && watched.pid !== status.pid;
    if (missedFall) this.#fell(watched.node);
    // The same process after all: it was only silent.
    if (watched.life.type === "fallen" && watched.pid === status.pid) this.#fallen -= 1;
    const rose = missedFall || watched.life.type === "fallen";
    this.#nodes.set(watched.node, {
      ...watched,
      failures: 0,
      pid: status.pid,
      life: { type: "standing", status, roundTripMs },
    });
    if (rose) this.#listener({ type: "rose", node: watched.node });
    this.#noteLeaders(status);
  }

  #fell(node: string): void {
    this.#fallen += 1;
    this.#listener({ type: "fell", node });
  }

  #noteLeaders(status: NodeStatus): void {
    const taken = new Map<string, string[]>();
    for (const { id, leader, term } of status.groups) {
      if (leader === null || leader === "") continue;
      const known = this.#leaders.get(id);
      if (known !== undefined && term <= known.term) continue;
      this.#leaders.set(id, { node: leader, term });
      if (known !== undefined && known.node !== leader) taken.set(leader, [...(taken.get(leader) ?? []), id]);
    }
    for (const [node, groups] of taken) this.#listener({ type: "led", node, groups });
  }
}

/**
 * The nodes, as the one at this address tells them; null if it is a server without Testudo.
 * @throws TypeError when it answers something else; fetch's error when it does not answer
 */
export async function fetchEndpoints(url: string): Promise<Endpoint[] | null> {
  const answer = await fetch(`${url}/testudo/endpoints`, {
    cache: "no-store",
    signal: AbortSignal.timeout(pollTimeoutMs),
  });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new TypeError(`no endpoints at ${url}: ${answer.status}`);
  return readEndpoints(await answer.json());
}
