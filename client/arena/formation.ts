import type { Player } from "./arena-state.ts";
import type { Life, WatchedNode } from "./cluster-watch.ts";
import { element, setText } from "./element.ts";
import type { PeerStatus } from "./node-status.ts";
import type { Colors } from "./palette.ts";
import { newShieldArt } from "./shield-art.ts";
import { countText, msText, numeral } from "./wording.ts";

/** What the formation shows beside the nodes themselves. */
export interface FormationScene {
  readonly nodes: readonly WatchedNode[];
  /** The node that this page is attached to; "" while it is attached to none. */
  readonly ownNode: string;
  readonly roomId: string;
  readonly players: ReadonlyMap<string, Player>;
  readonly colors: Colors;
  readonly ownKey: string;
}

interface Card {
  readonly root: HTMLElement;
  readonly crowns: HTMLElement;
  readonly state: HTMLElement;
  readonly people: HTMLElement;
  readonly seal: HTMLElement;
  readonly kill: HTMLButtonElement;
}

/** The nodes as a row of shields: who stands, who leads, who is behind which, and a button that fells one. */
export class Formation {
  readonly #host: HTMLElement;
  readonly #links: HTMLElement;
  readonly #kill: (node: string) => void;
  readonly #cards = new Map<string, Card>();

  /** @param links shows how far apart the nodes are */
  constructor(host: HTMLElement, links: HTMLElement, kill: (node: string) => void) {
    this.#host = host;
    this.#links = links;
    this.#kill = kill;
  }

  show(scene: FormationScene): void {
    for (const [index, node] of scene.nodes.entries()) {
      const card = this.#cards.get(node.node) ?? this.#newCard(node, numeral(index));
      setText(card.root.querySelector(".shield-numeral") ?? card.root, numeral(index));
      showCard(card, node, scene);
    }
    showLinks(this.#links, scene.nodes);
    this.#host.dataset["nodes"] = String(scene.nodes.length);
  }

  #newCard(node: WatchedNode, mark: string): Card {
    const crowns = element("div", "crowns");
    const state = element("div", "node-state");
    const people = element("div", "node-people");
    const seal = element("div", "node-seal");
    seal.title = "The match's state on this server, as a hash, and at which entry of the log";
    const kill = element("button", "kill", "kill -9");
    kill.type = "button";
    kill.title = `End ${node.node}'s process at once, as a crash would`;
    kill.addEventListener("click", () => {
      // Else the next Space, meant to fire, would press it again.
      kill.blur();
      this.#kill(node.node);
    });
    const shield = element("div", "shield", crowns);
    shield.prepend(newShieldArt(mark));
    const facts = element("div", "node-facts", element("div", "node-name", node.node), state, people, seal);
    const root = element("article", "node", shield, facts, kill);
    root.dataset["node"] = node.node;
    this.#host.append(root);
    const card = { root, crowns, state, people, seal, kill };
    this.#cards.set(node.node, card);
    return card;
  }
}

function showCard(card: Card, node: WatchedNode, scene: FormationScene): void {
  const { life } = node;
  const own = node.node === scene.ownNode;
  card.root.dataset["life"] = life.type;
  card.root.dataset["own"] = String(own);
  const status = life.type === "standing" ? life.status : null;
  const led = status === null ? [] : status.groups.filter(({ role }) => role === "leader");
  showCrowns(
    card.crowns,
    led.map(({ id }) => id),
  );
  setText(card.state, stateText(life, own));
  // Beside the word, where there is room for it.
  card.state.dataset["away"] = life.type === "standing" && !own ? ` · ${msText(life.roundTripMs)}` : "";
  showPeople(card.people, node.node, scene);
  const room = status?.rooms.find(({ roomId }) => roomId === scene.roomId);
  const hash = room?.stateHash ?? null;
  setText(
    card.seal,
    room === undefined || hash === null ? "" : `${hash.slice(0, 8)} @${countText(room.hashIndex ?? 0)}`,
  );
  card.kill.disabled = life.type !== "standing";
  card.kill.hidden = status !== null && !status.development;
}

function stateText(life: Life, own: boolean): string {
  switch (life.type) {
    case "standing":
      return own ? "you are here" : "ready";
    case "fallen":
      return "fallen";
    case "unknown":
      return "…";
  }
}

function showCrowns(host: HTMLElement, groups: readonly string[]): void {
  const key = groups.join(" ");
  if (host.dataset["groups"] === key) return;
  host.dataset["groups"] = key;
  host.title = groups.length === 0 ? "leads nothing" : `leads ${groups.join(", ")}`;
  host.replaceChildren(...groups.map(() => element("i", "crown", "★")));
}

function showPeople(host: HTMLElement, node: string, scene: FormationScene): void {
  const here = [...scene.players].filter(([, player]) => player.node === node && player.online);
  const key = here.map(([id, { name }]) => `${id}${name}`).join(" ");
  if (host.dataset["key"] === key) return;
  host.dataset["key"] = key;
  host.title = here.map(([, { name }]) => name).join(", ");
  host.replaceChildren(
    ...here.map(([id]) => {
      const dot = element("i", id === scene.ownKey ? "dot own" : "dot");
      dot.style.background = scene.colors.of(id);
      return dot;
    }),
  );
}

/** The links between the nodes, each once, as one of its ends tells it. */
function showLinks(host: HTMLElement, nodes: readonly WatchedNode[]): void {
  const links: { text: string; state: string }[] = [];
  for (const [index, one] of nodes.entries()) {
    for (const [step, other] of nodes.slice(index + 1).entries()) {
      const peer = peerOf(one, other.node) ?? peerOf(other, one.node);
      if (peer === undefined) continue;
      const down = one.life.type === "fallen" || other.life.type === "fallen" || peer.roundTripMs === null;
      const distance = down ? "no link" : `${peer.roundTripMs?.toFixed(1)} ms`;
      links.push({
        text: `${numeral(index)}–${numeral(index + 1 + step)} ${distance}`,
        state: down ? "down" : "up",
      });
    }
  }
  while (host.children.length < links.length) host.append(element("span", ""));
  while (host.children.length > links.length) host.lastElementChild?.remove();
  for (const [index, link] of links.entries()) {
    const line = host.children[index] as HTMLElement;
    line.dataset["state"] = link.state;
    setText(line, link.text);
  }
}

function peerOf(node: WatchedNode, other: string): PeerStatus | undefined {
  return node.life.type === "standing"
    ? node.life.status.peers.find((peer) => peer.node === other)
    : undefined;
}
