// test-run: seconds=200
import { Client, type InputHandle, Predict, type Reconciler, type Room } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Client as FailoverClient } from "../../client/testudo-client.ts";
import { type Car, drive } from "./car.ts";
import { type Cluster, until, withCluster } from "./cluster.ts";

interface CarView extends Car {
  readonly inputs: number;
  readonly last: number;
  readonly repeated: number;
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
  /** Of these, what was not acknowledged as the connection ended. */
  pendingAtDrop = 0;
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
    room.onDrop(() => {
      this.pendingAtDrop = this.stick.pendingCount;
    });
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

  /** No more inputs: everything that was sent is acknowledged. */
  async halt(): Promise<void> {
    clearInterval(this.#timer);
    await until("all inputs are acknowledged", () => this.stick.pendingCount === 0);
    await until("the patch of the last one has come", () => {
      this.#predict.tick(performance.now());
      return Math.abs(this.me.state.x - this.car.x) < 1e-9;
    });
  }
}

const isStill = async (drivers: readonly Driver[]) => {
  const views = () =>
    JSON.stringify(
      drivers.map(({ room }) =>
        [...room.state.cars.entries()].map(([id, { x, v, inputs }]) => [id, x, v, inputs]),
      ),
    );
  await until("all see the same", () => {
    const [first, ...others] = JSON.parse(views()) as unknown[];
    return others.every((each) => JSON.stringify(each) === JSON.stringify(first));
  });
};

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
  const wrapped = (await new FailoverClient([n1, n3]).joinById(one.roomId)) as unknown as RaceRoom;
  return await Promise.all([one, other, wrapped].map((room) => Driver.of(room)));
}

test("[Y84] inputs are taken once, predicted and acknowledged, through the death of a node", async () => {
  await withCluster({ main: "test/e2e/input-rooms-main.ts" }, async (cluster) => {
    const drivers = await race(cluster);
    for (const driver of drivers) driver.begin();
    await until("inputs flow", () => drivers.every(({ car }) => car.inputs > 20));
    const [one, other, wrapped] = drivers as [Driver, Driver, Driver];
    const goneOn = other.car.inputs;
    await cluster.kill("n1");
    const sessionIds = [one, wrapped].map(({ room }) => room.sessionId);
    await until("the two go on at another node", () =>
      [one, wrapped].every(
        ({ stick, room }) => !room.reconnection.isReconnecting && stick.epoch > 0 && stick.lastProcessed > 20,
      ),
    );
    assert.equal(
      [one, wrapped].map(({ room }) => room.sessionId),
      sessionIds,
    );
    await until("the third one goes on, too", () => other.car.inputs > goneOn + 20);
    await Promise.all(drivers.map((driver) => driver.halt()));
    await isStill(drivers);
    for (const [at, { car, sent, stick, pendingAtDrop }] of drivers.entries()) {
      const lost = sent - car.inputs;
      assert.is(car.repeated, 0, `driver ${at}`);
      assert.is(stick.lastProcessed, stick.sentCount, `driver ${at}`);
      assert.ok(lost >= 0 && lost <= pendingAtDrop, `driver ${at}: ${lost} lost of ${pendingAtDrop}`);
    }
    assert.is(other.sent, other.car.inputs, "nothing is lost of who was elsewhere");
    assert.equal(cluster.linesLike(/DIVERG|differ/i), []);
    await Promise.all(drivers.map(({ room }) => room.leave()));
  });
});

test.run();
