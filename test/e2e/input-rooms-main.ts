/** One node with a room whose cars are driven by inputs, as Colyseus's documentation has it. */
import { type Client, defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, testudo } from "../../server/index.ts";
import { type Car, drive } from "./car.ts";

const Stick = schema({ number: t.number(), thrust: t.number() }, "Stick");
const CarState = schema(
  {
    x: t.float64().default(0),
    v: t.float64().default(0),
    inputs: t.number().default(0),
    last: t.number().default(0),
    repeated: t.number().default(0),
    /** When it saw the others, and where the first of them was then. */
    seenAt: t.number().default(0),
    seenX: t.float64().default(0),
    /** How often that was where it had been, by the room's own account, and not where it is now; how often it was not. */
    rewound: t.number().default(0),
    wrongly: t.number().default(0),
  },
  "CarState",
);
const Race = schema({ cars: t.map(CarState) }, "Race");

class RacerRoom extends Room<{ state: InstanceType<typeof Race>; input: InstanceType<typeof Stick> }> {
  override state = new Race();
  /** Where the first car was at each patch: time and place, the last ones. */
  trail: [atMs: number, x: number][] = [];
  override inputs = this.defineInput(Stick, { sanitize: { thrust: [-4, 4] } });

  override onCreate(): void {
    const rewind = this.allowRewindState({ maxRewindMs: 500 }).attachAll(this.state.cars, { fields: ["x"] });
    this.setFixedTimestep(
      (context) => {
        for (const [sessionId, car] of this.state.cars) {
          for (const input of this.inputs.get(sessionId)) {
            drive(context, car as unknown as Car, input);
            car.inputs++;
            if (input.number <= car.last) car.repeated++;
            car.last = input.number;
            const seen = rewind.lastSeenBy(sessionId);
            const [first] = this.state.cars.values();
            car.seenAt = seen.time;
            if (first === undefined) continue;
            car.seenX = seen.value(first, "x");
            const wasAt = this.whereAt(seen.time);
            if (wasAt === null) continue;
            if (Math.abs(car.seenX - wasAt) > 1e-6) car.wrongly++;
            else if (Math.abs(car.seenX - first.x) > 1e-6) car.rewound++;
          }
        }
      },
      20,
      { subSteps: 4 },
    );
  }
  override onBeforePatch(): void {
    const [first] = this.state.cars.values();
    if (first === undefined) return;
    this.trail.push([this.clock.elapsedTime, first.x]);
    if (this.trail.length > 60) this.trail.shift();
  }
  /** Between two patches it was on a straight line, as its clients saw it. */
  whereAt(atMs: number): number | null {
    const next = this.trail.findIndex(([time]) => time >= atMs);
    const [before, after] = [this.trail[next - 1], this.trail[next]];
    if (before === undefined || after === undefined) return null;
    return before[1] + ((after[1] - before[1]) * (atMs - before[0])) / (after[0] - before[0]);
  }
  override onJoin({ sessionId }: Client): void {
    this.state.cars.set(sessionId, new CarState());
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
  override onLeave({ sessionId }: Client): void {
    this.state.cars.delete(sessionId);
  }
}

const server = defineServer({ ...testudo(), rooms: { racer: defineRoom(replicated(RacerRoom)) } });
await server.listen(undefined as never);
