import { installedVersion } from "../colyseus-version.ts";
import { testudoVersion } from "../testudo-version.ts";

/**
 * What this process computes with, in words: two engines never run one log (design 5.4). `Math.pow`, `Intl`, the order of
 * a sort and local time may differ between two that are not the same; so may what Testudo and Colyseus do with a room.
 */
export function engineWords(): string {
  const { node, v8, icu, tz } = process.versions;
  const { timeZone, locale } = Intl.DateTimeFormat().resolvedOptions();
  const core = installedVersion("@colyseus/core");
  const schema = installedVersion("@colyseus/schema");
  return [
    ...[`node ${node}`, `v8 ${v8}`, `icu ${icu}`, `tz ${tz}`, `architecture ${process.arch}`],
    ...[`time zone ${timeZone}`, `locale ${locale}`],
    ...[`testudo ${testudoVersion()}`, `@colyseus/core ${core}`, `@colyseus/schema ${schema}`],
  ].join(", ");
}

/** In which parts two engines are not the same: "node 24.1.0, here node 24.2.0"; "" if in none. */
export function engineDifference(theirs: string, own: string): string {
  const [their, ours] = [theirs.split(", "), own.split(", ")];
  const only = (some: string[], others: string[]) => some.filter((part) => !others.includes(part)).join(", ");
  const [there, here] = [only(their, ours), only(ours, their)];
  return there === here ? "" : `${there || "nothing more"}, here ${here || "nothing more"}`;
}
