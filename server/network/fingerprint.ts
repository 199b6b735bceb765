/**
 * What this process computes with: two engines never run one log (design 5.4). `Math.pow`, `Intl`, the order of a sort and
 * local time may differ between two that are not the same.
 */
export function engineFingerprint(): string {
  const { node, v8, icu, tz } = process.versions;
  const { timeZone, locale } = Intl.DateTimeFormat().resolvedOptions();
  return `node ${node}, v8 ${v8}, icu ${icu}, tz ${tz}, ${process.arch}, ${timeZone}, ${locale}`;
}
