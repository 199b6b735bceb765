/** Why a command ends with an exit code other than 0. `message` is one line, for the operator. */
export class CliError extends Error {
  readonly code: string;
  readonly exitCode: number;

  /** @param exitCode 2: the command was wrong; 1: it could not be done */
  constructor(code: string, message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.name = "CliError";
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** Another program was run, and has ended: so does this one, in the same way. */
export class CommandEnded extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`the command has ended with ${exitCode}`);
    this.name = "CommandEnded";
    this.exitCode = exitCode;
  }
}
