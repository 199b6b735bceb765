/** What a test asks a node by a route of the game's own: `POST /test/ASK`, a list of arguments as JSON. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

// biome-ignore lint/suspicious/noExplicitAny: from a test, as JSON
export type Ask = (...args: any[]) => unknown;
export type Asks = Readonly<Record<string, Ask>>;

/** For a node: what `handleFirst` takes. */
export function answersTo(asks: Asks): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const [, test, ask = ""] = (request.url ?? "").split("/");
    const act = asks[ask];
    if (test !== "test" || act === undefined) return false;
    const reply = (body: object): void => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    (async () => await act(...(JSON.parse(await text(request)) as unknown[])))().then(
      (value) => reply({ value: value === undefined ? null : value }),
      ({ name, code, message }: Error & { code?: unknown }) => reply({ error: { name, code, message } }),
    );
    return true;
  };
}

/** For a test. @throws what it was answered, or that the node is gone */
export async function askNode<T>(
  { url, answerMsMax }: { url: string; answerMsMax: number },
  what: string,
  args: readonly unknown[],
): Promise<T> {
  const answer = await fetch(`${url}/test/${what}`, {
    method: "POST",
    body: JSON.stringify(args),
    signal: AbortSignal.timeout(answerMsMax),
  });
  const { value, error } = (await answer.json()) as { value: T; error?: { code: unknown; message: string } };
  if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
  return value;
}
