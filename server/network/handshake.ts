import { createHmac, timingSafeEqual } from "node:crypto";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { LinkRefused } from "./close-reason.ts";
import { codecLimits } from "./codec-limits.ts";
import { FrameError } from "./frame-error.ts";
import type { PeerIdentity } from "./network.ts";

/**
 * How two nodes come to know that both know the cluster's secret, without saying it:
 *
 * 1. acceptor → dialer, challenge: `head, nonce, identity`
 * 2. dialer → acceptor, hello: `head, proof, nonce, nodeId that it means to reach, identity`
 * 3. acceptor → dialer, welcome: `head, proof`
 * 4. dialer → acceptor, ready: `head`
 *
 * head: "TSTD", protocol version, step. A proof is an HMAC-SHA256 under the secret over who proves (so that no proof
 * can be turned round), the whole challenge and the whole hello but its proof: both nonces, both identities, the version.
 * Nonces are new for every connection, so an overheard handshake is worth nothing. Magic, version and step are looked
 * at first, then the proof, and nothing else of what a stranger sent before the proof holds.
 *
 * The version is the handshake's own, and that of frames: two of them are never in one cluster. All else that nodes say to
 * each other goes by levels (raft/level.ts), which both sides say here.
 */
export const protocolVersion = 4;

/** No step is longer: what an unauthenticated connection may send in one message. */
export const handshakeBytesMax = 4096;

export const nonceBytes = 32;
const proofBytes = 32;
const magic = new Uint8Array([0x54, 0x53, 0x54, 0x44]);
const headBytes = magic.length + 2;

const steps = { challenge: 1, hello: 2, welcome: 3, ready: 4 } as const;
type Step = keyof typeof steps;

interface HandshakeOptions {
  readonly secret: string;
  readonly self: PeerIdentity;
  /** 32 random bytes, new for every connection. */
  readonly nonce: Uint8Array;
  /** Another version than this node's own, to find out what happens then. */
  readonly version?: number;
}

/** The accepting side: send `challenge`, give the answer to `hello`, send `welcome`, give the answer to `ready`. */
export class AcceptorHandshake {
  readonly challenge: Uint8Array<ArrayBuffer>;
  readonly #secret: string;
  readonly #version: number;
  #welcome: Uint8Array<ArrayBuffer> | null = null;

  constructor({ secret, self, nonce, version = protocolVersion }: HandshakeOptions) {
    this.#secret = secret;
    this.#version = version;
    const writer = stepWriter("challenge", version);
    writer.raw(nonce);
    writeIdentity(writer, self);
    this.challenge = writer.take();
  }

  /**
   * Who dials, proven, and whom it means to reach.
   * @throws LinkRefused HANDSHAKE_GARBLED, VERSION_DIFFERS, SECRET_WRONG
   */
  hello(bytes: Uint8Array): { readonly peer: PeerIdentity; readonly meant: string } {
    checkHead(bytes, "hello", this.#version);
    const proof = bytes.subarray(headBytes, headBytes + proofBytes);
    const body = bytes.subarray(headBytes + proofBytes);
    const facts = { secret: this.#secret, challenge: this.challenge, helloBody: body };
    checkProof(proof, prove({ ...facts, prover: "dialer" }));
    const writer = stepWriter("welcome", this.#version);
    writer.raw(prove({ ...facts, prover: "acceptor" }));
    this.#welcome = writer.take();
    return parse("hello", body, (reader) => {
      reader.raw("nonce", nonceBytes);
      return {
        meant: reader.string("nodeId", codecLimits.stringBytesMax),
        peer: readIdentity(reader),
      };
    });
  }

  /** Only after `hello`. */
  get welcome(): Uint8Array<ArrayBuffer> {
    if (this.#welcome === null) throw new Error("welcome before hello");
    return this.#welcome;
  }

  /** @throws LinkRefused HANDSHAKE_GARBLED, VERSION_DIFFERS */
  ready(bytes: Uint8Array): void {
    checkHead(bytes, "ready", this.#version);
    parse("ready", bytes.subarray(headBytes), () => undefined);
  }
}

/** The dialling side: give the challenge to `hello` and send what it returns, give the answer to `welcome`, send `ready`. */
export class DialerHandshake {
  readonly ready: Uint8Array<ArrayBuffer>;
  readonly #options: HandshakeOptions & { readonly meant: string };
  readonly #version: number;
  #challenge: Uint8Array = new Uint8Array(0);
  #helloBody: Uint8Array = new Uint8Array(0);

  /** `meant`: the nodeId that is expected at the address. */
  constructor(options: HandshakeOptions & { readonly meant: string }) {
    this.#options = options;
    this.#version = options.version ?? protocolVersion;
    this.ready = stepWriter("ready", this.#version).take();
  }

  /** @throws LinkRefused HANDSHAKE_GARBLED, VERSION_DIFFERS */
  hello(challenge: Uint8Array): Uint8Array<ArrayBuffer> {
    checkHead(challenge, "challenge", this.#version);
    // A copy: what came may lie in a buffer of the socket's.
    this.#challenge = challenge.slice();
    const { secret, nonce, self, meant } = this.#options;
    const body = new ByteWriter(handshakeBytesMax);
    body.raw(nonce);
    body.string(meant, codecLimits.stringBytesMax);
    writeIdentity(body, self);
    this.#helloBody = body.take();
    const writer = stepWriter("hello", this.#version);
    writer.raw(prove({ secret, challenge: this.#challenge, helloBody: this.#helloBody, prover: "dialer" }));
    writer.raw(this.#helloBody);
    return writer.take();
  }

  /**
   * Who accepted, proven.
   * @throws LinkRefused HANDSHAKE_GARBLED, VERSION_DIFFERS, SECRET_WRONG
   */
  welcome(bytes: Uint8Array): PeerIdentity {
    checkHead(bytes, "welcome", this.#version);
    const facts = { secret: this.#options.secret, challenge: this.#challenge, helloBody: this.#helloBody };
    checkProof(bytes.subarray(headBytes), prove({ ...facts, prover: "acceptor" }));
    return parse("challenge", this.#challenge.subarray(headBytes), (reader) => {
      reader.raw("nonce", nonceBytes);
      return readIdentity(reader);
    });
  }
}

function stepWriter(step: Step, version: number): ByteWriter {
  const writer = new ByteWriter(handshakeBytesMax);
  writer.raw(magic);
  writer.byte(version);
  writer.byte(steps[step]);
  return writer;
}

function writeIdentity(
  writer: ByteWriter,
  { nodeId, storeId, bootId, clusterId, levels, agreedLevel }: PeerIdentity,
): void {
  // An id is never empty, so "" can stand for none.
  for (const text of [nodeId, storeId, bootId, clusterId ?? ""])
    writer.string(text, codecLimits.stringBytesMax);
  // Nor is a level ever 0.
  for (const level of [levels.min, levels.max, agreedLevel ?? 0]) writer.uint(level);
}

function readIdentity(reader: ByteReader): PeerIdentity {
  const read = (what: string) => reader.string(what, codecLimits.stringBytesMax);
  const identity = { nodeId: read("nodeId"), storeId: read("storeId"), bootId: read("bootId") };
  const clusterId = read("clusterId") || null;
  const levels = { min: reader.uint("levels.min"), max: reader.uint("levels.max") };
  return { ...identity, clusterId, levels, agreedLevel: reader.uint("agreedLevel") || null };
}

function checkHead(bytes: Uint8Array, step: Step, version: number): void {
  const head = bytes.length >= headBytes && magic.every((byte, index) => bytes[index] === byte);
  if (!head) throw new LinkRefused("HANDSHAKE_GARBLED", `expected a ${step}, got something else`);
  const theirs = bytes[magic.length] as number;
  if (theirs !== version) {
    throw new LinkRefused("VERSION_DIFFERS", `protocol version ${theirs}; this node speaks ${version}`);
  }
  const got = bytes[magic.length + 1];
  if (got !== steps[step]) throw new LinkRefused("HANDSHAKE_GARBLED", `expected a ${step}, got step ${got}`);
}

function checkProof(proof: Uint8Array, expected: Uint8Array): void {
  // The length is no secret; timingSafeEqual wants it equal.
  if (proof.length !== expected.length || !timingSafeEqual(proof, expected)) {
    throw new LinkRefused("SECRET_WRONG", "the other side does not know this cluster's secret");
  }
}

interface Facts {
  readonly secret: string;
  readonly challenge: Uint8Array;
  readonly helloBody: Uint8Array;
  readonly prover: "dialer" | "acceptor";
}

function prove({ secret, challenge, helloBody, prover }: Facts): Uint8Array {
  const lengths = new DataView(new ArrayBuffer(8));
  // Lengths first, so that no byte can be read as part of the neighbour.
  lengths.setUint32(0, challenge.length, true);
  lengths.setUint32(4, helloBody.length, true);
  const hmac = createHmac("sha256", secret).update(`testudo link, ${prover}\n`);
  return hmac.update(new Uint8Array(lengths.buffer)).update(challenge).update(helloBody).digest();
}

function parse<Result>(step: Step, bytes: Uint8Array, read: (reader: ByteReader) => Result): Result {
  try {
    const reader = new ByteReader(bytes);
    const result = read(reader);
    reader.end();
    return result;
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw new LinkRefused("HANDSHAKE_GARBLED", `${step}: ${error.found}`);
  }
}
