import type { MembersRequest, MemberToBe } from "../../cluster/members.ts";
import { nodeIdKind, url } from "../../cluster/option-kind.ts";
import { CliError } from "./cli-error.ts";

const address = url(["ws:", "wss:"]);

/**
 * `n4=10.0.0.4:2667 n5=…`, or `n4 10.0.0.4:2667 n5 …`; a node whose address is known needs none.
 * @throws CliError OPTION_WRONG
 */
export function readMembers(words: readonly string[], role: MemberToBe["role"]): MemberToBe[] {
  const members: MemberToBe[] = [];
  for (const word of words) {
    const at = word.indexOf("=");
    const last = members.at(-1);
    if (at >= 0)
      members.push({ node: readId(word.slice(0, at)), url: readAddress(word.slice(at + 1)), role });
    // An id has no colon, and every address has one.
    else if (!word.includes(":")) members.push({ node: readId(word), url: null, role });
    else if (last?.url === null) members[members.length - 1] = { ...last, url: readAddress(word) };
    else throw new CliError("OPTION_WRONG", `${word} is nobody's address: NODE=HOST:PORT`, 2);
  }
  return members;
}

export function readId(word: string): string {
  if (nodeIdKind.schema.safeParse(word).success) return word;
  throw new CliError("OPTION_WRONG", `"${word}" is no node's id: it must be ${nodeIdKind.allowed}`, 2);
}

function readAddress(word: string): string {
  const whole = word.includes("://") ? word : `ws://${word}`;
  const isRight = address.schema.safeParse(whole).success && URL.parse(whole)?.port !== "";
  if (isRight) return whole;
  throw new CliError(
    "OPTION_WRONG",
    `"${word}" is no address of a node: it must be HOST:PORT, or ${address.allowed}, with its --peer-port`,
    2,
  );
}

/** What a change does, as a sentence goes on after "to". */
export function describeRequest({ members, remove, cancel }: MembersRequest): string {
  const parts = [
    ...(cancel ? ["take back what waits"] : []),
    ...members.map(({ node, role }) => `make ${node} a ${role}`),
    ...remove.map((node) => `remove ${node}`),
  ];
  return parts.join(", ");
}
