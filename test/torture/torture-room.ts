import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { z } from "zod";
import type { RegisterOutput } from "../linearizability/register-model.ts";

const TortureState = schema({ adds: t.map("number"), clockMs: t.number().default(0) }, "TortureState");

const key = z.string().min(1).max(64);
const value = z.string().max(64);
const put = z.object({ key, value });
const cas = z.object({ key, expected: value.nullable(), value });

/** How long a seat waits for its player: longer than any outage here. */
const keepSeconds = 120;
/** Registers are for a while: older generations of keys go, so that the room stays small. */
const keysMax = 2_000;

/** A room whose every answer can be checked: a counter for each seat, and registers with compare-and-set. */
export class TortureRoom extends Room<{ state: InstanceType<typeof TortureState> }> {
  override state = new TortureState();
  override maxClients = 100;
  override patchRate = 200;
  readonly registers = new Map<string, string>();

  override messages = {
    add: (client: Client): number => {
      const count = (this.state.adds.get(client.sessionId) ?? 0) + 1;
      this.state.adds.set(client.sessionId, count);
      return count;
    },
    get: (_: Client, given: unknown): RegisterOutput => ({ value: this.registerAt(key.parse(given)) }),
    put: (_: Client, given: unknown): RegisterOutput => {
      const wanted = put.parse(given);
      const before = this.registerAt(wanted.key);
      this.setRegister(wanted.key, wanted.value);
      return { value: before };
    },
    cas: (_: Client, given: unknown): RegisterOutput => {
      const wanted = cas.parse(given);
      const before = this.registerAt(wanted.key);
      const swapped = before === wanted.expected;
      if (swapped) this.setRegister(wanted.key, wanted.value);
      return { value: before, swapped };
    },
    counts: (): Record<string, number> => Object.fromEntries(this.state.adds.entries()),
  };

  override onCreate(): void {
    this.setTimestep((deltaMs) => {
      this.state.clockMs += deltaMs;
    }, 100);
  }

  override onJoin(client: Client): void {
    this.state.adds.set(client.sessionId, 0);
  }

  override onDrop(client: Client): void {
    // Not awaited, so that the room stays at rest meanwhile.
    this.allowReconnection(client, keepSeconds);
  }

  private registerAt(at: string): string | null {
    return this.registers.get(at) ?? null;
  }

  private setRegister(at: string, value: string): void {
    this.registers.delete(at);
    this.registers.set(at, value);
    if (this.registers.size <= keysMax) return;
    const oldest = this.registers.keys().next();
    if (!oldest.done) this.registers.delete(oldest.value);
  }
}
