import type { WatchedNode } from "./cluster-watch.ts";
import { element, setText } from "./element.ts";
import type { GroupStatus } from "./node-status.ts";
import { countText, numeral } from "./wording.ts";

/** One group, over all nodes that answer. */
interface GroupRow {
  readonly id: string;
  readonly term: number;
  readonly commitIndex: number;
  /** By node. */
  readonly replicas: ReadonlyMap<string, GroupStatus>;
}

/** Who leads which group, in which term, how far it is agreed. */
export class GroupsTable {
  readonly #host: HTMLElement;
  #shape = "";

  constructor(host: HTMLElement) {
    this.#host = host;
  }

  /** @param ownGroup the group of this page's room, or "" */
  show(nodes: readonly WatchedNode[], ownGroup: string): void {
    const rows = groupRows(nodes);
    const shape = JSON.stringify([nodes.map(({ node }) => node), rows.map(({ id }) => id), ownGroup]);
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#host.replaceChildren(head(nodes), ...rows.map(({ id }) => blankRow(id, nodes, id === ownGroup)));
    }
    for (const row of rows) this.#fill(row, nodes);
    this.#host.hidden = rows.length === 0;
  }

  #fill(row: GroupRow, nodes: readonly WatchedNode[]): void {
    const line = [...this.#host.children].find((child) => (child as HTMLElement).dataset["group"] === row.id);
    if (line === undefined) return;
    const cells = [...line.children];
    for (const [index, { node, life }] of nodes.entries()) {
      const cell = cells[index + 1];
      if (cell === undefined) continue;
      const replica = row.replicas.get(node);
      const role = replica?.role ?? (life.type === "fallen" ? "away" : "unknown");
      cell.setAttribute("data-role", role);
      cell.setAttribute(
        "title",
        replica === undefined
          ? `${node} does not answer`
          : `${node}: ${role}, applied ${countText(replica.appliedIndex)}`,
      );
      setText(cell, role === "leader" ? "★" : role === "away" ? "×" : role === "follower" ? "●" : "◌");
    }
    setText(cells.at(-2) ?? line, String(row.term));
    setText(cells.at(-1) ?? line, countText(row.commitIndex));
  }
}

function groupRows(nodes: readonly WatchedNode[]): GroupRow[] {
  const replicas = new Map<string, Map<string, GroupStatus>>();
  for (const { node, life } of nodes) {
    if (life.type !== "standing") continue;
    for (const group of life.status.groups) {
      const known = replicas.get(group.id) ?? new Map<string, GroupStatus>();
      replicas.set(group.id, known.set(node, group));
    }
  }
  return [...replicas]
    .map(([id, byNode]) => {
      const all = [...byNode.values()];
      const term = Math.max(...all.map((replica) => replica.term));
      return {
        id,
        term,
        commitIndex: Math.max(...all.map((replica) => replica.commitIndex)),
        replicas: byNode,
      };
    })
    .sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
}

function head(nodes: readonly WatchedNode[]): HTMLElement {
  const shields = nodes.map((_, index) => element("span", "replica", numeral(index)));
  return element(
    "div",
    "group-row group-head",
    element("span", "", "group"),
    ...shields,
    element("span", "number", "term"),
    element("span", "number", "agreed"),
  );
}

function blankRow(id: string, nodes: readonly WatchedNode[], own: boolean): HTMLElement {
  const row = element(
    "div",
    own ? "group-row own" : "group-row",
    element("span", "group-name", id),
    ...nodes.map(() => element("span", "replica")),
    element("span", "number"),
    element("span", "number"),
  );
  row.dataset["group"] = id;
  if (own) row.title = "this match's group";
  return row;
}
