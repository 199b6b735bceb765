import assert from "node:assert";
import { Acceptor } from "./acceptor.ts";
import { LinkRefused } from "./close-reason.ts";
import { Dialer } from "./dialer.ts";
import { levelRefusal } from "./level-refusal.ts";
import { Link, type OpenConnection } from "./link.ts";
import {
  type CheckedLinksOptions,
  checkLinksOptions,
  checkName,
  checkPeerUrls,
  type LinksOptions,
} from "./links-options.ts";
import { type MessageLevels, messageLevel, messageLevels } from "./message-levels.ts";
import type { Network, NetworkHandlers, PeerIdentity } from "./network.ts";
import { PeerBook, type PeerUrls } from "./peer-book.ts";
import type { PeerMessage } from "./peer-message.ts";
import { RefusalLog } from "./refusal-log.ts";
import { Sockets } from "./sockets.ts";

export interface NetworkLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface LinksTools {
  readonly log: NetworkLog;
  /** Unpredictable ones: nonces are made of them. */
  randomBytes(count: number): Uint8Array;
  /** Milliseconds that never go back; may have fractions. */
  monotonicMs(): number;
  /** Which messages came with what level; by default this build's. */
  readonly messageLevels?: MessageLevels;
}

/** So many looks at the links in the time that a silent one is given. */
const silenceChecks = 4;

/**
 * The links of one node, over WebSockets: one to each peer that can be reached. Of two nodes the one whose nodeId sorts
 * first (by UTF-16 code units) dials, the other only accepts, so there are never two links to choose from.
 */
export class Links implements Network {
  readonly #tools: LinksTools;
  readonly #options: CheckedLinksOptions;
  readonly #sockets: Sockets;
  readonly #acceptor: Acceptor;
  readonly #refusals: RefusalLog;
  readonly #book: PeerBook;
  readonly #dialers = new Map<string, Dialer>();
  readonly #links = new Map<string, Link>();
  /** Links with messages that wait for the end of the turn. */
  readonly #unflushed = new Set<Link>();
  /** The last failure that was logged, by peer: the same one again and again is one line. */
  readonly #failures = new Map<string, string>();
  readonly #messageLevels: MessageLevels;
  #identity: PeerIdentity;
  #handlers: NetworkHandlers | null = null;
  #flushing: NodeJS.Immediate | null = null;
  #silenceTimer: NodeJS.Timeout | null = null;
  #state: "made" | "open" | "closed" = "made";

  /** @throws OPTION_INVALID */
  constructor(options: LinksOptions, tools: LinksTools) {
    this.#tools = tools;
    this.#options = checkLinksOptions(options);
    const { identity, limits, peers } = this.#options;
    this.#identity = identity;
    this.#messageLevels = tools.messageLevels ?? messageLevels;
    this.#book = new PeerBook(peers, limits);
    this.#refusals = new RefusalLog(tools);
    this.#sockets = new Sockets(limits.closeTimeoutMs);
    this.#acceptor = new Acceptor({
      ...this.#shared(),
      admit: (peer) => this.#admit(peer),
      refused: (refusal) => this.#refusals.refused(refusal),
    });
    this.#matchDialers();
  }

  /** What both ends of a handshake need. */
  #shared() {
    const { secret, limits } = this.#options;
    return {
      secret,
      limits,
      sockets: this.#sockets,
      self: () => this.#identity,
      randomBytes: (count: number) => this.#tools.randomBytes(count),
      opened: (connection: OpenConnection) => this.#opened(connection),
    };
  }

  /** A dialer for each peer whose address is known. The one that only waits to be dialled is patient. */
  #matchDialers(): void {
    for (const [nodeId, dialer] of this.#dialers) {
      if (this.#book.url(nodeId) !== null) continue;
      dialer.stop();
      this.#dialers.delete(nodeId);
    }
    for (const [nodeId, url] of this.#book.urls) {
      if (url === null || this.#dialers.has(nodeId)) continue;
      const dialer = new Dialer({
        ...this.#shared(),
        nodeId,
        url: () => this.#book.url(nodeId) ?? url,
        lateMs: dials(this.#identity.nodeId, nodeId) ? null : this.#options.limits.lateDialMs,
        check: (peer) => this.#check(peer),
        failed: (failure) => this.#dialFailed(nodeId, failure),
        random: () => this.#random(),
      });
      this.#dialers.set(nodeId, dialer);
      if (this.#links.has(nodeId)) dialer.linkUp();
      else if (this.#state === "open") dialer.start();
    }
  }

  /**
   * The peers from now on. A new address is dialled when there is no link the next time; a link with a node that is no
   * peer any more stays until it ends.
   * @throws OPTION_INVALID
   */
  setPeers(urls: PeerUrls): void {
    checkPeerUrls(urls);
    const others = [...urls].filter(([nodeId]) => nodeId !== this.#identity.nodeId);
    this.#book.set(new Map(others));
    if (this.#state !== "closed") this.#matchDialers();
  }

  /** @throws LinkRefused */
  #check(peer: PeerIdentity): void {
    this.#book.check(peer, this.#identity, this.#links.keys());
  }

  /** @throws PORT_IN_USE, LISTEN_FAILED */
  async start(handlers: NetworkHandlers): Promise<void> {
    assert(this.#state === "made", "links start once");
    this.#state = "open";
    this.#handlers = handlers;
    await this.#acceptor.listen(this.#options.listen);
    if (this.#isClosed()) return;
    this.#tools.log.info({ ...this.address, nodeId: this.#identity.nodeId }, "listening for other nodes");
    this.#silenceTimer = setInterval(
      () => this.#checkSilence(),
      this.#options.limits.silenceMs / silenceChecks,
    );
    for (const dialer of this.#dialers.values()) dialer.start();
  }

  /** Where this node listens for others; only after `start`. */
  get address(): { readonly host: string; readonly port: number } {
    return this.#acceptor.address;
  }

  send(nodeId: string, message: PeerMessage): void {
    const link = this.#links.get(nodeId);
    if (link === undefined || link.peer.levels.max < messageLevel(message, this.#messageLevels)) return;
    link.send(message);
    if (!link.open) return;
    this.#unflushed.add(link);
    this.#flushing ??= setImmediate(() => this.flush());
  }

  /** Sends what is queued now instead of at the end of the turn. */
  flush(): void {
    if (this.#flushing !== null) clearImmediate(this.#flushing);
    this.#flushing = null;
    for (const link of this.#unflushed) link.flush();
    this.#unflushed.clear();
  }

  bufferedBytes(nodeId: string): number {
    return this.#links.get(nodeId)?.bufferedBytes ?? 0;
  }

  peers(): readonly { readonly nodeId: string; readonly state: "connecting" | "up" | "down" }[] {
    return [...this.#book.urls.keys()].map((nodeId) => {
      if (this.#links.has(nodeId)) return { nodeId, state: "up" };
      return { nodeId, state: this.#dialers.get(nodeId)?.connecting ? "connecting" : "down" };
    });
  }

  /** The cluster has been founded, or is known now. Links to nodes of another one end. @throws OPTION_INVALID */
  setClusterId(clusterId: string): void {
    checkName("identity.clusterId", clusterId);
    this.#identity = { ...this.#identity, clusterId };
    for (const link of this.#links.values()) {
      const theirs = link.peer.clusterId;
      if (theirs === null || theirs === clusterId) continue;
      link.close("CLUSTER_DIFFERS", `${this.#identity.nodeId} is of cluster ${clusterId} now`);
    }
  }

  /** A group has agreed on it: links to nodes that do not know it end. Never less than before. */
  setAgreedLevel(agreedLevel: number): void {
    this.#identity = { ...this.#identity, agreedLevel };
    for (const link of this.#links.values()) {
      const refusal = levelRefusal(link.peer, this.#identity);
      if (refusal !== null) link.close("LEVEL_DIFFERS", refusal);
    }
  }

  /** Ends all links (each is reported as down) and stops listening. Resolves when every socket is closed. */
  async close(): Promise<void> {
    this.#state = "closed";
    if (this.#silenceTimer !== null) clearInterval(this.#silenceTimer);
    this.flush();
    for (const dialer of this.#dialers.values()) dialer.stop();
    const why = `${this.#identity.nodeId} stops`;
    for (const link of this.#links.values()) link.close("CLOSING", why);
    await Promise.all([this.#acceptor.close(), this.#sockets.closeAll("CLOSING", why)]);
  }

  /** Whether a proven node may be linked. Of two nodes with one id the one whose link lives stays. */
  async #admit(peer: PeerIdentity): Promise<void> {
    this.#check(peer);
    // Who is not known here is not dialled from here either.
    if (!dials(peer.nodeId, this.#identity.nodeId) && this.#book.url(peer.nodeId) !== null) {
      throw new LinkRefused(
        "DIRECTION_WRONG",
        `${this.#identity.nodeId} dials ${peer.nodeId}, not the other way round`,
      );
    }
    const existing = this.#links.get(peer.nodeId);
    if (existing === undefined || existing.peer.bootId === peer.bootId) return;
    if (await existing.alive()) throw duplicate(peer);
    existing.cut("SILENT", "a second node with this id came, and this one did not answer");
  }

  #opened(connection: OpenConnection): void {
    const { peer } = connection;
    if (this.#isClosed()) throw new LinkRefused("CLOSING", `${this.#identity.nodeId} stops`);
    // The cluster may have become known, or a twin may have come, since the first look.
    this.#check(peer);
    const existing = this.#links.get(peer.nodeId);
    if (existing !== undefined && existing.peer.bootId !== peer.bootId) throw duplicate(peer);
    // The same process dials again: it has lost the link already, only this side has not noticed yet.
    existing?.cut("REPLACED", "the same process has linked anew");
    const { limits, impairments } = this.#options;
    const link = new Link(connection, {
      limits,
      impairment: impairments.get(peer.nodeId),
      sockets: this.#sockets,
      monotonicMs: () => this.#tools.monotonicMs(),
      random: () => this.#random(),
      message: (from, message) => this.#handlers?.message(from.peer.nodeId, message),
      down: (down, reason, detail) => this.#down(down, reason, detail),
    });
    this.#links.set(peer.nodeId, link);
    this.#dialers.get(peer.nodeId)?.linkUp();
    this.#failures.delete(peer.nodeId);
    this.#tools.log.info({ ...peer }, "link up");
    this.#handlers?.linkUp(peer);
  }

  #down(link: Link, reason: string, detail: string): void {
    const { nodeId } = link.peer;
    assert(this.#links.get(nodeId) === link, "only the present link of a peer can go down");
    this.#links.delete(nodeId);
    this.#unflushed.delete(link);
    const level = reason === "CLOSING" || reason === "RESET" ? "info" : "warn";
    this.#tools.log[level]({ nodeId, reason, detail }, "link down");
    this.#dialers.get(nodeId)?.linkDown({ livedMs: this.#tools.monotonicMs() - link.openedMs });
    this.#handlers?.linkDown(nodeId, reason);
  }

  #dialFailed(nodeId: string, { reason, detail }: { reason: string; detail: string }): void {
    if (this.#failures.get(nodeId) === reason) return;
    this.#failures.set(nodeId, reason);
    // A node that is not there yet is no trouble; a node that refuses is.
    const isQuiet = ["UNREACHABLE", "RESET", "CLOSING", "DIRECTION_WRONG"].includes(reason);
    // Nothing but an operator can help.
    const level = isQuiet ? "info" : reason === "LEVEL_DIFFERS" ? "error" : "warn";
    const url = this.#book.url(nodeId);
    this.#tools.log[level]({ nodeId, url, reason, detail }, "no link yet; trying again");
  }

  #checkSilence(): void {
    const suspects = [...this.#links.values()].filter((link) => link.silent());
    if (suspects.length === 0) return;
    // This process may have been the one that stood still: what has come in meanwhile is read before this runs.
    setImmediate(() => {
      for (const link of suspects) {
        if (link.open && link.silent())
          link.cut("SILENT", `nothing came for ${this.#options.limits.silenceMs} ms`);
      }
    });
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  /** 0 ≤ x < 1 */
  #random(): number {
    const bytes = this.#tools.randomBytes(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
  }
}

function dials(from: string, to: string): boolean {
  return from < to;
}

function duplicate({ nodeId, bootId }: PeerIdentity): LinkRefused {
  return new LinkRefused(
    "NODE_DUPLICATE",
    `another node with the id ${nodeId} is linked and alive; boot ${bootId} is refused`,
  );
}
