import { type Client, Room, validate } from "@colyseus/core";
import { type SchemaType, schema, t } from "@colyseus/schema";
import { z } from "zod";

const StrictState = schema({ count: t.uint32().default(0) }, "StrictState");
type StrictState = SchemaType<typeof StrictState>;

const addSchema = z.object({ by: z.number().int().min(1).max(10) });
const joinSchema = z.object({ level: z.number().int().min(1).max(3) });

/** A small room with narrow limits, which counts what was let through. */
export class StrictRoom extends Room<{ state: StrictState }> {
  override state = new StrictState();
  override maxClients = 2;
  override maxMessagesPerSecond = 30;

  override messages = {
    add: validate(addSchema, (_client, { by }) => this.add(by)),
    count: () => this.state.count,
    text: (_client: Client, text: string) => text.length,
  };

  override onCreate(): void {
    // A clock that goes on, so that seats expire.
    this.setTimestep(() => {}, 50);
  }

  override onJoin(_client: Client, options: unknown): void {
    joinSchema.parse(options);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 20);
  }

  private add(by: number): number {
    this.state.count += by;
    return this.state.count;
  }
}

/** Whoever does not take a seat of it at once has none: only where that is what is looked at, as a busy machine is slow too. */
export class FleetingRoom extends StrictRoom {
  override seatReservationTimeout = 1;
}
