/** The stock SDK's room, without a socket: what it would send goes into a scene, and what the scene sends comes back. */
import { Protocol } from "@colyseus/core";
import { type InputHandle, type InputOptions, Room } from "@colyseus/sdk";
import type { StickInput } from "./racer-room.ts";
import type { Scene } from "./scene.ts";

export class Pilot {
  readonly sessionId: string;
  readonly room = new Room("racer");
  /** Inputs that were sent and have not come through. */
  readonly sent: Uint8Array[] = [];
  readonly #scene: Scene;
  #heard = 0;
  #socket: object | null = null;
  isOpen = true;

  constructor(scene: Scene, sessionId: string) {
    this.#scene = scene;
    this.sessionId = sessionId;
    const send = (frame: Uint8Array) => {
      if (frame[0] !== Protocol.JOIN_ROOM) this.sent.push(Uint8Array.from(frame));
    };
    const pilot = this;
    Object.assign(this.room, {
      connection: {
        send,
        sendUnreliable: send,
        get isOpen() {
          return pilot.isOpen;
        },
      },
    });
  }

  /** Everything that its present socket has brought since. */
  hear(): void {
    const { socket } = this.#scene.player(this.sessionId);
    if (socket !== this.#socket) {
      this.#socket = socket;
      this.#heard = 0;
    }
    const { onMessageCallback } = this.room as unknown as {
      onMessageCallback(event: { data: ArrayBuffer }): void;
    };
    for (const frame of socket.frames.slice(this.#heard))
      onMessageCallback.call(this.room, { data: Uint8Array.from(frame).buffer });
    this.#heard = socket.frames.length;
  }

  stick(options?: InputOptions<StickInput>): InputHandle<StickInput> {
    return this.room.input<StickInput>(options);
  }

  press(change: Partial<StickInput>): number {
    Object.assign(this.stick().data, change);
    return this.stick().send();
  }

  /** What was sent, into the log. */
  async flush(): Promise<void> {
    for (const frame of this.sent.splice(0)) await this.#scene.frame(this.sessionId, frame);
  }

  /** Its connection has ended: what was on the way is lost, and the SDK begins its inputs anew. */
  cut(): void {
    this.sent.length = 0;
    this.stick().reset();
  }
}
