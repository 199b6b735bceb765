import type { EndpointSettings } from "@colyseus/sdk";

/** Where a node serves its clients. */
export interface Endpoint {
  /** `http://host:port/path`, without a slash at the end. */
  readonly url: string;
  /** The node's id and region, once the cluster told them. */
  readonly node?: string;
  readonly region?: string;
  /** It is about to end, and takes no clients. */
  readonly draining?: true;
}

/** What is kept of a cluster's list; the rest is left out. */
export const endpointsMax = 64;

/** Two spellings of one address compare equal; `ws:` and `http:` are the same place. */
export function endpointUrl(given: string): string {
  // In a page "/path" means this page's own server; elsewhere there is no such place.
  const { location } = globalThis as { location?: { readonly href: string } };
  if (!URL.canParse(given, location?.href)) {
    throw new TypeError(`endpoint: ${given}; allowed are ws, wss, http and https urls`);
  }
  const url = new URL(given, location?.href);
  if (url.protocol === "ws:") url.protocol = "http:";
  if (url.protocol === "wss:") url.protocol = "https:";
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`endpoint: ${given}; allowed are ws, wss, http and https urls`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}${url.search}`;
}

export function settingsUrl(settings: EndpointSettings): string {
  const { secure, hostname, port, pathname = "", searchParams } = settings;
  const origin = `${secure ? "https" : "http"}://${hostname}${port === undefined ? "" : `:${port}`}`;
  return endpointUrl(`${origin}${pathname}${searchParams ? `?${searchParams}` : ""}`);
}

/** Reads a node's answer; entries that name no usable url are left out, null if it is no such answer. */
export function readEndpoints(answer: unknown): Endpoint[] | null {
  if (typeof answer !== "object" || answer === null || !("endpoints" in answer)) return null;
  if (!Array.isArray(answer.endpoints)) return null;
  const endpoints: Endpoint[] = [];
  for (const entry of (answer.endpoints as unknown[]).slice(0, endpointsMax)) {
    if (typeof entry !== "object" || entry === null) continue;
    const { url, node, region, draining } = entry as Record<string, unknown>;
    if (typeof url !== "string" || !URL.canParse(url)) continue;
    endpoints.push({
      url: endpointUrl(url),
      ...(typeof node === "string" ? { node } : {}),
      ...(typeof region === "string" ? { region } : {}),
      ...(draining === true ? { draining } : {}),
    });
  }
  return endpoints;
}

/** Every node that this client knows, nearest first. */
export class EndpointList {
  #given: readonly Endpoint[];
  #learned: readonly Endpoint[] = [];
  #latenciesMs: ReadonlyMap<string, number> = new Map();

  /** @throws TypeError if there is none, or one is no url. */
  constructor(urls: readonly string[]) {
    if (urls.length === 0) throw new TypeError("endpoints: []; allowed is one url or more");
    this.#given = [...new Set(urls.map(endpointUrl))].slice(0, endpointsMax).map((url) => ({ url }));
  }

  /** What the cluster told replaces what it told before; the given urls stay, as the way back in. */
  learn(endpoints: readonly Endpoint[]): void {
    this.#learned = endpoints;
  }

  /** A node that was measured goes before one that was not. */
  measured(latenciesMs: ReadonlyMap<string, number>): void {
    this.#latenciesMs = latenciesMs;
  }

  get all(): Endpoint[] {
    const learned = new Map(this.#learned.map((endpoint) => [endpoint.url, endpoint]));
    const given = this.#given.map(({ url }) => learned.get(url) ?? { url });
    const rest = this.#learned.filter(({ url }) => !this.#given.some((one) => one.url === url));
    const latencyMs = ({ url }: Endpoint): number => this.#latenciesMs.get(url) ?? Number.MAX_VALUE;
    const lastIfDraining = ({ draining }: Endpoint): number => (draining === true ? 1 : 0);
    return [...given, ...rest].sort(
      (a, b) => lastIfDraining(a) - lastIfDraining(b) || latencyMs(a) - latencyMs(b),
    );
  }

  /** The nearest first, the one that just failed last. */
  from(failed: Endpoint): Endpoint[] {
    const all = this.all;
    const others = all.filter(({ url }) => url !== failed.url);
    return [...others, failed];
  }

  find(url: string): Endpoint {
    const wanted = endpointUrl(url);
    return this.all.find((endpoint) => endpoint.url === wanted) ?? { url: wanted };
  }
}
