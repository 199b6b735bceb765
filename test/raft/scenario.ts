import type { Entry } from "../../server/raft/entry.ts";
import { type RaftOptions, raftDefaults } from "../../server/raft/raft-options.ts";
import { type Packet, RaftCluster } from "./raft-cluster.ts";
import { ScenarioWatch } from "./scenario-watch.ts";
import { messageWords } from "./scenario-words.ts";

/*
 * A scenario is a text: what is done, one step a line, and indented under each step what happens. `#` begins a comment.
 *
 *   cluster n1 n2 n3 [learner n4] [spare n5] [with appendEntriesMax=1 …]     first of all; a spare is no member yet
 *   n1 has log 1 1 2 [term 3] [vote n2] [commit 2]                  on its disk at the start: the terms of its entries
 *   n1 times out                   time passes for n1 alone, until it does something
 *   n1 sleeps 300 ms               its clock goes on, and only then does it look at it
 *   n1 is elected                  … and everything settles
 *   n1 proposes a b
 *   deliver [n1 → n2] [requestVote]     what is under way now, in its order; not what arises from it
 *   lose [n1 → n2] [requestVote]        … is lost
 *   double [n1 → n2] [requestVote]      … arrives once more, later
 *   settle                         deliver and save until nothing is under way
 *   slow disk n1, fast disk n1     saves land by themselves at once, or only by: save n1
 *   stalled disk n1, moving disk n1     what its node says of it, when a save takes too long
 *   n1 steps down                  as its node tells it
 *   cut n1 – n2, isolate n1, heal  what is delivered over a cut is lost
 *   close n1 – n2, open n1 – n2    the link between them
 *   crash n1 [silently], restart n1     silently: its links stay open
 *   empty disk n1                  while it is down: it comes back as another member
 *   n1 hands over to n2
 *   n1 changes the members to n1 n2 n4 [learner n5]
 *   n1 reads [by its lease]        a linearizable read begins
 *   compact n1 [but 2]             what is applied goes into a checkpoint (but for the last 2)
 *   heartbeats                     leaders and followers hear that the others are there
 *   wait 200 ms                    all clocks go on; nothing is delivered
 *   run 200 ms                     … with heartbeats, and everything is delivered
 *   show [n1]
 *   quietly …                      any of these, without telling what happens
 *
 * `[3 t2 a]` is the entry at index 3, of term 2, with the command "a".
 */

type Step = (arguments_: string[]) => void;

const bytesOf = (text: string) => new TextEncoder().encode(text);
const tickMs = 10;
const timeOutMsMax = 10_000;
const roundsMax = 1_000;

/** Runs a scenario; gives its text with what really happens under each step. */
export function runScenario(text: string): string {
  const scenario = new Scenario();
  const lines = text.split("\n").filter((line) => !/^\s+\S/.test(line));
  return `${lines
    .flatMap((line) => (line === "" || line.startsWith("#") ? [line] : [line, ...scenario.run(line)]))
    .join("\n")
    .trimEnd()}\n`;
}

class Scenario {
  #cluster: RaftCluster | null = null;
  #watch: ScenarioWatch | null = null;
  #isStarted = false;
  readonly #slow = new Set<string>();
  #lines: string[] = [];
  #depth = 1;

  readonly #steps: readonly (readonly [RegExp, Step])[] = [
    [
      /^(\w+) has log ([\d ]*?)(?:,? term (\d+))?(?:,? vote (\w+))?(?:,? commit (\d+))?$/,
      (a) => this.#disk(a),
    ],
    [/^(\w+) times out$/, ([id]) => this.#timesOut(id as string)],
    [/^(\w+) sleeps (\d+) ms$/, ([id, ms]) => this.#sleep(id as string, Number(ms))],
    [/^(\w+) is elected$/, ([id]) => this.#elect(id as string)],
    [/^(\w+) proposes (.+)$/, ([id, what]) => this.#propose(id as string, what as string)],
    [
      /^(deliver|lose|double)(?: (\w+) → (\w+))?(?: (\w+))?$/,
      ([verb, ...which]) => this.#packets(verb as string, which),
    ],
    [/^settle$/, () => this.#settle()],
    [/^(slow|fast) disk (\w+)$/, ([speed, id]) => this.#speed(speed as string, id as string)],
    [
      /^(stalled|moving) disk (\w+)$/,
      ([how, id]) => this.#up.step(id as string, { type: how === "stalled" ? "diskStalled" : "diskMoves" }),
    ],
    [/^(\w+) steps down$/, ([id]) => this.#up.step(id as string, { type: "stepDown" })],
    [/^save (\w+)$/, ([id]) => this.#save(id as string)],
    [/^cut (\w+) – (\w+)$/, ([a, b]) => this.#up.cut(a as string, b as string)],
    [/^isolate (\w+)$/, ([id]) => this.#up.isolate(id as string)],
    [/^heal$/, () => this.#up.heal()],
    [/^close (\w+) – (\w+)$/, ([a, b]) => this.#up.linkDown(a as string, b as string)],
    [/^open (\w+) – (\w+)$/, ([a, b]) => this.#up.linkUp(a as string, b as string)],
    [
      /^crash (\w+)( silently)?$/,
      ([id, silent]) => this.#up.crash(id as string, { silent: silent !== undefined }),
    ],
    [/^empty disk (\w+)$/, ([id]) => this.#emptyDisk(id as string)],
    [/^restart (\w+)$/, ([id]) => this.#up.start(id as string)],
    [
      /^(\w+) hands over to (\w+)$/,
      ([id, to]) => this.#up.step(id as string, { type: "transferLeader", to: to as string }),
    ],
    [/^(\w+) changes the members to ([\w ]+)$/, ([id, wish]) => this.#change(id as string, wish as string)],
    [/^(\w+) reads( by its lease)?$/, ([id, lease]) => this.#read(id as string, lease !== undefined)],
    [/^compact (\w+)(?: but (\d+))?$/, ([id, but]) => this.#up.compact(id as string, Number(but ?? 0))],
    [/^heartbeats$/, () => this.#up.heartbeats()],
    [/^(wait|run) (\d+) ms$/, ([verb, ms]) => this.#pass(Number(ms), verb === "run")],
    [/^show(?: (\w+))?$/, ([id]) => this.#show(id)],
  ];

  /** @throws Error on a line that is no step, or that cannot be done */
  run(line: string): readonly string[] {
    this.#lines = [];
    this.#depth = 1;
    try {
      if (line.startsWith("cluster ")) this.#found(line);
      else this.#run(line);
    } catch (error) {
      throw new Error(`${line}: ${(error as Error).message}`, { cause: error });
    }
    return this.#lines;
  }

  #run(line: string): void {
    if (line.startsWith("quietly ")) {
      this.#run(line.slice("quietly ".length));
      this.#lines = [];
      return;
    }
    for (const [pattern, step] of this.#steps) {
      const match = pattern.exec(line);
      if (match === null) continue;
      const isSetUp = line.includes(" has log ");
      if (!isSetUp) this.#start();
      this.#attempt(() => step(match.slice(1)));
      if (!isSetUp) this.#look();
      return;
    }
    throw new Error(`a scenario has no step like "${line}"`);
  }

  /** Where the engine ends the process, the scenario says why. */
  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      if ((error as Error).name !== "RaftBroken") throw error;
      this.#say(`the process ends: ${(error as Error).message}`);
    }
  }

  get #up(): RaftCluster {
    if (this.#cluster === null) throw new Error("a scenario begins with its cluster");
    return this.#cluster;
  }

  #say(...lines: string[]): void {
    this.#lines.push(...lines.map((line) => "  ".repeat(this.#depth) + line));
  }

  /** Tells what has changed, and lets fast disks do their work. */
  #look(): void {
    const { nodes } = this.#up;
    this.#say(...this.#changes());
    for (const { id, writes } of nodes.values())
      while (!this.#slow.has(id) && writes.length > 0 && this.#up.node(id).raft !== null) this.#save(id);
  }

  #changes(): string[] {
    return this.#watch?.look() ?? [];
  }

  // ── setting up ───────────────────────────────────────────────────────────────────────────────────────────────────

  #found(line: string): void {
    const match = /^cluster ((?:\w+ ?)+?)(?: with (.+))?$/.exec(line);
    if (match === null) throw new Error(`"${line}" founds no cluster`);
    const { voters, learner, spare } = groupsOf(match[1] as string);
    this.#cluster = new RaftCluster({ voters, learners: learner, ...optionsOf(match[2]) });
    for (const id of spare) this.#cluster.add(id);
    for (const id of this.#cluster.nodes.keys()) this.#cluster.crash(id, { silent: true });
  }

  #disk([id, terms, term, vote, commit]: (string | undefined)[]): void {
    if (this.#isStarted) throw new Error("a disk is given what it has before anything happens");
    const node = this.#up.node(id as string);
    const entries: Entry[] = (terms as string)
      .split(" ")
      .filter((word) => word !== "")
      .map((word, at) => ({
        index: at + 1,
        term: Number(word),
        type: "command",
        logTimeMs: 0,
        wallTimeMs: 0,
        data: new Uint8Array(0),
      }));
    this.#up.laws.appended(entries);
    node.disk.entries = entries;
    node.disk.hardState = {
      term: Number(term ?? entries.at(-1)?.term ?? 0),
      votedFor: vote === undefined ? null : this.#up.node(vote).self,
      commitIndex: Number(commit ?? 0),
    };
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const cluster = this.#up;
    for (const id of cluster.nodes.keys()) cluster.start(id);
    this.#watch = new ScenarioWatch(cluster);
    this.#watch.look();
  }

  // ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #timesOut(id: string): void {
    const { length } = this.#lines;
    for (let passedMs = 0; passedMs < timeOutMsMax; passedMs += tickMs) {
      this.#up.tickFor(id, tickMs);
      this.#look();
      if (this.#lines.length > length) return;
    }
    throw new Error(`nothing happens to ${id} in ${timeOutMsMax} ms`);
  }

  #sleep(id: string, ms: number): void {
    this.#up.nowMs += ms;
    this.#up.step(id, { type: "tick" });
  }

  #elect(id: string): void {
    this.#timesOut(id);
    this.#settle();
    if (this.#up.raft(id).role !== "leader") throw new Error(`${id} is not elected`);
  }

  #propose(id: string, what: string): void {
    const result = this.#up.raft(id).propose(what.split(" ").map(bytesOf), this.#up.now);
    if (result.type === "notLeader") this.#say(`refused: the leader is ${result.leaderId ?? "not known"}`);
    if (result.type === "refused") this.#say(`refused: ${result.reason}`);
    this.#up.drain(id);
  }

  #change(id: string, wish: string): void {
    const { voters, learner } = groupsOf(wish);
    const result = this.#up.changeMembers(id, voters, learner);
    if (result.type === "refused") this.#say(`refused: ${result.reason}, ${result.message}`);
    else if (result.type !== "appended") this.#say(result.type);
  }

  #read(id: string, byLease: boolean): void {
    if (!byLease) {
      this.#up.read(id);
      return;
    }
    const index = this.#up.raft(id).leaseIndex(this.#up.nowOf(id));
    this.#say(index === null ? "its lease does not hold" : `${id} may answer it as of ${index}`);
  }

  #packets(verb: string, [from, to, type]: (string | undefined)[]): void {
    const cluster = this.#up;
    const matches = (packet: Packet) =>
      (from === undefined || packet.from === from) &&
      (to === undefined || packet.to === to) &&
      (type === undefined || packet.message.type === type);
    const chosen = cluster.packets.filter(matches);
    if (chosen.length === 0)
      throw new Error(`nothing of that kind is under way: ${[verb, from, to, type].join(" ")}`);
    if (verb === "double") {
      cluster.packets.push(...chosen.map((packet) => ({ ...packet })));
      this.#changes();
      return;
    }
    cluster.packets = cluster.packets.filter((packet) => !matches(packet));
    if (verb === "deliver") for (const packet of chosen) this.#deliver(packet);
  }

  #deliver(packet: Packet): void {
    const { from, to, message } = packet;
    const isLost = this.#up.cuts.has(`${from}>${to}`) || this.#up.node(to).raft === null;
    if (isLost) {
      this.#say(`lost: ${message.type} of ${from} to ${to}`);
      return;
    }
    this.#say(`${to} gets from ${from}: ${messageWords(message)}`);
    this.#depth += 1;
    this.#attempt(() => this.#up.deliver(packet));
    this.#look();
    this.#depth -= 1;
  }

  #settle(): void {
    for (let round = 0; round < roundsMax; round++) {
      if (this.#up.packets.length === 0) return;
      for (const packet of this.#up.packets.splice(0)) this.#deliver(packet);
    }
    throw new Error("it never settles");
  }

  #emptyDisk(id: string): void {
    const node = this.#up.node(id);
    if (node.raft !== null) throw new Error(`${id} is running`);
    this.#up.add(id, `${id}-disk-new`);
    this.#up.crash(id);
  }

  #speed(speed: string, id: string): void {
    if (speed === "slow") this.#slow.add(id);
    else this.#slow.delete(id);
  }

  #save(id: string): void {
    if (this.#watch === null) return;
    this.#say(this.#watch.write(id));
    this.#depth += 1;
    this.#up.completeWrite(id);
    this.#say(...this.#changes());
    this.#depth -= 1;
  }

  #pass(ms: number, isRunning: boolean): void {
    for (let passedMs = 0; passedMs < ms; passedMs += tickMs) {
      const cluster = this.#up;
      cluster.nowMs += tickMs;
      cluster.wallMs += tickMs;
      if (isRunning) this.#settle();
      if (isRunning) cluster.heartbeats();
      for (const id of cluster.nodes.keys()) {
        cluster.step(id, { type: "tick" });
        this.#look();
      }
      if (isRunning) this.#settle();
    }
  }

  #show(id: string | undefined): void {
    this.#look();
    for (const node of this.#up.nodes.keys())
      if (id === undefined || id === node) this.#say(...(this.#watch?.show(node) ?? []));
  }
}

/** `n1 n2 learner n3 spare n4`. */
function groupsOf(words: string): { voters: string[]; learner: string[]; spare: string[] } {
  const groups: { voters: string[]; learner: string[]; spare: string[] } = {
    voters: [],
    learner: [],
    spare: [],
  };
  let into = groups.voters;
  for (const word of words.split(" ")) {
    if (word === "learner" || word === "spare") into = groups[word];
    else into.push(word);
  }
  return groups;
}

/** @throws Error on an option that there is not */
function optionsOf(words: string | undefined): Partial<RaftOptions> {
  const pairs = (words?.split(" ") ?? []).map((word) => word.split("=") as [string, string]);
  for (const [name] of pairs)
    if (!Object.hasOwn(raftDefaults, name)) throw new Error(`the core has no option ${name}`);
  return Object.fromEntries(pairs.map(([name, value]) => [name, JSON.parse(value)]));
}
