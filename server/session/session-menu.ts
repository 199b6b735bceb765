import { z } from "zod";
import type { ApplyResult } from "../group/machine.ts";
import type { Origin } from "../group/origins.ts";
import { type CommandContext, command, defineMenu } from "../menu/menu.ts";
import { authOutcome, unasked } from "./auth-outcome.ts";
import { type Verdicts, verdictsSchema } from "./divergence/verdict.ts";
import { type EffectDone, effectDoneSchema } from "./effect-outcome.ts";
import { type BeginRun, beginRunSchema, type StepPiece, stepSchema } from "./led-program.ts";
import { type Message, messageCodec } from "./message-codec.ts";
import { type Quarantine, quarantineSchema } from "./quarantine.ts";

/** What a session machine does for each command; the menu only says what may be asked of it. */
export interface SessionCommands {
  allocate(argument: Allocate, context: SessionContext): ApplyResult;
  forget(argument: Forget, context: SessionContext): ApplyResult;
  reserve(argument: Reserve, context: SessionContext): ApplyResult;
  attach(argument: Attach, context: SessionContext): ApplyResult;
  detach(argument: Detach, context: SessionContext): ApplyResult;
  message(argument: Message, context: SessionContext): ApplyResult;
  call(argument: Call, context: SessionContext): ApplyResult;
  nodeLost(argument: NodeLost, context: SessionContext): ApplyResult;
  tick(argument: null, context: SessionContext): ApplyResult;
  quarantine(argument: Quarantine, context: SessionContext): ApplyResult;
  verdicts(argument: Verdicts, context: SessionContext): ApplyResult;
  effectDone(argument: EffectDone, context: SessionContext): ApplyResult;
  nodeMissing(argument: NodeMissing, context: SessionContext): ApplyResult;
  nodeFound(argument: NodeFound, context: SessionContext): ApplyResult;
  beginRun(argument: BeginRun, context: SessionContext): ApplyResult;
  step(argument: StepPiece, context: SessionContext): ApplyResult;
  switchCode(argument: SwitchCode, context: SessionContext): ApplyResult;
}

/** The place in the log, and who proposed it. */
export interface SessionContext extends CommandContext {
  readonly origin: Omit<Origin, "sequence">;
}

const name = z.string().min(1).max(128);
const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, "bytes are expected");
/** The proposer's number within the room (or within the group's own part): 1, 2, 3, … (design 5.3). */
const sequence = z.number().int().positive();

const allocate = z.object({
  sequence,
  /** Room name and filter values: one key is allocated by one group. */
  key: z.string().max(4096),
  /** `create` always makes a room; `joinOrCreate` only if the key has none, or the one it has is `exclude`. */
  fresh: z.boolean(),
  exclude: name.nullable(),
  roomId: name,
  roomName: name,
  options: z.unknown(),
  seed: bytes,
  /** The version of the game's code that the room is for. */
  code: z.string().max(128),
});
const forget = z.object({ sequence, roomId: name });
const reserve = z.object({
  sequence,
  roomId: name,
  sessionId: name,
  options: z.unknown(),
  auth: z.unknown(),
  seconds: z.number().positive(),
  /** Its session id comes again if it is asked for again: what it has got already is given once more. */
  mayRepeat: z.boolean().default(false),
});
const attach = z.object({
  sequence,
  roomId: name,
  sessionId: name,
  attachId: z.number().int().positive(),
  /** What the client shows to take its seat again; null for a first join. */
  presentedToken: z.string().max(128).nullable(),
  /** The token it will get. */
  token: name,
  /** Its client numbers its commands itself, and waits for the first acknowledgement. */
  wrapper: z.boolean(),
  skipHandshake: z.boolean(),
  /** Logs that were written before rooms had an onAuth of their own have none. */
  auth: authOutcome.default(unasked),
  /** A wrapper that comes back has the room's messages up to this one; null, and in older logs: it did not say. */
  received: z.number().int().nonnegative().nullable().default(null),
});
const detach = z.object({
  sequence,
  roomId: name,
  sessionId: name,
  epoch: z.number().int(),
  code: z.number().int(),
});
const message = z.object({
  roomId: name,
  sessionId: name,
  epoch: z.number().int(),
  stream: z.enum(["epoch", "client"]),
  sequence,
  frame: bytes,
});
const call = z.object({ sequence, roomId: name, method: name, data: z.array(z.unknown()).max(16) });
/** All seats that are attached to this node's starts up to `bootCountMax` are detached. */
const nodeLost = z.object({ nodeId: name, bootCountMax: z.number().int() });
/**
 * The leader of `term` cannot reach this node, whose starts up to `bootCountMax` have applied nothing behind
 * `appliedAtMost`: what the room says to their clients from there on nobody has sent. In another term's log it is void.
 */
const nodeMissing = z.object({
  nodeId: name,
  bootCountMax: z.number().int(),
  appliedAtMost: z.number().int().nonnegative(),
  term: z.number().int(),
});
/** This start of a node that was missing is there, and sends what it has held back. */
const nodeFound = z.object({ nodeId: name, bootCount: z.number().int() });

/** From this entry on the room runs under another version of the game's code (design 5.4). */
const switchCode = z.object({ roomId: name, to: z.string().max(128) });

export type Allocate = z.infer<typeof allocate>;
export type Forget = z.infer<typeof forget>;
export type Reserve = z.infer<typeof reserve>;
export type Attach = z.infer<typeof attach>;
export type Detach = z.infer<typeof detach>;
export type { Message } from "./message-codec.ts";
export type Call = z.infer<typeof call>;
export type NodeLost = z.infer<typeof nodeLost>;
export type NodeMissing = z.infer<typeof nodeMissing>;
export type SwitchCode = z.infer<typeof switchCode>;
export type NodeFound = z.infer<typeof nodeFound>;

/** Everything that can be agreed about rooms. The order is the wire's: new commands go at the end. */
export const sessionMenu = defineMenu({
  name: "session",
  commands: {
    message: command(
      message,
      (machine: SessionCommands, argument, context) => machine.message(argument, context as SessionContext),
      { codec: messageCodec },
    ),
    tick: command(z.null(), (machine: SessionCommands, argument, context) =>
      machine.tick(argument, context as SessionContext),
    ),
    allocate: command(allocate, (machine: SessionCommands, argument, context) =>
      machine.allocate(argument, context as SessionContext),
    ),
    forget: command(forget, (machine: SessionCommands, argument, context) =>
      machine.forget(argument, context as SessionContext),
    ),
    reserve: command(reserve, (machine: SessionCommands, argument, context) =>
      machine.reserve(argument, context as SessionContext),
    ),
    attach: command(attach, (machine: SessionCommands, argument, context) =>
      machine.attach(argument, context as SessionContext),
    ),
    detach: command(detach, (machine: SessionCommands, argument, context) =>
      machine.detach(argument, context as SessionContext),
    ),
    call: command(call, (machine: SessionCommands, argument, context) =>
      machine.call(argument, context as SessionContext),
    ),
    nodeLost: command(nodeLost, (machine: SessionCommands, argument, context) =>
      machine.nodeLost(argument, context as SessionContext),
    ),
    quarantine: command(quarantineSchema, (machine: SessionCommands, argument, context) =>
      machine.quarantine(argument, context as SessionContext),
    ),
    verdicts: command(verdictsSchema, (machine: SessionCommands, argument, context) =>
      machine.verdicts(argument, context as SessionContext),
    ),
    effectDone: command(effectDoneSchema, (machine: SessionCommands, argument, context) =>
      machine.effectDone(argument, context as SessionContext),
    ),
    nodeMissing: command(nodeMissing, (machine: SessionCommands, argument, context) =>
      machine.nodeMissing(argument, context as SessionContext),
    ),
    nodeFound: command(nodeFound, (machine: SessionCommands, argument, context) =>
      machine.nodeFound(argument, context as SessionContext),
    ),
    beginRun: command(beginRunSchema, (machine: SessionCommands, argument, context) =>
      machine.beginRun(argument, context as SessionContext),
    ),
    step: command(stepSchema, (machine: SessionCommands, argument, context) =>
      machine.step(argument, context as SessionContext),
    ),
    switchCode: command(switchCode, (machine: SessionCommands, argument, context) =>
      machine.switchCode(argument, context as SessionContext),
    ),
  },
});
