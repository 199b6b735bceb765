import { Client, type FailoverRoom } from "../../client/testudo-client.ts";
import type { BenchState, PulseRoom } from "./bench-room.ts";
import { nodesCount, sleep } from "./cluster.ts";
import type { TestudoCluster } from "./testudo-cluster.ts";

const sendEveryMs = 10;
const patienceMs = 20_000;
const settleMs = 1_500;

export interface AttachmentResult {
  /** From each kill until the client has its next patch from another node. */
  readonly gapsMs: readonly number[];
  readonly sent: number;
  /** Commands that were answered and are not in the room's count. */
  readonly lost: number;
  /** Commands that are in the room's count more than once. */
  readonly doubled: number;
}

/** kill -9 of whichever node the wrapper's client is attached to, again and again, while it plays on. */
export async function measureAttachment(cluster: TestudoCluster, kills: number): Promise<AttachmentResult> {
  const client = new Client(Array.from({ length: nodesCount }, (_, node) => cluster.url(node)));
  const room = (await client.joinOrCreate("pulse")) as FailoverRoom<PulseRoom, BenchState>;
  let patched: () => void = () => {};
  room.onStateChange(() => patched());
  const answers: Promise<void>[] = [];
  let answered = 0;
  const sending = setInterval(() => {
    const count = (): void => {
      answered += 1;
    };
    // One that is not answered counts as neither lost nor doubled: its outcome is unknown.
    answers.push(room.request("add").then(count, () => {}));
  }, sendEveryMs);
  const gapsMs: number[] = [];
  // The SDK tells the console of each reconnection.
  const { info } = console;
  console.info = () => {};
  try {
    for (let kill = 0; kill < kills; kill++) {
      await sleep(500);
      const attached = nodeOf(cluster, room);
      gapsMs.push(await killUntilPatch(cluster, attached, room, (listener) => (patched = listener)));
      await cluster.restart(attached);
      await sleep(settleMs);
    }
  } finally {
    clearInterval(sending);
    console.info = info;
  }
  await Promise.race([Promise.all(answers), sleep(patienceMs)]);
  await sleep(500);
  const counted = room.state.counts.get(room.sessionId) ?? 0;
  await room.leave();
  const sent = answers.length;
  return { gapsMs, sent, lost: Math.max(0, answered - counted), doubled: Math.max(0, counted - sent) };
}

function nodeOf(cluster: TestudoCluster, room: FailoverRoom<PulseRoom, BenchState>): number {
  return Array.from({ length: nodesCount }, (_, node) => cluster.url(node)).findIndex(
    (url) => new URL(url).port === new URL(room.endpoint?.url ?? url).port,
  );
}

async function killUntilPatch(
  cluster: TestudoCluster,
  attached: number,
  room: FailoverRoom<PulseRoom, BenchState>,
  listen: (listener: () => void) => void,
): Promise<number> {
  return await new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`no patch for ${patienceMs} ms after a kill`)),
      patienceMs,
    );
    const killedMs = cluster.kill(attached);
    listen(() => {
      // What the dead node had still sent is no news.
      if (nodeOf(cluster, room) === attached) return;
      clearTimeout(late);
      listen(() => {});
      resolve(performance.now() - killedMs);
    });
  });
}
