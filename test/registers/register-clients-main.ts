/**
 * Clients of real nodes, in a process that nobody kills: `register-clients-main.ts FILE CLIENTS GROUPS URL …`. Writes
 * every question with its answer into FILE; over IPC it is asked for its `progress`, and to `finish`.
 */
import { createWriteStream } from "node:fs";
import { Agent, request } from "node:http";
import type { RegisterInput, Value } from "../linearizability/register-model.ts";
import type { Answer, Asked, Question } from "./question.ts";

const [file = "", clients = "0", groups = "0", ...urls] = process.argv.slice(2);
const keysPerGroup = 6;
/** Keys are used for a while only: what was never answered is a burden to the judge for as long. */
const generationMs = 2_000;
const timeoutsMs = [150, 1_000, 5_000];
/** How much longer than the node a client waits. */
const patienceMs = 1_000;

const out = createWriteStream(file);
const agents = urls.map(() => new Agent({ keepAlive: true }));
let answered = 0;
let isFinishing = false;

function pick<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}

/** What cannot have reached the node failed; what may have is unknown. */
function ask(node: number, question: Question): Promise<Answer> {
  return new Promise((resolve) => {
    const body = JSON.stringify(question);
    const sent = request(
      `${urls[node]}/registers`,
      { method: "POST", agent: agents[node], timeout: question.timeoutMs + patienceMs },
      (response) => {
        let text = "";
        response.on("data", (bytes: Buffer) => {
          text += bytes.toString("utf8");
        });
        response.on("end", () => {
          if (response.complete && response.statusCode === 200) resolve(JSON.parse(text) as Answer);
          else resolve({ type: "unknown", reason: `status ${response.statusCode}` });
        });
        response.on("error", (error) => resolve({ type: "unknown", reason: error.message }));
      },
    );
    sent.on("timeout", () => sent.destroy(new Error("no answer")));
    sent.on("error", (error: NodeJS.ErrnoException) =>
      resolve({ type: error.code === "ECONNREFUSED" ? "failed" : "unknown", reason: error.message }),
    );
    sent.end(body);
  });
}

async function putDown(client: string, node: number, question: Question): Promise<Answer> {
  const beginMs = performance.now();
  const answer = await ask(node, question);
  const { timeoutMs: _, ...asked } = question;
  const line: Asked = { client, node, ...asked, beginMs, endMs: performance.now(), answer };
  out.write(`${JSON.stringify(line)}\n`);
  answered++;
  return answer;
}

/** One after the other, of any node. */
async function live(client: string): Promise<void> {
  const known = new Map<string, Value>();
  for (let n = 1; !isFinishing; n++) {
    const group = Math.floor(Math.random() * Number(groups));
    const key = `${Math.floor(performance.now() / generationMs)}.${Math.floor(Math.random() * keysPerGroup)}`;
    const register = `${group}/${key}`;
    const way = Math.random() < 0.7 ? "log" : pick(["linearizable", "lease", "local"] as const);
    const input =
      way === "log" ? inputOf(`${client}.${n}`, known.get(register) ?? null) : ({ type: "get" } as const);
    const question: Question = { group, key, input, way, timeoutMs: pick(timeoutsMs) };
    const answer = await putDown(client, Math.floor(Math.random() * urls.length), question);
    if (answer.type === "ok" && way === "log")
      known.set(
        register,
        "value" in input && answer.output.swapped !== false ? input.value : answer.output.value,
      );
    if (answer.type === "failed") await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function inputOf(value: string, expected: Value): RegisterInput {
  return pick<RegisterInput>([
    { type: "get" },
    { type: "put", value },
    { type: "cas", expected, value },
    { type: "cas", expected, value },
    ...(Math.random() < 0.2 ? [{ type: "delete" } as const] : []),
  ]);
}

/** In the end every register of the last generations answers on every node, in every way. */
async function readAll(): Promise<void> {
  const now = Math.floor(performance.now() / generationMs);
  for (let generation = Math.max(0, now - 3); generation <= now; generation++) {
    for (let group = 0; group < Number(groups); group++) {
      for (let at = 0; at < keysPerGroup; at++) {
        for (const node of urls.keys()) {
          const way = pick(["log", "linearizable", "lease"] as const);
          const question: Question = {
            group,
            key: `${generation}.${at}`,
            input: { type: "get" },
            way,
            timeoutMs: 20_000,
          };
          await putDown("last", node, question);
        }
      }
    }
  }
}

const lives = Array.from({ length: Number(clients) }, (_, at) => live(`c${at + 1}`));

process.on("message", async (order) => {
  if (order === "finish") {
    isFinishing = true;
    await Promise.all(lives);
    await readAll();
    await new Promise((resolve) => out.end(resolve));
  }
  process.send?.({ order, answered });
  if (order === "finish") process.disconnect();
});
