const numerals = Object.freeze(["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]);

/** @param index from 0 */
export function numeral(index: number): string {
  return numerals[index] ?? String(index + 1);
}

/** `4:05.3`: minutes, seconds, tenths. */
export function clockText(ms: number): string {
  const tenths = Math.floor(ms / 100);
  const minutes = Math.floor(tenths / 600);
  const seconds = Math.floor(tenths / 10) % 60;
  return `${minutes}:${String(seconds).padStart(2, "0")}.${tenths % 10}`;
}

/** `84 ms`, `1.09 s`; `–` while there is none. */
export function msText(ms: number | null): string {
  if (ms === null) return "–";
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`;
}

/** `10,420`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString("en");
}
