import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";

const DoomState = schema({ count: t.uint32().default(0) }, "DoomState");

/** Where the room meets its doom. */
export type DoomPlace =
  | "onCreate"
  | "onJoin"
  | "onDrop"
  | "onLeave"
  | "handler"
  | "microtasks"
  | "timer"
  | "timestep"
  | "onBeforePatch"
  | "onDispose";
/** `loops`: it never comes back. `eats`: it takes all the memory that there is. */
export type DoomKind = "loops" | "eats";

export interface Doom {
  readonly place: DoomPlace;
  readonly kind: DoomKind;
}

/** An honest counter, until it is told where to end, and how. */
export class DoomRoom extends Room<{ state: InstanceType<typeof DoomState> }> {
  override state = new DoomState();
  override patchRate = 50;
  doom: Doom | null = null;

  override messages = {
    add: (_client: Client, { by }: { by: number }) => {
      this.state.count += by;
      return this.state.count;
    },
    doom: (_client: Client, doom: Doom) => {
      this.doom = doom;
      if (doom.place === "handler") this.meetDoom();
      if (doom.place === "microtasks") void this.meetDoomInPromises();
      if (doom.place === "timer") this.clock.setTimeout(this.meetDoom, 30);
      this.state.count += 1;
    },
  };

  override onCreate(options: { doom?: Doom }): void {
    this.doom = options.doom ?? null;
    this.setTimestep(() => this.meetIn("timestep"), 50);
    this.meetIn("onCreate");
  }

  override onJoin(_client: Client, options: { doom?: Doom } = {}): void {
    this.doom = options.doom ?? this.doom;
    this.meetIn("onJoin");
  }

  override onDrop(client: Client): void {
    this.meetIn("onDrop");
    // Longer than all nodes are down.
    this.allowReconnection(client, 120);
  }

  override onLeave(): void {
    this.meetIn("onLeave");
  }

  override onDispose(): void {
    this.meetIn("onDispose");
  }

  override onBeforePatch(): void {
    this.meetIn("onBeforePatch");
  }

  meetDoom(): void {
    if (this.doom?.kind === "eats") {
      const eaten: number[][] = [];
      for (;;) eaten.push(new Array(50_000).fill(eaten.length));
    }
    for (;;);
  }

  private meetIn(place: DoomPlace): void {
    if (this.doom?.place === place) this.meetDoom();
  }

  private async meetDoomInPromises(): Promise<void> {
    for (;;) await null;
  }
}
