import { UNANSWERED_MAX } from "../../shared/wrapper-protocol.ts";

/** What a room and its players may use (design 6, "Limits"). Past each, the caller gets an error that names it. */
export const sessionLimits = Object.freeze({
  /** Seats a room, reserved ones included. */
  seatsMax: 100,
  /** Timers a room, Colyseus's own included. */
  timersMax: 1_000,
  /** One frame from a client, in bytes. */
  frameBytesMax: 48 * 1024,
  /** Frames of one attachment that are on their way through the log. */
  framesInFlightMax: 512,
  /** Eventual messages that wait on a node to be run; so many are run in one turn of the event loop. */
  eventualWaitingMax: 1_024,
  eventualPerTurnMax: 64,
  /** Bytes of them that are told to one other node in one turn. */
  eventualBytesPerTurnMax: 64 * 1024,
  /** Frames that may wait on a socket while its attach is being agreed. */
  framesBeforeAttachMax: 16,
  /** Inputs that may wait there besides: four seconds of 60 a second. */
  inputsBeforeAttachMax: 256,
  inputBytesBeforeAttachMax: 64 * 1024,
  /** Inputs of a client that wait for the room to take them (`bufferMaxSize`). */
  inputsBufferedMax: 1_024,
  /** How far a room may look back for lag compensation (`maxRewindMs`). */
  rewindMsMax: 5_000,
  /** Reconnection tokens of a seat that are good besides its newest: more attempts than that are not on their way. */
  tokensKeptMax: 16,
  /** Replies kept for a wrapper client that may ask again: to all that it may have asked. */
  repliesKeptMax: UNANSWERED_MAX,
  /** Messages of a room that are kept for a seat whose client may lack them: so many, so many bytes, so long in log time. */
  outboxMessagesMax: 256,
  outboxBytesMax: 64 * 1024,
  outboxMsMax: 10_000,
  /** Bytes of all messages that are kept in one room; one that went to many seats counts once. */
  roomOutboxBytesMax: 1024 * 1024,
  /** Effects that a room may wait for at once: one for each seat, and some of its own. */
  effectsMax: 128,
  /** What an effect is given, and what it resolves with, in bytes each. */
  effectBytesMax: 48 * 1024,
  /** Effects that run on a node at once; more than that wait for their turn. */
  effectsRunningMax: 1_024,
  /** Channels of the server's presence that a room may listen to, each callback counted. */
  subscriptionsMax: 64,
  /** One message that was published for a room, in bytes; those of a room that wait for its log. */
  newsBytesMax: 48 * 1024,
  newsWaitingMax: 256,
  newsWaitingBytesMax: 256 * 1024,
  /** What clients may have asked of a room that its leader runs and that is not worked off yet: so many things, so many bytes. */
  inputsWaitingMax: 1_024,
  inputsWaitingBytesMax: 256 * 1024,
  /** One step of such a room: all that came of its code since the step before, in pieces of so many bytes. */
  stepBytesMax: 2 * 1024 * 1024,
  stepPieceBytesMax: 48 * 1024,
  /** Pieces of steps of one room that are on their way through the log; past it the room waits. */
  stepPiecesInFlightMax: 8,
  /** Patches behind a full state that may be kept in its place, in bytes, if it is smaller than that itself. */
  patchBytesKeptMin: 64 * 1024,
  /** Rooms of one group. */
  roomsPerGroupMax: 10_000,
  /** Quarantined rooms of one group that are remembered, the newest ones. */
  quarantinedRoomsMax: 64,
  /** Hashes that a room's replica remembers of itself: so many seconds may pass between one and the verdict about it. */
  hashPointsMax: 8,
  /** Commands that wait for the replica that will replace one that differs; past either the odd one carries them out. */
  heldCommandsMax: 4_096,
  heldCommandBytesMax: 4 * 1024 * 1024,
  /** Changes that a StateView without a joined client has to tell; past that they are dropped: who gets it is sent all. */
  viewChangesMax: 4_096,
  /** Bytes waiting on a client's socket before it is closed as too slow. */
  socketBufferedBytesMax: 4 * 1024 * 1024,
});
