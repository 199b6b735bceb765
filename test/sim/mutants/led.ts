import type { Mutant } from "../mutant.ts";

/** Bugs of rooms that their leader runs. */
export const ledMutants: readonly Mutant[] = [
  {
    name: "steps-of-an-earlier-run-taken",
    file: "server/colyseus/led/led-program.ts",
    find: "if (run !== data.run || number !== data.number + 1 || !isRunner)",
    replace: "if (number !== data.number + 1)",
    why: "what an earlier leader had not had agreed is done behind the next one's back",
  },
  {
    name: "inputs-worked-off-again",
    file: "server/colyseus/led/led-program.ts",
    find: "      this.data.inputs.delete(number);\n",
    replace: "",
    why: "the next leader works off what the one before it has done already",
  },
  {
    name: "inputs-forgotten-before-they-are-done",
    file: "server/colyseus/led/leader-instance.ts",
    find: "      this.#told = number;\n",
    replace:
      '      this.#told = number;\n      if (input.type === "message") this.#data.inputs.delete(number);\n',
    why: "replicas differ, and a command that was taken is lost with its leader",
  },
  {
    name: "led-room-time-begins-again",
    file: "server/colyseus/led/led-restore.ts",
    find: "  parts.clock.elapsedTime = data.elapsedMs;\n",
    replace: "",
    why: "the room's clock goes back with each new leader",
  },
  {
    name: "patches-before-the-state",
    file: "server/colyseus/led/led-delivery.ts",
    find: "if (isSynced && seat !== undefined)",
    replace: "if (seat !== undefined)",
    why: "a client that has not the state yet is sent what has changed of it",
  },
  {
    name: "told-before-it-is-agreed",
    file: "server/colyseus/led/leader-instance.ts",
    find: "    const { sessionId, epoch, seat } = client;\n",
    replace:
      "    const { environment } = this.#program as never as { environment: { seats: Map<string, never>; deliver(...each: unknown[]): void } };\n    environment.deliver(environment.seats.get(client.sessionId), client.epoch, frame);\n    const { sessionId, epoch, seat } = client;\n",
    why: "a client hears what falls with its leader, or hears it twice",
  },
  {
    name: "led-reply-to-whoever-has-the-seat",
    file: "server/colyseus/led/led-delivery.ts",
    find: "bytes[0] === Protocol.ROOM_RESPONSE && isWrapper)",
    replace: "bytes[0] === Protocol.ROOM_RESPONSE && seat.wrapper)",
    why: "the wrapper's reply is not kept if another client has its seat just then",
  },
  {
    name: "handler-of-who-has-moved-lost-with-its-leader",
    file: "server/colyseus/led/live-inputs.ts",
    find: "if (client.epoch < epoch || !said.has(frame[0] ?? 0)) return;",
    replace: "if (client.epoch !== epoch || !said.has(frame[0] ?? 0)) return;",
    why: "what its client asked before it moved is neither done nor answered, though it was taken",
  },
];
