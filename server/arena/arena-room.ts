import { type Client, ErrorCode, Room, ServerError, validate } from "colyseus";
import { botKey, botName, botsWanted, isBot } from "../../shared/arena/bot.ts";
import { advanceMatch, enter, fire, leave, type Match, steer } from "../../shared/arena/match.ts";
import type { FireReply } from "../../shared/arena/messages.ts";
import type { Flight } from "../../shared/arena/missile.ts";
import { arenaRules } from "../../shared/arena/rules.ts";
import type { Pilot } from "../../shared/arena/ship.ts";
import { fireSchema, joinSchema, steerSchema } from "./arena-message.ts";
import { ArenaMissile, ArenaPlayer, ArenaState } from "./arena-state.ts";

/** How long a seat waits for its player to come back. */
const reconnectionSeconds = 60;

/**
 * The sample game: an ordinary Colyseus room, which runs on a plain Colyseus server as it is.
 * All that it remembers is its state and plain data in three fields, so it can be saved between any two ticks.
 */
export class ArenaRoom extends Room<{ state: ArenaState }> implements Match<ArenaPlayer, ArenaMissile> {
  override maxClients = arenaRules.playersMax;
  override patchRate = arenaRules.tickMs;
  override state = new ArenaState();
  readonly pilots = new Map<string, Pilot>();
  readonly flights = new Map<string, Flight>();
  missileCount = 0;

  override messages = {
    steer: validate(steerSchema, (client, command) => steer(this, client.sessionId, command)),
    fire: validate(fireSchema, (client): FireReply => ({ shots: fire(this, client.sessionId, newMissile) })),
  };

  get ships(): ArenaState["players"] {
    return this.state.players;
  }

  get missiles(): ArenaState["missiles"] {
    return this.state.missiles;
  }

  override onCreate(): void {
    this.setTimestep((deltaMs) => this.tick(deltaMs), arenaRules.tickMs);
    this.balanceBots();
  }

  /** @throws ServerError APPLICATION_ERROR when the options are not `joinSchema`'s */
  override onJoin(client: Client, options?: unknown): void {
    const parsed = joinSchema.safeParse(options ?? {});
    if (!parsed.success) {
      throw new ServerError(
        ErrorCode.APPLICATION_ERROR,
        parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "),
      );
    }
    const player = new ArenaPlayer();
    player.name = parsed.data.name;
    player.node = nodeOf(client);
    enter(this, client.sessionId, player, Math.random);
    this.balanceBots();
  }

  override onDrop(client: Client): void {
    const player = this.state.players.get(client.sessionId);
    // A client whose onJoin was refused drops without ever having been a player.
    if (player === undefined) return;
    player.online = false;
    player.node = "";
    player.thrust = 0;
    // Not awaited: the seat waits as data, and the room stays at rest. The rejection (the seat expired, the client
    // had not fully joined, the room is closing) asks nothing of us: Colyseus calls onLeave then.
    this.allowReconnection(client, reconnectionSeconds);
  }

  override onReconnect(client: Client): void {
    const player = this.state.players.get(client.sessionId);
    if (player === undefined) return;
    player.online = true;
    player.node = nodeOf(client);
  }

  override onLeave(client: Client): void {
    if (!this.state.players.has(client.sessionId)) return;
    leave(this, client.sessionId);
    this.balanceBots();
  }

  private tick(deltaMs: number): void {
    this.state.clockMs += deltaMs;
    advanceMatch(this, deltaMs, { random: Math.random, newMissile });
  }

  /** Bots keep the arena at `shipsMin` ships; the last one to come is the first to go. */
  private balanceBots(): void {
    let people = 0;
    for (const key of this.state.players.keys()) if (!isBot(key)) people += 1;
    const wanted = botsWanted(people);
    for (let number = 1; number <= arenaRules.shipsMin; number += 1) {
      const present = this.state.players.has(botKey(number));
      if (number > wanted && present) leave(this, botKey(number));
      if (number <= wanted && !present) {
        const bot = new ArenaPlayer();
        bot.name = botName(number);
        enter(this, botKey(number), bot, Math.random);
      }
    }
  }
}

function newMissile(): ArenaMissile {
  return new ArenaMissile();
}

/** The session layer writes on a client which node it is attached to; a plain Colyseus server does not. */
function nodeOf(client: Client): string {
  return (client as { node?: string }).node ?? "";
}
