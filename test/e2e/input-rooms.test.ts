// test-run: seconds=200
import { Client, type InputHandle, Predict, type Reconciler, type Room } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Client as FailoverClient } from "../../client/testudo-client.ts";
import { type Car, drive } from "./car.ts";
import { type Cluster, unhurried, until, withCluster } from "./cluster.ts";

interface CarView extends Car {
  readonly inputs: number;
  readonly last: number;
  readonly repeated: number;
  readonly seenAt: number;
  readonly seenX: number;
  readonly rewound: number;
  readonly wrongly: number;
}
interface Race {
  readonly cars: Map<string, CarView>;
}
interface Stick {
  number: number;
  thrust: number;
}
type RaceRoom = Room<unknown, Race>;

const stepMs = 50;

/** A player with the SDK's own prediction, who sends an input a step. */
class Driver {
  readonly room: RaceRoom;
  readonly stick: InputHandle<Stick>;
  readonly me: Reconciler<CarView, Stick>;
  readonly #predict: Predict;
  /** What `send` has said to be on its way. */
  sent = 0;
  /** Of these, what was not acknowledged as it began anew with another connection. */
  pendingAtReset = 0;
  #steps = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(room: RaceRoom) {
    this.room = room;
    this.stick = room.input<Stick>();
    this.#predict = Predict.get(room as Room);
    this.me = this.#predict.reconciler(this.car, {
      input: this.stick,
      fields: ["x", "v"],
      step: (context, car, input) => drive(context, car, input),
    }) as never;
    const { reset } = this.stick;
    this.stick.reset = () => {
      this.pendingAtReset += this.stick.pendingCount;
      reset.call(this.stick);
    };
  }

  static async of(room: RaceRoom): Promise<Driver> {
    await until("the car is there", () => room.state?.cars?.get(room.sessionId) !== undefined);
    return new Driver(room);
  }

  get car(): CarView {
    const car = this.room.state.cars.get(this.room.sessionId);
    if (car === undefined) throw new Error(`${this.room.sessionId} has no car`);
    return car;
  }

  begin(): void {
    this.#timer = setInterval(() => {
      this.#predict.tick(performance.now());
      this.#steps++;
      this.stick.data.number = this.#steps;
      this.stick.data.thrust = this.#steps % 7 < 4 ? 3 : -2;
      if (this.stick.send() > 0) this.sent++;
    }, stepMs);
  }

  end(): void {
    clearInterval(this.#timer);
    this.room.reconnection.enabled = false;
  }

  /** No more inputs: everything that was sent is acknowledged. */
  async halt(): Promise<void> {
    this.end();
    await until("all inputs are acknowledged", () => this.stick.pendingCount === 0);
    await until("the patch of the last one has come", () => {
      this.#predict.tick(performance.now());
      return Math.abs(this.me.state.x - this.car.x) < 1e-9;
    });
  }
}

/** Every replica's, as the one that a client is attached to tells it. */
const view = (state: Race): string =>
  JSON.stringify(
    [...state.cars.entries()].map(([id, { x, v, inputs, seenAt, seenX }]) => [
      id,
      x,
      v,
      inputs,
      seenAt,
      seenX,
    ]),
  );

/** The stock SDK goes back to the same address by itself; here another one is told. */
function goesTo(room: RaceRoom, url: string): void {
  room.reconnection.minUptime = 0;
  room.reconnection.maxRetries = 100;
  room.reconnection.maxDelay = 200;
  room.onDrop(() => {
    room.connection.url = room.connection.url?.replace(/^ws:\/\/[^/]+/, url.replace(/^http/, "ws")) ?? "";
  });
}

async function race(cluster: Cluster): Promise<Driver[]> {
  const [n1, n2, n3] = cluster.urls as [string, string, string];
  const one = (await new Client(n1).create("racer")) as RaceRoom;
  goesTo(one, n3);
  const other = (await new Client(n2).joinById(one.roomId)) as RaceRoom;
  goesTo(other, n3);
  const wrapped = (await new FailoverClient([n1, n3]).joinById(one.roomId)) as unknown as RaceRoom;
  return await Promise.all([one, other, wrapped].map((room) => Driver.of(room)));
}

/** Through the end of n1, on which two of them are, and until it has come back. */
async function goOn(
  cluster: Cluster,
  drivers: readonly Driver[],
  ends: () => Promise<unknown>,
): Promise<void> {
  const [one, other, wrapped] = drivers as [Driver, Driver, Driver];
  await until("inputs flow", () => drivers.every(({ car }) => car.inputs > 10));
  await until("the room looks back", () => drivers.every(({ car }) => car.rewound > 5));
  const [goneOn, { seenAt }] = [other.car.inputs, other.car];
  const rewound = drivers.map(({ car }) => car.rewound);
  assert.ok(seenAt > 0, "the SDK's stamps say when it saw the others");
  await ends();
  await until("the two go on at another node", () =>
    [one, wrapped].every(({ stick }) => stick.epoch > 0 && stick.lastProcessed > 10),
  );
  cluster.launch("n1");
  await until("the third one goes on, too", () => other.car.inputs > goneOn + 10);
  assert.ok(other.car.seenAt > seenAt && one.car.seenAt > seenAt);
  await until("the room looks back where its cars were, on whichever node they are now", () =>
    drivers.every(({ car }, at) => car.rewound > (rewound[at] ?? 0) + 5),
  );
  await cluster.ready();
  await Promise.all(drivers.map((driver) => driver.halt()));
}

/** @param ends n1 */
async function through(ends: (cluster: Cluster) => Promise<unknown>): Promise<readonly Driver[]> {
  let raced: readonly Driver[] = [];
  await withCluster({ main: "test/e2e/input-rooms-main.ts", args: unhurried }, async (cluster) => {
    const drivers = await race(cluster);
    raced = drivers;
    for (const driver of drivers) driver.begin();
    const rooms = drivers.map(({ room }) => room);
    try {
      await goOn(cluster, drivers, () => ends(cluster));
      const late = (await new Client(cluster.url("n1")).joinById(rooms[0]?.roomId ?? "")) as RaceRoom;
      // First: it may have no state yet.
      rooms.unshift(late);
      await until("all see the same, on the node that has come back, too", () =>
        rooms.every(({ state }) => state?.cars?.size === 4 && view(state) === view(late.state)),
      );
    } finally {
      for (const driver of drivers) driver.end();
      await Promise.all(rooms.map((room) => room.leave()));
    }
    for (const [at, { car, stick }] of drivers.entries()) {
      assert.is(car.repeated, 0, `driver ${at}`);
      assert.is(car.wrongly, 0, `driver ${at} saw the first one where it had not been`);
      assert.is(stick.lastProcessed, stick.sentCount, `driver ${at}`);
    }
    assert.equal(cluster.linesLike(/diverge|differ/i), []);
  });
  return raced;
}

test("[Y84, Y186] inputs are taken once, predicted and acknowledged, through the death of a node", async () => {
  const drivers = await through((cluster) => cluster.kill("n1"));
  for (const [at, { car, sent, pendingAtReset }] of drivers.entries()) {
    const lost = sent - car.inputs;
    // Of who was elsewhere nothing is lost; of the others what was on its way.
    assert.ok(lost >= 0 && lost <= pendingAtReset, `driver ${at}: ${lost} lost of ${pendingAtReset}`);
  }
});

test("[W29, Y160] while their node is drained, too: the stock SDK loses at most what is on its way, the wrapper nothing", async () => {
  const drivers = await through(async (cluster) => {
    assert.equal(await cluster.process("n1").end("SIGTERM"), { code: 0, signal: null });
  });
  const losses = drivers.map(({ car, sent, pendingAtReset }) => ({
    lost: sent - car.inputs,
    pendingAtReset,
  }));
  process.stdout.write(
    `inputs lost by a stock client, one elsewhere, a wrapper: ${JSON.stringify(losses)}\n`,
  );
  for (const { lost, pendingAtReset } of losses) assert.ok(lost >= 0 && lost <= pendingAtReset);
});

test.run();
