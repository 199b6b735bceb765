import { playerNameLengthMax } from "../../shared/arena/messages.ts";

const storageKey = "testudo.name";
const names = Object.freeze([
  "Livia",
  "Marcus",
  "Aurelia",
  "Titus",
  "Flavia",
  "Cato",
  "Drusilla",
  "Nero",
  "Valeria",
  "Quintus",
  "Sabina",
  "Lucius",
]);

/** The player's name: `?name=` of the address, else the one of last time, else one by lot. */
export function playerName(): string {
  const asked =
    new URLSearchParams(window.location.search).get("name")?.trim().slice(0, playerNameLengthMax) ?? "";
  const name =
    asked ||
    window.localStorage.getItem(storageKey) ||
    (names[Math.floor(Math.random() * names.length)] ?? "Livia");
  window.localStorage.setItem(storageKey, name);
  return name;
}
