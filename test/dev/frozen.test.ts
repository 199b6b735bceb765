// test-run: seconds=60
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Client } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { freePort } from "../cluster/spawned.ts";

const preload = new URL("../../server/colyseus/register.ts", import.meta.url).href;
const main = new URL("./frozen-main.ts", import.meta.url).pathname;
/** Longer than the watchdog's limit for room code, and than any election timeout. */
const frozenMs = 6_000;

test("[P7] a process in memory that stood still goes on where it was: no election, no client lost, no storm of steps", async () => {
  const port = await freePort();
  const child = spawn(process.execPath, ["--import", preload, main], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TEST_PORT: String(port) },
  });
  const events: { event?: string; term?: number; msg: string }[] = [];
  const lines = createInterface({ input: child.stdout });
  const serving = new Promise<void>((resolve) => {
    lines.on("line", (line) => {
      if (!line.startsWith("{")) return;
      const told = JSON.parse(line);
      events.push(told);
      if (told.msg.includes("is serving")) resolve();
    });
  });
  try {
    await serving;
    assert.ok(events.some(({ event, msg }) => event === "in-memory" && msg.includes("nothing outlives")));
    const client = new Client(`http://localhost:${port}`);
    const room = await retried(() => client.joinOrCreate<{ count: number; steps: number }>("counter"));
    let drops = 0;
    room.onDrop(() => {
      drops += 1;
    });
    room.onLeave(() => {
      drops += 1;
    });
    room.onMessage("added", () => {});
    const next = () => new Promise<void>((resolve) => room.onStateChange.once(() => resolve()));
    for (let patches = 0; patches < 5; patches++) await next();
    const leaders = () => events.filter(({ event }) => event === "leader").length;
    const electedBefore = leaders();
    const { steps } = room.state;
    child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, frozenMs));
    child.kill("SIGCONT");
    await next();
    await next();
    // What was on its way when it stopped, at most 3 steps for the time that it stood, and those of the two patches.
    assert.ok(room.state.steps - steps <= 12, `${room.state.steps - steps} steps`);
    const told = new Promise<number>((resolve) => room.onMessage("added", resolve));
    room.send("add", 2);
    assert.is(await told, 2);
    assert.is(leaders(), electedBefore);
    assert.is(drops, 0);
    assert.is(child.exitCode, null);
    await room.leave();
  } finally {
    child.kill("SIGKILL");
  }
});

/** The port listens a moment after the node serves. */
async function retried<T>(act: () => Promise<T>): Promise<T> {
  for (let left = 50; ; left--) {
    try {
      return await act();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

test.run();
