/** A card game whose hands only their players see, and everything else that StateViews may be used for. */
import { type Client, Room } from "@colyseus/core";
import { StateView, schema, t } from "@colyseus/schema";

export const tags = { owner: 1, judge: 2 } as const;

export const Mark = schema({ text: t.string() }, "Mark");
export const Card = schema({ face: t.string(), worth: t.number(), mark: t.ref(Mark).optional() }, "Card");
export const Seat = schema(
  {
    name: t.string(),
    count: t.number(),
    hand: t.array(Card).view(),
    pile: t.array(Card).view(tags.owner),
    secret: t.string().view(),
    note: t.string().view(tags.judge),
    kit: t.map(Card).view(tags.owner | tags.judge),
  },
  "Seat",
);
export const Table = schema(
  {
    turn: t.number(),
    seats: t.map(Seat),
    open: t.array(Card),
    loot: t.map(Card).view(),
    news: t.array(Mark).view(),
    deck: t.array(Card).view(tags.judge),
    chest: t.set(Card).view(),
  },
  "Table",
);
export type Card = InstanceType<typeof Card>;
export type Seat = InstanceType<typeof Seat>;
type Act = (client: Client, seat: Seat, n: number, m: number) => unknown;

export class ViewsRoom extends Room<{ state: InstanceType<typeof Table> }> {
  override state = new Table();
  /** Of all judges: one view for several clients. */
  judges = new StateView();
  lists: StateView = new StateView(true);
  hoard = new StateView();
  drawn = 0;
  /** Their seats are gone; what they saw is not. */
  leavers: Client[] = [];
  held: Card[] = [];
  heldSeats: Seat[] = [];
  formerViews = new Map<string, StateView>();

  override onCreate() {
    this.state.turn = 0;
    this.hoard.add(this.state.open);
    for (let n = 0; n < 6; n++) this.state.deck.push(this.newCard() as never);
    this.onMessage("act", (client, [name, ...args]: [string, ...unknown[]]) => this.act(client, name, args));
  }

  newCard(): Card {
    this.drawn++;
    const card = new Card();
    card.face = `f${this.drawn}`;
    card.worth = Math.floor(Math.random() * 100);
    return card;
  }

  override onJoin(client: Client, { judge = false }: { judge?: boolean }) {
    const seat = new Seat();
    seat.name = client.sessionId;
    seat.count = 0;
    seat.secret = `secret of ${client.sessionId}`;
    seat.note = `note on ${client.sessionId}`;
    this.state.seats.set(client.sessionId, seat as never);
    if (judge) {
      client.view = this.judges;
      for (const each of this.state.seats.values()) this.judges.add(each, tags.judge);
      this.judges.add(this.state, tags.judge);
      return;
    }
    client.view = new StateView();
    client.view.add(seat);
    client.view.add(seat, tags.owner);
  }

  override async onDrop(client: Client) {
    if (client.sessionId.endsWith("w")) await this.allowReconnection(client, 60).then(undefined, () => {});
    else this.allowReconnection(client, 60);
  }

  override onLeave(client: Client) {
    const seat = this.seatOf(client);
    this.leavers = [...this.leavers, client].slice(-2);
    if (client.view !== undefined && client.view !== this.judges && Math.random() < 0.5)
      client.view.dispose();
    else if (client.view !== undefined) this.formerViews.set(client.sessionId, client.view);
    if (this.formerViews.size > 3) this.formerViews.clear();
    this.state.seats.delete(client.sessionId);
    if (seat !== undefined) this.heldSeats = [...this.heldSeats, seat].slice(-2);
  }

  seatOf({ sessionId }: { sessionId: string }): Seat | undefined {
    return this.state.seats.get(sessionId) as Seat | undefined;
  }

  /** Something that room code does; `n` chooses among what there is. */
  act(client: Client, name: string, [n = 0, m = 0]: unknown[]): unknown {
    const seat = this.seatOf(client);
    if (seat === undefined) return undefined;
    const does = (this as unknown as Record<string, Act>)[`do${name}`];
    return does?.call(this, client, seat, n as number, m as number);
  }

  view(client: Client): StateView {
    client.view ??= new StateView();
    return client.view;
  }

  some(list: Iterable<unknown>, n: number): Card | undefined {
    const all = [...list];
    return all[n % Math.max(1, all.length)] as Card | undefined;
  }

  doDraw(client: Client, seat: Seat) {
    const card = this.newCard();
    seat.hand.push(card as never);
    seat.count++;
    this.view(client).add(card);
  }
  /** Whoever sees the seat sees what comes to its pile: nothing has to be added. */
  doPile(_client: Client, seat: Seat) {
    seat.pile.push(this.newCard() as never);
  }
  doPlay(client: Client, seat: Seat, n: number) {
    const card = this.some(seat.hand, n);
    if (card === undefined) return;
    seat.hand.splice(seat.hand.indexOf(card as never), 1);
    client.view?.remove(card);
    this.state.open.push(card as never);
    this.state.turn++;
  }
  doGive(client: Client, seat: Seat, n: number, m: number) {
    const card = this.some(seat.hand, n);
    const other = [...this.state.seats.values()][m % this.state.seats.size] as Seat;
    if (card === undefined || other === seat) return;
    client.view?.remove(card);
    seat.hand.splice(seat.hand.indexOf(card as never), 1);
    other.hand.push(card as never);
    const [owner] = this.clients.filter(({ sessionId }) => sessionId === other.name);
    owner?.view?.add(card);
  }
  doHold(_client: Client, seat: Seat, n: number) {
    const card = this.some(seat.hand, n);
    if (card === undefined) return;
    seat.hand.splice(seat.hand.indexOf(card as never), 1);
    this.held = [...this.held, card].slice(-4);
  }
  doReturn(_client: Client, seat: Seat) {
    const card = this.held.shift();
    if (card !== undefined) seat.hand.push(card as never);
  }
  doPeek(client: Client, _seat: Seat, n: number) {
    const card = this.some(this.held, n);
    if (card !== undefined) this.view(client).add(card);
  }
  doForget(client: Client, _seat: Seat, n: number) {
    const card = this.some(this.held, n);
    if (card !== undefined) client.view?.remove(card);
  }
  doChange(_client: Client, seat: Seat, n: number) {
    const card = this.some([...seat.hand, ...seat.pile, ...seat.kit.values()], n);
    if (card === undefined) return;
    card.worth++;
    if (n % 3 === 0) card.mark = Object.assign(new Mark(), { text: `m${card.worth}` }) as never;
    if (n % 7 === 0) card.mark = undefined as never;
  }
  doShift(_client: Client, seat: Seat) {
    if (seat.pile.length > 1) seat.pile.shift();
  }
  doReverse(_client: Client, seat: Seat) {
    seat.hand.reverse();
  }
  doKit(_client: Client, seat: Seat, n: number) {
    if (n % 4 === 0) seat.kit.delete(`k${n % 3}`);
    else seat.kit.set(`k${n % 3}`, this.newCard() as never);
  }
  doJudge(client: Client, seat: Seat, n: number) {
    const other = [...this.state.seats.values()][n % this.state.seats.size] as Seat;
    if (other === seat) return;
    const view = this.view(client);
    // Once only: of what a view sees already the library tells the new things without their place.
    if (!view.has(other)) view.add(other, tags.judge);
    // Each takes back what is seen by it only.
    else view.remove(other, tags.judge).remove(other);
  }
  doLoot(client: Client, _seat: Seat, n: number) {
    const card = this.newCard();
    // Never over another one: the library would not take that from who sees it and does not see the new one.
    this.state.loot.set(`l${this.drawn}`, card as never);
    if (n % 2 === 0) this.view(client).add(card);
    if (this.state.loot.size > 4) this.state.loot.delete([...this.state.loot.keys()][n % 4] as string);
  }
  doChest(client: Client, _seat: Seat, n: number) {
    const card = this.newCard();
    this.state.chest.add(card as never);
    if (n % 2 === 0) this.view(client).add(card);
    if (this.state.chest.size > 4) this.state.chest.delete([...this.state.chest.values()][0] as never);
  }
  doSubscribe(client: Client) {
    // Of what a view sees already the library sends nothing when it is subscribed.
    if (client.view === this.judges) return;
    this.view(client).subscribe(this.state.news);
  }
  doUnsubscribe(client: Client) {
    client.view?.unsubscribe(this.state.news);
  }
  doNews(_client: Client, _seat: Seat, n: number) {
    this.state.news.push(Object.assign(new Mark(), { text: `n${n}` }) as never);
    if (this.state.news.length > 4) this.state.news.shift();
  }
  doList(_client: Client, seat: Seat, n: number) {
    const card = this.some(seat.hand, n);
    if (card !== undefined) this.lists.add(card);
    if (n % 5 === 0) this.lists.clear();
  }
  doSwap(client: Client, _seat: Seat, n: number) {
    if (n % 3 === 0) client.view = this.lists;
    else if (n % 3 === 1) client.view = undefined as never;
    else client.view = Object.assign(new StateView(), { of: client.sessionId });
  }
  /** One instance in two places: the open one lets everybody see it. */
  doShow(_client: Client, seat: Seat, n: number) {
    const card = this.some(seat.hand, n);
    if (card === undefined) return;
    const at = this.state.open.indexOf(card as never);
    if (at === -1) this.state.open.push(card as never);
    else this.state.open.splice(at, 1);
  }
  doLeaveTable(client: Client) {
    client.leave(4_000);
  }
  doWatch(client: Client, _seat: Seat, n: number) {
    const old = this.heldSeats[n % 2];
    if (old !== undefined) this.view(client).add(old);
    if (old !== undefined && n % 5 === 0) this.state.seats.set(`again${n % 2}`, old as never);
  }

  letJudgesSee() {
    for (const seat of this.state.seats.values()) for (const card of seat.hand) this.judges.add(card);
  }
  addNew() {
    this.judges.add(new Card());
  }
  subscribeNew() {
    this.judges.subscribe(new Seat().hand);
  }
  replaceState() {
    this.state = new Table();
  }
  churn(times: number) {
    for (let n = 0; n < times; n++) {
      const card = this.newCard();
      this.state.loot.set(`c${n}`, card as never);
      this.hoard.add(card);
      this.state.loot.delete(`c${n}`);
    }
  }
  /** A view that is none. */
  spoil(isGarbage: boolean): string {
    for (const client of this.clients) {
      if (isGarbage) client.userData = client.view;
      client.view = (isGarbage ? { changes: new Map() } : client.userData) as StateView;
    }
    this.state.turn++;
    this.broadcastPatch();
    return "the patch is out";
  }
  /** A view goes, and another one gets its place. */
  swapViews() {
    for (const client of this.clients) {
      client.view?.dispose();
      client.view = new StateView();
      client.view.add(this.seatOf(client) as Seat);
    }
  }

  /** What room code may see of its views; asked for on every replica. */
  sight(): string {
    const cards = [
      ...this.held,
      ...this.state.open,
      ...this.state.deck,
      ...this.state.loot.values(),
      ...this.state.chest.values(),
      ...[...this.state.seats.values(), ...this.heldSeats].flatMap(({ hand, pile, kit }) => [
        ...hand,
        ...pile,
        ...kit.values(),
      ]),
    ] as Card[];
    const seats = [...this.state.seats.values(), ...this.heldSeats] as Seat[];
    const views = [
      ...[...this.clients, ...this.leavers].map(({ view }) => view),
      this.judges,
      this.lists,
      this.hoard,
      ...this.formerViews.values(),
    ];
    return views
      .map((view) => {
        if (view === undefined) return "none";
        const seen = cards.filter((card) => view.has(card)).map(({ face }) => face);
        const watched = seats.map((seat) =>
          [view.has(seat), view.hasTag(seat, tags.owner), view.hasTag(seat, tags.judge), view.has(seat.hand)]
            .map(Number)
            .join(""),
        );
        const listed = ((view.items ?? []) as Card[]).map(({ face }) => face);
        return [view.iterable, seen, watched, listed, view.has(this.state.news)].join();
      })
      .join("\n");
  }
}
