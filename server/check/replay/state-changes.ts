const changesMax = 20;
const lettersMax = 120;

/** What differs between two states as JSON, path by path. */
export function stateChanges(before: unknown, after: unknown): string[] {
  const changes: string[] = [];
  compare("", before, after, changes);
  if (changes.length <= changesMax) return changes;
  return [...changes.slice(0, changesMax), `… and ${changes.length - changesMax} more`];
}

function compare(path: string, before: unknown, after: unknown, changes: string[]): void {
  if (Object.is(before, after)) return;
  if (!isObject(before) || !isObject(after)) {
    changes.push(`${path || "state"}: ${words(before)} → ${words(after)}`);
    return;
  }
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)]))
    compare(path === "" ? name : `${path}.${name}`, before[name], after[name], changes);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function words(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > lettersMax ? `${text.slice(0, lettersMax)}…` : text;
}
