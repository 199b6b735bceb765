import type { Violation } from "./checker.ts";
import type { Model } from "./model.ts";

const columnPx = 76;
const rowPx = 58;
const leftPx = 90;
const topPx = 64;
const barPx = 14;

/**
 * An SVG: a line for each process, a bar for each operation from its begin to its end. From left to right is the order
 * of what was seen, not the time between; a bar that fades was never answered.
 */
export function violationPicture<State, Input, Output>(
  { key, states, operations, culprit, found }: Violation<State, Input, Output>,
  model: Model<State, Input, Output>,
): string {
  const processes = [...new Set(operations.map(({ process }) => process))];
  const places = operations.flatMap(({ begin, end }) => (Number.isFinite(end) ? [begin, end] : [begin]));
  const columns = [...new Set(places)].toSorted((one, other) => one - other);
  const x = (place: number) =>
    leftPx + columnPx * (Number.isFinite(place) ? columns.indexOf(place) : columns.length);
  const y = (process: string) => topPx + rowPx * processes.indexOf(process);
  const list = (some: readonly State[]) => some.map(model.describeState).join(" or ");
  const width = x(Number.POSITIVE_INFINITY) + 260;
  const height = topPx + rowPx * processes.length + 20;
  const bars = operations.map((operation) => {
    const { process, begin, end, beginMs, endMs, input, outcome } = operation;
    const kind = operation === culprit ? "culprit" : outcome.type === "unknown" ? "unknown" : "known";
    const words = escaped(model.describe(input, outcome));
    const times = `${beginMs.toFixed(2)} ms to ${endMs === null ? "…" : `${endMs.toFixed(2)} ms`}`;
    // Labels of neighbours on one line would cover each other.
    const lower = columns.indexOf(begin) % 2 === 0 ? barPx + 12 : barPx + 24;
    return [
      `<g class="${kind}"><title>${times}: ${words}</title>`,
      `<rect x="${x(begin)}" y="${y(process)}" width="${Math.max(4, x(end) - x(begin))}" height="${barPx}" rx="3"/>`,
      `<text x="${x(begin)}" y="${y(process) + lower}">${words}</text></g>`,
    ].join("");
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    "<style>text{font:11px ui-monospace,monospace;fill:#222}.known rect{fill:#7aa6d8}.unknown rect{fill:url(#fade)}.culprit rect{fill:#d2473c}.culprit text{fill:#a11;font-weight:bold}line{stroke:#ddd}</style>",
    '<defs><linearGradient id="fade"><stop offset="0" stop-color="#999"/><stop offset="1" stop-color="#999" stop-opacity="0"/></linearGradient></defs>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="10" y="20" style="font-size:14px">key "${escaped(key)}" is not linearizable: at first it holds ${escaped(list(states))}</text>`,
    `<text x="10" y="40" class="culprit">${found.length === 0 ? "" : `${escaped(culprit.process)} may have found ${escaped(list(found))}`}</text>`,
    ...processes.map(
      (process) =>
        `<line x1="${leftPx}" x2="${width}" y1="${y(process) + barPx / 2}" y2="${y(process) + barPx / 2}"/><text x="10" y="${y(process) + barPx - 3}">${escaped(process)}</text>`,
    ),
    ...bars,
    "</svg>",
    "",
  ].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
