/** Why a match cannot be replayed. */
export class ReplayError extends Error {
  readonly code: "ROOM_UNKNOWN" | "ENGINE_DIFFERS" | "TO_OUT_OF_RANGE" | "NO_CODE_RUNS";

  constructor(code: ReplayError["code"], message: string) {
    super(message);
    this.name = "ReplayError";
    this.code = code;
  }
}
