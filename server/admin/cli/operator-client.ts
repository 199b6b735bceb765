import { readFileSync } from "node:fs";
import { operatorToken } from "../operator-token.ts";
import { CliError } from "./cli-error.ts";

/** How every command that talks to a node is told which, and that it may. */
export interface NodeAddress {
  readonly url: string;
  readonly secret?: string;
  readonly secretFile?: string;
}

const answerMsMax = 30_000;

/** Talks to one node of a running cluster, which any of them will do. */
export class OperatorClient {
  readonly #url: string;
  readonly #token: string;

  /** @throws CliError if there is no secret, or the file that holds it cannot be read */
  constructor({ url, secret, secretFile }: NodeAddress) {
    const origin = URL.parse(url)?.origin;
    if (origin === undefined) throw new CliError("URL_WRONG", `--url ${url} is no URL: http://host:port`, 2);
    this.#url = origin;
    this.#token = operatorToken(secretOf({ secret, secretFile }));
  }

  /** @throws CliError NODE_UNREACHABLE, or what the node refused it with */
  async ask(method: "GET" | "POST", path: string, body?: unknown): Promise<unknown> {
    const answer = await this.open(method, path, body, AbortSignal.timeout(answerMsMax));
    return await answer.json();
  }

  /** The answer as it comes: for long ones. @throws CliError as `ask` */
  async open(method: "GET" | "POST", path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
    const target = `${this.#url}/testudo/operator/${path}`;
    let answer: Response;
    try {
      answer = await fetch(target, {
        method,
        headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      const why = cause?.code ?? (error as Error).message;
      throw new CliError("NODE_UNREACHABLE", `${this.#url} does not answer (${why}): is a node there? --url`);
    }
    if (answer.ok) return answer;
    const told = (await answer.json().catch(() => null)) as {
      error?: { code: string; message: string };
    } | null;
    throw new CliError(
      told?.error?.code ?? "REFUSED",
      told?.error?.message ?? `${target} answers with status ${answer.status}`,
    );
  }
}

function secretOf({
  secret,
  secretFile,
}: {
  secret: string | undefined;
  secretFile: string | undefined;
}): string {
  if (secret !== undefined && secretFile !== undefined)
    throw new CliError("OPTION_WRONG", "--secret and --secret-file: give one of them", 2);
  if (secret !== undefined) return secret;
  if (secretFile === undefined) {
    throw new CliError(
      "OPTION_WRONG",
      "an operator's command needs the cluster's secret: --secret-file FILE, --secret TEXT, or TESTUDO_SECRET_FILE, TESTUDO_SECRET",
      2,
    );
  }
  try {
    return readFileSync(secretFile, "utf8").trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError("OPTION_WRONG", `--secret-file ${secretFile} cannot be read (${code})`, 2);
  }
}
