// test-run: seconds=60 node=--import=./server/colyseus/register.ts
/** Who comes back, as every player does whose node has died, sees the room as it is. */
import { type Client, Room } from "@colyseus/core";
import { StateView, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";
import { StateFollower } from "./state-follower.ts";

const Piece = schema({ name: t.string(), carries: t.string().optional() }, "ReturningPiece");
const board = {
  pieces: t.map(Piece),
  chosen: t.ref(Piece).optional(),
  winner: t.string().optional(),
  turn: t.number().default(0),
};
const Board = schema(board, "ReturningBoard");
const SecretBoard = schema(
  { ...board, secret: t.string().view().optional(), hands: t.map(Piece).view() },
  "ReturningSecretBoard",
);

class BoardRoom extends Room {
  override state = new Board();

  override onCreate(): void {
    this.autoDispose = false;
    this.onMessage("fill", () => this.fill("pawn"));
    this.onMessage("empty", () => this.empty());
    this.onMessage("late", (client: Client) => client.send("late", "news", { afterNextPatch: true }));
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
  fill(name: string): void {
    const piece = new Piece({ name, carries: "flag" });
    this.state.pieces.set(name, piece);
    this.state.chosen = piece;
    this.state.winner = name;
  }
  empty(): void {
    for (const piece of this.state.pieces.values()) piece.carries = undefined as never;
    this.state.chosen = undefined as never;
    this.state.winner = undefined as never;
  }
}

class SecretBoardRoom extends BoardRoom {
  override state = new SecretBoard() as never;

  override onJoin(client: Client): void {
    client.view = new StateView();
    const hand = new Piece({ name: client.sessionId, carries: "ace" });
    this.secrets.hands.set(client.sessionId, hand);
    client.view.add(hand);
    client.view.add(this.secrets);
    this.secrets.secret = "shh";
  }
  get secrets(): InstanceType<typeof SecretBoard> {
    return this.state as unknown as InstanceType<typeof SecretBoard>;
  }
  override empty(): void {
    super.empty();
    for (const hand of this.secrets.hands.values()) hand.carries = undefined as never;
    this.secrets.secret = undefined as never;
  }
}
await defineTestRoom("board", BoardRoom);
await defineTestRoom("secret board", SecretBoardRoom);

for (const [name, stateClass] of [
  ["board", Board],
  ["secret board", SecretBoard],
] as const)
  for (const restored of [false, true])
    test(`[Y172] fields that were emptied while a player was away are empty for it: ${name}${restored ? ", restored" : ""}`, async () => {
      const scene = new Scene(["A", "B"]);
      await scene.create(name);
      for (const player of ["ann", "ben"]) await scene.join(player, "A");
      const follower = new StateFollower(stateClass);
      const emptied: string[] = [];
      await scene.send("ben", "fill");
      await scene.tick(60);
      follower.follow(scene.player("ann").socket);
      assert.is(follower.state.winner, "pawn");
      await scene.drop("ann");
      await scene.send("ben", "empty");
      await scene.tick(60);
      if (restored) assert.ok(await scene.restore("B"));
      await scene.reconnect("ann", "B");
      follower.follow(scene.player("ann").socket);
      const { state } = follower;
      emptied.push(...[state.winner, state.chosen, state.pieces.get("pawn")?.carries].map(String));
      if (state instanceof SecretBoard)
        emptied.push(...[state.secret, state.hands.get("ann")?.carries].map(String));
      assert.equal(
        emptied,
        emptied.map(() => "undefined"),
      );
      assert.is(state.pieces.get("pawn")?.name, "pawn");
      await scene.send("ben", "fill");
      await scene.tick(60);
      follower.follow(scene.player("ann").socket);
      assert.is(state.chosen?.name, "pawn");
      assert.equal(follower.warnings, []);
    });

test("[Y173] what a client was to be told behind the next patch is told where it is by then, if it was there for that patch", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("board");
  for (const player of ["ann", "ben", "cleo"]) await scene.join(player, "A");
  const late = (player: string) => scene.player(player).messages.filter(([type]) => type === "late");
  for (const player of ["ann", "ben", "cleo"]) await scene.send(player, "late");
  await scene.drop("ann");
  assert.ok(await scene.restore("B"));
  await scene.reconnect("ann", "B");
  // Without a drop that anybody was told of: the wrapper, which moves.
  await scene.reconnect("ben", "B");
  await scene.drop("cleo");
  await scene.tick(60);
  await scene.reconnect("cleo", "A");
  await scene.tick(60);
  assert.equal([late("ann").length, late("ben").length, late("cleo").length], [1, 1, 0]);
});

test.run();
