export type MembersErrorCode =
  /** This node cannot say: it is no member, or the cluster is not founded. */
  | "NOT_A_MEMBER"
  | "NOTHING_ASKED"
  | "NODE_TWICE"
  | "NODE_UNKNOWN"
  | "NO_ANSWER"
  | "ADDRESS_MISSING"
  | "ALREADY_SO"
  /** A group's leader refuses it, with its own code: nothing was begun. */
  | (string & {});

/** Why a change of the members is not begun. `message` is one line, for the operator. */
export class MembersError extends Error {
  readonly code: MembersErrorCode;

  constructor(code: MembersErrorCode, message: string) {
    super(message);
    this.name = "MembersError";
    this.code = code;
  }
}
