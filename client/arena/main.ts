import { type ArenaState, type Snapshot, takeSnapshot } from "./arena-state.ts";
import { type ClusterEvent, ClusterWatch, fetchEndpoints } from "./cluster-watch.ts";
import { Controls } from "./controls.ts";
import type { TestudoWindow } from "./debug.ts";
import { byId } from "./element.ts";
import { Formation } from "./formation.ts";
import { GapMeter } from "./gap-meter.ts";
import { GroupsTable } from "./groups-table.ts";
import { Hud } from "./hud.ts";
import type { Endpoint } from "./node-status.ts";
import { OwnShip } from "./own-ship.ts";
import { Colors } from "./palette.ts";
import { playerName } from "./player-name.ts";
import { ReplicaSeals } from "./replica-seals.ts";
import { Scoreboard } from "./scoreboard.ts";
import { Session } from "./session.ts";
import { shieldGradients } from "./shield-art.ts";
import { ShotCounter } from "./shot-counter.ts";
import { Stage } from "./stage.ts";
import { Timeline } from "./timeline.ts";
import { attachTouchControls } from "./touch-controls.ts";
import { msText, numeral } from "./wording.ts";

/** The wish is told this often at most: once a tick. */
const steerPeriodMs = 50;
const panelPeriodMs = 100;
/** A wish that has not changed is told again after so long: a drop may have swallowed it. */
const steerAgainMs = 1_000;

/** The page's one match: joins the parts, and holds what they share. */
class Match {
  readonly #session: Session;
  readonly #stage: Stage;
  readonly #controls: Controls;
  readonly #watch: ClusterWatch;
  readonly #hud: Hud;
  readonly #colors: Colors;
  readonly #formation: Formation;
  readonly #groups: GroupsTable;
  readonly #scoreboard: Scoreboard;
  readonly #timeline = new Timeline();
  readonly #ownShip = new OwnShip();
  readonly #gaps = new GapMeter();
  readonly #shots = new ShotCounter();
  readonly #seals = new ReplicaSeals();
  #newest: Snapshot = { clockMs: 0, players: new Map(), missiles: new Map() };
  #patches = 0;
  #frames = 0;
  #node = "";
  #steered = { angle: 0, thrust: 0, atMs: 0 };
  #doubt: string | null = null;

  constructor(session: Session, stage: Stage, colors: Colors, hud: Hud, endpoints: readonly Endpoint[]) {
    const key = session.room.sessionId;
    this.#session = session;
    this.#stage = stage;
    this.#hud = hud;
    this.#colors = colors;
    this.#controls = new Controls(stage.canvas);
    attachTouchControls(byId("stick"), byId("knob"), byId("fire"), this.#controls);
    this.#formation = new Formation(byId("formation"), byId("links"), (node) => void this.#kill(node));
    this.#groups = new GroupsTable(byId("groups"));
    this.#scoreboard = new Scoreboard(byId("scores"), this.#colors, key);
    this.#watch = new ClusterWatch((event) => this.#clusterEvent(event));
    this.#watch.start(endpoints);
    this.#hear();
    stage.onFrame((deltaMs) => this.#frame(deltaMs));
    setInterval(() => this.#panels(), panelPeriodMs);
    window.addEventListener("pagehide", () => session.keepSeat());
    window.addEventListener("pageshow", () => session.forgetSeat());
  }

  get debug(): TestudoWindow {
    const match = this;
    return {
      get room() {
        return match.#session.room;
      },
      get sessionId() {
        return match.#session.room.sessionId;
      },
      get node() {
        return match.#ownNode;
      },
      get clockMs() {
        return match.#newest.clockMs;
      },
      get patches() {
        return match.#patches;
      },
      get score() {
        return match.#own?.score ?? 0;
      },
      get shots() {
        return match.#shots.shots;
      },
      get acknowledged() {
        return match.#shots.acknowledged;
      },
      get unknown() {
        return match.#shots.unknown;
      },
      get doubt() {
        return match.#doubt;
      },
      get shotsLost() {
        return match.#shots.lost;
      },
      get shotsDoubled() {
        return match.#shots.doubled;
      },
      get shotsInMatch() {
        return match.#own?.shots ?? 0;
      },
      get worstGapMs() {
        return match.#gaps.worstGapMs;
      },
      get lastGapMs() {
        return match.#gaps.lastGapMs;
      },
      get gaps() {
        return match.#gaps.gaps;
      },
      get serversKilled() {
        return match.#watch.serversKilled;
      },
      get roundTripMs() {
        return match.#session.roundTripMs;
      },
      get frames() {
        return match.#frames;
      },
    };
  }

  get #own() {
    return this.#newest.players.get(this.#session.room.sessionId);
  }

  /** The node that the seat is attached to: the room's own word on it, else where the connection goes. */
  get #ownNode(): string {
    return this.#own?.node || this.#session.node;
  }

  /** The group of this page's room; "" until a node has told it. */
  get #ownGroup(): string {
    const rooms = this.#watch.nodes.flatMap(({ life }) =>
      life.type === "standing" ? life.status.rooms : [],
    );
    return rooms.find(({ roomId }) => roomId === this.#session.room.roomId)?.group ?? "";
  }

  #hear(): void {
    this.#session.listen((event) => {
      const nowMs = performance.now();
      switch (event.type) {
        case "patch":
          this.#patch(event.state, nowMs);
          break;
        case "dropped":
          this.#gaps.suspect("dropped", nowMs);
          break;
        case "resumed":
          this.#gaps.suspect("resumed", nowMs);
          this.#steered = { ...this.#steered, atMs: 0 };
          break;
        case "moved":
          this.#gaps.suspect(`moved from ${event.from} to ${event.to}`, nowMs);
          break;
        case "left":
          this.#hud.stop(`The match is over for this page (${event.code}). Reload to enter again.`);
          break;
      }
    });
    if (this.#session.room.state !== undefined) this.#patch(this.#session.room.state, performance.now());
  }

  #patch(state: ArenaState, nowMs: number): void {
    if (state.players === undefined) return;
    this.#patches += 1;
    this.#gaps.patch(nowMs);
    this.#newest = takeSnapshot(state);
    this.#timeline.push(this.#newest, nowMs);
    this.#colors.keep(this.#newest.players);
    const own = this.#own;
    if (own === undefined) return;
    if (this.#patches === 1) this.#controls.face(own.angle);
    this.#ownShip.reconcile(
      own,
      this.#newest.clockMs,
      nowMs,
      (this.#session.roundTripMs ?? 0) / 2 + steerPeriodMs / 2,
    );
    this.#shots.observe(own.shots, nowMs);
    this.#noteMove();
  }

  #noteMove(): void {
    const node = this.#ownNode;
    if (node === "" || node === this.#node) return;
    if (this.#node !== "")
      this.#hud.notice(
        `You are on ${this.#nameOf(node)} now, after ${msText(this.#gaps.lastGapMs)}. Same seat, same score.`,
        "moved",
      );
    this.#node = node;
  }

  #frame(deltaMs: number): void {
    const nowMs = performance.now();
    this.#frames += 1;
    const { pose } = this.#ownShip;
    this.#controls.advance(deltaMs, pose, (x, y) => this.#stage.toWorld(x, y));
    const wish = { angle: this.#controls.angle, thrust: this.#controls.thrust };
    this.#ownShip.advance(wish, deltaMs, nowMs);
    this.#steer(wish, nowMs);
    if (this.#controls.takeShot(nowMs)) this.#fire();
    const frame = this.#timeline.sample(nowMs);
    const own = this.#own;
    const players = new Map(frame.players);
    if (own !== undefined) players.set(this.#session.room.sessionId, { ...own, ...this.#ownShip.pose });
    this.#stage.draw({ players, missiles: frame.missiles }, nowMs, deltaMs);
  }

  #steer(wish: { angle: number; thrust: number }, nowMs: number): void {
    const last = this.#steered;
    const same = Math.abs(wish.angle - last.angle) < 0.01 && Math.abs(wish.thrust - last.thrust) < 0.02;
    if (nowMs - last.atMs < (same ? steerAgainMs : steerPeriodMs)) return;
    this.#steered = { ...wish, atMs: nowMs };
    this.#session.steer(wish);
  }

  #fire(): void {
    const { x, y, angle } = this.#ownShip.pose;
    this.#stage.flash(x, y, angle);
    this.#shots.fired();
    this.#session.fire().then(
      ({ shots }) => this.#shots.confirmed(shots, performance.now()),
      (error: unknown) => {
        this.#shots.failed();
        this.#doubt = String(error);
      },
    );
  }

  #panels(): void {
    const { nodes, serversKilled } = this.#watch;
    const { roomId, sessionId } = this.#session.room;
    const { clockMs, players } = this.#newest;
    this.#hud.show({
      clockMs,
      atMs: performance.now(),
      serversKilled,
      shots: this.#shots,
      gaps: this.#gaps,
      roundTripMs: this.#session.roundTripMs,
      agreement: this.#seals.agreement,
    });
    this.#formation.show({
      nodes,
      ownNode: this.#ownNode,
      roomId,
      players,
      colors: this.#colors,
      ownKey: sessionId,
    });
    this.#groups.show(nodes, this.#ownGroup);
    this.#scoreboard.show(players, (node) => this.#numeralOf(node));
  }

  #clusterEvent(event: ClusterEvent | { readonly type: "changed" }): void {
    const nowMs = performance.now();
    switch (event.type) {
      case "changed":
        for (const { life } of this.#watch.nodes) {
          if (life.type === "standing") this.#seals.observe(life.status, this.#session.room.roomId);
        }
        break;
      case "fell":
        this.#gaps.suspect(`${event.node} fell`, nowMs);
        this.#hud.notice(`${this.#nameOf(event.node)} has fallen. The match goes on.`, "fell");
        break;
      case "rose":
        this.#hud.notice(`${this.#nameOf(event.node)} is back`, "rose");
        break;
      case "led":
        this.#gaps.suspect(`${event.node} leads ${event.groups.join(", ")}`, nowMs);
        if (event.groups.includes(this.#ownGroup))
          this.#hud.notice(`${this.#nameOf(event.node)} leads this match now`, "moved");
        break;
    }
  }

  async #kill(node: string): Promise<void> {
    this.#gaps.suspect(`${node} killed from here`, performance.now());
    const refusal = await this.#watch.kill(node);
    if (refusal !== null) this.#hud.notice(refusal, "error");
  }

  #nameOf(node: string): string {
    return `Server ${this.#numeralOf(node)}`;
  }

  #numeralOf(node: string): string {
    const index = this.#watch.nodes.findIndex((watched) => watched.node === node);
    return index === -1 ? "" : numeral(index);
  }
}

/** The nodes, the one that served this page first. A server without Testudo is one node without a status. */
async function findEndpoints(): Promise<Endpoint[]> {
  const { origin } = window.location;
  const endpoints = await fetchEndpoints(origin);
  if (endpoints !== null) {
    return endpoints.sort((one, other) => Number(other.url === origin) - Number(one.url === origin));
  }
  byId("panel").dataset["plain"] = "true";
  return [{ node: "this server", region: "", url: origin }];
}

async function start(): Promise<void> {
  const hud = new Hud();
  byId("shield-defs").innerHTML = shieldGradients;
  byId("handle").addEventListener("click", () => {
    byId("handle").blur();
    byId("panel").toggleAttribute("data-open");
  });
  try {
    const endpoints = await findEndpoints();
    const session = await Session.open(endpoints, playerName());
    const colors = new Colors(session.room.sessionId);
    const stage = await Stage.open(byId("canvas"), colors, session.room.sessionId);
    const match = new Match(session, stage, colors, hud, endpoints);
    window.testudo = Object.freeze(match.debug);
    hud.start();
  } catch (error) {
    hud.stop(`The arena cannot be entered: ${error instanceof Error ? error.message : String(error)}`);
  }
}

void start();
