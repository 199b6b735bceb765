/** A room that is driven by inputs, in every way that Colyseus has to take them. */
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";

export const Stick = schema(
  {
    seq: t.number(),
    thrust: t.number(),
    steer: t.quantized({ min: -1, max: 1, bits: 8 }),
    honk: t.boolean(),
    gear: t.string(),
  },
  "Stick",
);
export type StickInput = InstanceType<typeof Stick>;

const Car = schema({ x: t.number().default(0), inputs: t.number().default(0) }, "Car");
const Race = schema({ cars: t.map(Car) }, "Race");

export type Taking = "loop" | "next" | "idle" | "take" | "drain" | "latest" | "abandoned";

export class RacerRoom extends Room<{ state: InstanceType<typeof Race>; input: StickInput }> {
  override state = new Race();
  override inputs = this.defineInput(Stick, {
    bufferMaxSize: 8,
    sanitize: { thrust: [-10, 10] },
    idle: ({ latest, sessionId }) =>
      sessionId.endsWith("x") ? true : { thrust: (latest?.thrust ?? 0) / 2, gear: "idle" },
  });
  /** What the steps took, in words. */
  taken: string[] = [];
  taking: Taking = "loop";
  /** As game code may: what `get` gave, past and present, and inputs beyond their step. */
  seats: object[] = [];
  held: unknown[] = [];

  override onCreate({ taking = "loop" }: { taking?: Taking }): void {
    this.autoDispose = false;
    this.taking = taking;
    this.setFixedTimestep(() => this.step(), 20, { subSteps: 2 });
    this.onMessage("take", (_client, how: Taking) => {
      this.taking = how;
    });
    this.onMessage("clear", (client) => this.inputs.get(client.sessionId).clear());
    this.onMessage("forget", () => {
      this.seats = [];
      this.held = [];
    });
  }

  override onJoin({ sessionId }: Client): void {
    this.state.cars.set(sessionId, new Car());
    this.seats.push(this.inputs.get(sessionId));
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 20);
  }
  override onLeave({ sessionId }: Client): void {
    this.state.cars.delete(sessionId);
  }

  step(): void {
    for (const sessionId of this.state.cars.keys()) {
      for (const stick of this.take(sessionId)) if (stick !== undefined) this.drive(sessionId, stick);
    }
  }

  take(sessionId: string): Iterable<StickInput | undefined> {
    const inputs = this.inputs.get(sessionId);
    switch (this.taking) {
      case "next":
        return [inputs.next({ idle: false })];
      case "idle":
        return [inputs.next()];
      case "take":
        return inputs.take(2);
      case "drain": {
        const all = inputs.drain();
        this.held = [all, inputs.latest];
        return all;
      }
      case "latest":
        return [inputs.latest];
      case "abandoned":
        return [inputs.consume().next().value as StickInput | undefined];
      default:
        return inputs;
    }
  }

  drive(sessionId: string, { thrust, steer, honk, gear, seq }: StickInput): void {
    const inputs = this.inputs.get(sessionId);
    const car = this.state.cars.get(sessionId);
    if (car === undefined) return;
    car.x += thrust * (1 + steer);
    car.inputs = inputs.consumedCount;
    const { size, wasIdle, renderTime } = inputs;
    this.taken.push(
      [sessionId, seq, thrust, steer, honk, gear, inputs.consumedCount, size, wasIdle, renderTime].join(),
    );
    if (this.taken.length > 50) this.taken.shift();
  }
}
