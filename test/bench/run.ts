/**
 * `npm run bench`: Testudo beside etcd, in turns in the same run, as ratios.
 * `--quick`: one short round, to see that it works. `--only=load`, `--only=kill`: one half.
 */
import { measureAttachment } from "./attachment.ts";
import { sleep } from "./cluster.ts";
import { etcdLane, type Lane, type Load, testudoLane, testudoSingleLane } from "./commands.ts";
import { EtcdCluster, etcdVersion } from "./etcd-cluster.ts";
import { etcdGapMs, testudoGapMs } from "./failover.ts";
import { quantile, spread } from "./quantile.ts";
import { TestudoCluster } from "./testudo-cluster.ts";

const isQuick = process.argv.includes("--quick");
const only = process.argv.find((flag) => flag.startsWith("--only="))?.slice("--only=".length) ?? "all";
if (!["all", "load", "kill"].includes(only)) {
  process.stderr.write(`option only: "${only}"; allowed are load and kill\n`);
  process.exit(2);
}
const rounds = isQuick ? 1 : 5;
const measureMs = isQuick ? 1_000 : 3_000;
/** A server that has run for a while is compiled to the end; one that has just started is several times slower. */
const warmUpCommands = isQuick ? 2_000 : 60_000;
const warmUpMsMax = isQuick ? 1_000 : 20_000;
const leaderKills = isQuick ? 2 : 10;
const attachedKills = isQuick ? 2 : 10;

const write = (line: string): void => void process.stdout.write(`${line}\n`);

function range(values: readonly number[], digits: number, unit = ""): string {
  const { min, median, max } = spread(values);
  return `${min.toFixed(digits)} / ${median.toFixed(digits)} / ${max.toFixed(digits)}${unit}`;
}

type Lanes = Readonly<Record<"testudoMany" | "testudoFew" | "testudoOne", Lane>> & {
  readonly etcd: Readonly<Record<"many" | "one", Lane>> | null;
};

async function openLanes(testudo: TestudoCluster, etcd: EtcdCluster | null): Promise<Lanes> {
  const rooms = await testudo.roomPerGroup();
  return {
    testudoMany: await testudoLane(testudo, rooms, { connections: 256, inFlight: 1 }),
    testudoFew: await testudoLane(testudo, rooms, { connections: 16, inFlight: 16 }),
    testudoOne: await testudoSingleLane(testudo, rooms),
    etcd:
      etcd === null
        ? null
        : {
            many: await etcdLane(etcd, { connections: 16, inFlight: 16 }),
            one: await etcdLane(etcd, { connections: 1, inFlight: 1 }),
          },
  };
}

const allOf = ({ testudoMany, testudoFew, testudoOne, etcd }: Lanes): Lane[] => [
  testudoMany,
  testudoFew,
  testudoOne,
  ...(etcd === null ? [] : [etcd.many, etcd.one]),
];

async function warmUp(lane: Lane): Promise<void> {
  const untilMs = performance.now() + warmUpMsMax;
  for (let commands = 0; commands < warmUpCommands && performance.now() < untilMs; ) {
    const { perSecond } = await lane.measure(1_000);
    commands += perSecond;
  }
}

/** Every lane once a round, one after the other: what disturbs the machine disturbs them all. */
async function measureLoads(lanes: Lanes): Promise<Map<Lane, Load[]>> {
  const loads = new Map<Lane, Load[]>(allOf(lanes).map((lane) => [lane, []]));
  for (const lane of [lanes.testudoMany, lanes.testudoFew, lanes.etcd?.many]) if (lane) await warmUp(lane);
  for (let round = 0; round < rounds; round++) {
    for (const [lane, measured] of loads) {
      await sleep(200);
      measured.push(await lane.measure(measureMs));
    }
  }
  return loads;
}

function printLoads(lanes: Lanes, loads: Map<Lane, Load[]>): void {
  write(`\nunder load: ${rounds} rounds of ${measureMs / 1000} s, min / median / max`);
  for (const [lane, measured] of loads) {
    const rate = range(
      measured.map(({ perSecond }) => perSecond),
      0,
      "/s",
    );
    const p50 = range(
      measured.map(({ p50Ms }) => p50Ms),
      2,
      " ms",
    );
    const cpu = range(
      measured.map(({ nodesCpuUs }) => nodesCpuUs),
      0,
      " µs",
    );
    const load = range(
      measured.map(({ loadCpuUs }) => loadCpuUs),
      0,
      " µs",
    );
    write(
      `  ${lane.name.padEnd(18)} ${rate.padEnd(24)} p50 ${p50.padEnd(26)} CPU a command: nodes ${cpu.padEnd(20)} load ${load}`,
    );
  }
  const { etcd, testudoMany, testudoFew, testudoOne } = lanes;
  if (etcd === null) return;
  const ratio = (lane: Lane, peer: Lane, figure: (load: Load) => number) =>
    range(
      (loads.get(lane) ?? []).map((load, round) => figure(load) / figure(loads.get(peer)?.[round] as Load)),
      2,
    );
  write("\nTestudo / etcd, of each round");
  write(
    `  P1a  commands a second, 256 × 1 / etcd's best      ${ratio(testudoMany, etcd.many, (load) => load.perSecond)}   goal ≥ 5`,
  );
  write(
    `  P1b  commands a second, 16 × 16 / etcd's best      ${ratio(testudoFew, etcd.many, (load) => load.perSecond)}   goal ≥ 10`,
  );
  write(
    `  P1c  CPU of three nodes a command, 256 × 1         ${ratio(testudoMany, etcd.many, (load) => load.nodesCpuUs)}   goal ≤ 0.5`,
  );
  write(
    `  P2   p50, one command in flight, at the leader     ${ratio(testudoOne, etcd.one, (load) => load.p50Ms)}   goal ≤ 0.6`,
  );
}

async function measureKills(testudo: TestudoCluster, etcd: EtcdCluster | null): Promise<void> {
  const [roomId] = await testudo.roomPerGroup();
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let kill = 0; kill < leaderKills; kill++) {
    ours.push(await testudoGapMs(testudo, roomId as string));
    if (etcd !== null && kill < Math.ceil(leaderKills / 2)) theirs.push(await etcdGapMs(etcd));
  }
  const p = (values: readonly number[], part: number) =>
    quantile(
      [...values].sort((a, b) => a - b),
      part,
    );
  const shown = (values: readonly number[]) =>
    `p50 ${p(values, 0.5).toFixed(0)} ms, p99 ${p(values, 0.99).toFixed(0)} ms (${values.length} kills: ${range(values, 0, " ms")})`;
  write("\nP4   kill -9 of the leader until the next command is committed");
  write(`  Testudo            ${shown(ours)}   goal p99 ≤ 150 ms`);
  if (etcd !== null) {
    write(`  etcd               ${shown(theirs)}`);
    write(`  Testudo / etcd     p50 ${(p(ours, 0.5) / p(theirs, 0.5)).toFixed(3)}   goal ≤ 0.05`);
  }
  const { gapsMs, sent, lost, doubled } = await measureAttachment(testudo, attachedKills);
  write("\nP5   kill -9 of the node that a wrapper client is attached to until its next patch");
  write(`  Testudo            ${shown(gapsMs)}   goal p99 ≤ 250 ms`);
  write(`  of ${sent} commands    ${lost} acknowledged and lost, ${doubled} applied twice   goal 0, 0`);
}

async function bench(): Promise<void> {
  const version = etcdVersion();
  if (version === null) {
    write("etcd is not installed, so there are no ratios: on Debian, apt-get install etcd-server");
  } else {
    write(
      `etcd ${version}: three members, its own defaults (fsync on), KV.Put of 32 bytes by gRPC to the leader over 16`,
    );
    write("connections of 16 in flight, from a client as light as the one for Testudo.");
  }
  write("Testudo: three nodes, fsync on, one room in each of 4 groups, clients spread over nodes and rooms.");
  const testudo = await TestudoCluster.make([]);
  const etcd = version === null ? null : await EtcdCluster.make();
  let lanes: Lanes | null = null;
  const clearAway = (): void => {
    testudo.killAll();
    etcd?.killAll();
    for (const lane of lanes === null ? [] : allOf(lanes)) lane.kill();
  };
  process.once("exit", clearAway);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  await Promise.all([testudo.start(), etcd?.start()]);
  if (only !== "kill") {
    lanes = await openLanes(testudo, etcd);
    printLoads(lanes, await measureLoads(lanes));
    for (const lane of allOf(lanes)) await lane.end();
    lanes = null;
  }
  if (only !== "load") await measureKills(testudo, etcd);
  await Promise.all([testudo.stop(), etcd?.stop()]);
}

bench().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
