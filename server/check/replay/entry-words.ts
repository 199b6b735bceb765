import { Protocol } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import { unpack } from "msgpackr";
import type { AppliedCommand } from "../../group/machine.ts";
import { sessionMenu } from "../../session/session-menu.ts";

const lettersMax = 200;

/** What an entry says, for people. */
export function entryWords({ id, command }: AppliedCommand): { kind: string; who: string; what: string } {
  const { name: kind, argument } = sessionMenu.decode(command);
  if (argument === null) return { kind, who: id.nodeId, what: "" };
  const { sessionId, frame, ...rest } = argument as { sessionId?: string; frame?: Uint8Array };
  const what = frame === undefined ? told(rest) : frameWords(frame);
  return { kind, who: sessionId ?? id.nodeId, what: short(what) };
}

/** What every entry has, or what says nothing to anybody, is left out. */
const untold: ReadonlySet<string> = new Set(["roomId", "sequence", "seed", "token", "presentedToken"]);

function told(argument: object): string {
  return json(Object.fromEntries(Object.entries(argument).filter(([name]) => !untold.has(name))));
}

const frameNames = new Map<number | undefined, string>([
  [Protocol.JOIN_ROOM, "join acknowledged"],
  [Protocol.LEAVE_ROOM, "leaves"],
]);

export function frameWords(frame: Uint8Array): string {
  const code = frame[0];
  const it = { offset: 1 };
  if (code === Protocol.ROOM_REQUEST) decode.number(frame, it);
  if (code !== Protocol.ROOM_REQUEST && code !== Protocol.ROOM_DATA)
    return frameNames.get(code) ?? `a frame ${code} of ${frame.length} bytes`;
  try {
    const type = decode.stringCheck(frame, it) ? decode.string(frame, it) : decode.number(frame, it);
    const payload = frame.length > it.offset ? json(unpack(frame.subarray(it.offset))) : "";
    return `${json(type)} ${payload}`.trimEnd();
  } catch {
    return `a message that cannot be read, of ${frame.length} bytes`;
  }
}

function json(value: unknown): string {
  const plain = (_name: string, each: unknown) => {
    if (typeof each === "bigint") return String(each);
    return each instanceof Uint8Array ? `${each.length} bytes` : each;
  };
  return JSON.stringify(value, plain) ?? String(value);
}

export function short(text: string): string {
  return text.length > lettersMax ? `${text.slice(0, lettersMax)}…` : text;
}
