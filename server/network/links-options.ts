import { codecLimits } from "./codec-limits.ts";
import type { PeerIdentity } from "./network.ts";
import { NetworkError } from "./network-error.ts";

export interface LinksOptions {
  readonly identity: PeerIdentity;
  /** What all nodes of a cluster know and nobody else: at least 16 bytes of UTF-8. */
  readonly secret: string;
  /** `port` 0: any free one; `Links.address` has it after `start`. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Where each node listens, by nodeId, as ws:// or wss:// addresses. An entry for the node itself is ignored. */
  readonly peers: Readonly<Record<string, string>>;
  /** Imitates distance: frames to this peer leave so many milliseconds later, in order. 0 to 60,000. */
  readonly linkDelayMs?: Readonly<Record<string, number>>;
  /** On top of the delay, up to so many milliseconds at random, in order all the same. 0 to 60,000. */
  readonly linkJitterMs?: Readonly<Record<string, number>>;
  /** Imitates a bad line: the share of frames to this peer that vanish, with all their messages. 0 to 1. */
  readonly linkLoss?: Readonly<Record<string, number>>;
  readonly bufferedBytesMax?: number;
  readonly silenceMs?: number;
  readonly handshakeTimeoutMs?: number;
  readonly pingTimeoutMs?: number;
  readonly closeTimeoutMs?: number;
  readonly reconnectDelayMsMin?: number;
  readonly reconnectDelayMsMax?: number;
  readonly pendingConnectionsMax?: number;
  readonly lateDialMs?: number;
  readonly strangersMax?: number;
}

export const linksDefaults = Object.freeze({
  /** Bytes that may wait towards one peer; past them the link ends (`OVERFLOW`). */
  bufferedBytesMax: 4 * 1024 * 1024,
  /** A link on which nothing arrived for so long ends (`SILENT`). */
  silenceMs: 1000,
  /** From the first packet to an authenticated link. */
  handshakeTimeoutMs: 2000,
  /** How long an old link has to show that it lives when a second node with its id comes. */
  pingTimeoutMs: 250,
  /** How long the other side has to answer a close. */
  closeTimeoutMs: 250,
  /** The first retry, and the ceiling of the doubling after it; each is shortened at random by up to half. */
  reconnectDelayMsMin: 20,
  reconnectDelayMsMax: 1000,
  /** Connections that are not authenticated yet; past them the oldest goes. */
  pendingConnectionsMax: 64,
  /** A peer that should dial and does not, for so long, may not know this node: it is dialled, and again so often. */
  lateDialMs: 2000,
  /** Linked nodes of this cluster that are no members, as far as this node knows. */
  strangersMax: 8,
});

export type LinkLimits = { readonly [Name in keyof typeof linksDefaults]: number };

const bounds: { readonly [Name in keyof LinkLimits]: readonly [min: number, max: number] } = {
  bufferedBytesMax: [1024, 1024 * 1024 * 1024],
  silenceMs: [20, 600_000],
  handshakeTimeoutMs: [20, 600_000],
  pingTimeoutMs: [1, 600_000],
  closeTimeoutMs: [1, 600_000],
  reconnectDelayMsMin: [1, 600_000],
  reconnectDelayMsMax: [1, 600_000],
  pendingConnectionsMax: [1, 65_536],
  lateDialMs: [1, 600_000],
  strangersMax: [0, 256],
};

export interface CheckedLinksOptions {
  readonly identity: PeerIdentity;
  readonly secret: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly peers: ReadonlyMap<string, string>;
  readonly impairments: ReadonlyMap<string, Impairment>;
  readonly limits: LinkLimits;
}

/** What is imitated on the way to one peer. */
export interface Impairment {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly loss: number;
}

const secretBytesMin = 16;
const impairmentMsMax = 60_000;

/** @throws OPTION_INVALID with the option, its value and what is allowed */
export function checkLinksOptions(options: LinksOptions): CheckedLinksOptions {
  const { identity, secret, listen } = options;
  checkName("identity.nodeId", identity.nodeId);
  checkName("identity.storeId", identity.storeId);
  checkName("identity.bootId", identity.bootId);
  if (identity.clusterId !== null) checkName("identity.clusterId", identity.clusterId);
  const secretBytes = Buffer.byteLength(secret);
  if (secretBytes < secretBytesMin) {
    // The value itself is no business of a log.
    invalid("secret", `${secretBytes} bytes`, `at least ${secretBytesMin} bytes`);
  }
  checkNumber("listen.port", listen.port, 0, 65_535, true);
  const peers = new Map(Object.entries(options.peers).filter(([nodeId]) => nodeId !== identity.nodeId));
  checkPeerUrls(peers);
  return {
    identity,
    secret,
    listen,
    peers,
    impairments: impairmentsOf(options, peers),
    limits: limitsOf(options),
  };
}

/** @throws OPTION_INVALID */
export function checkPeerUrls(urls: ReadonlyMap<string, string | null>): void {
  for (const [nodeId, url] of urls) {
    checkName("peers", nodeId);
    if (url !== null) checkUrl(`peers.${nodeId}`, url);
  }
}

function limitsOf(options: LinksOptions): LinkLimits {
  const limits: Record<keyof LinkLimits, number> = { ...linksDefaults };
  for (const name of Object.keys(bounds) as (keyof LinkLimits)[]) {
    const value = options[name];
    if (value === undefined) continue;
    checkNumber(name, value, ...bounds[name], true);
    limits[name] = value;
  }
  if (limits.reconnectDelayMsMin > limits.reconnectDelayMsMax) {
    const allowed = `at most reconnectDelayMsMax, ${limits.reconnectDelayMsMax}`;
    invalid("reconnectDelayMsMin", limits.reconnectDelayMsMin, allowed);
  }
  return limits;
}

function impairmentsOf(options: LinksOptions, peers: ReadonlyMap<string, string>): Map<string, Impairment> {
  const { linkDelayMs = {}, linkJitterMs = {}, linkLoss = {} } = options;
  for (const [name, byPeer, max] of [
    ["linkDelayMs", linkDelayMs, impairmentMsMax],
    ["linkJitterMs", linkJitterMs, impairmentMsMax],
    ["linkLoss", linkLoss, 1],
  ] as const) {
    for (const [nodeId, value] of Object.entries(byPeer)) {
      if (nodeId !== options.identity.nodeId && !peers.has(nodeId))
        invalid(name, nodeId, "nodeIds of the peers");
      checkNumber(`${name}.${nodeId}`, value, 0, max, false);
    }
  }
  const impairments = new Map<string, Impairment>();
  for (const nodeId of peers.keys()) {
    const impairment = {
      delayMs: linkDelayMs[nodeId] ?? 0,
      jitterMs: linkJitterMs[nodeId] ?? 0,
      loss: linkLoss[nodeId] ?? 0,
    };
    if (impairment.delayMs + impairment.jitterMs + impairment.loss > 0) impairments.set(nodeId, impairment);
  }
  return impairments;
}

/** The rule for every id in an identity. @throws OPTION_INVALID */
export function checkName(option: string, value: string): void {
  const bytes = Buffer.byteLength(value);
  if (bytes === 0 || bytes > codecLimits.stringBytesMax || !value.isWellFormed()) {
    invalid(option, JSON.stringify(value), `1 to ${codecLimits.stringBytesMax} bytes of UTF-8`);
  }
}

function checkNumber(option: string, value: number, min: number, max: number, whole: boolean): void {
  const right = whole ? Number.isInteger(value) : Number.isFinite(value);
  if (!right || value < min || value > max) {
    invalid(option, value, `a${whole ? " whole" : ""} number from ${min} to ${max}`);
  }
}

function checkUrl(option: string, value: string): void {
  const url = URL.canParse(value) ? new URL(value) : null;
  const right = url !== null && (url.protocol === "ws:" || url.protocol === "wss:") && url.hash === "";
  if (!right) invalid(option, JSON.stringify(value), "an address like ws://10.0.0.2:2600");
}

function invalid(option: string, value: string | number, allowed: string): never {
  throw new NetworkError("OPTION_INVALID", `option ${option} is ${value}; allowed: ${allowed}`);
}
