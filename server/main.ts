/** One node with the sample game: `node server/main.ts [options]`; `--help` lists them. */
// One after the other: time and chance are replaced before any other module can take hold of them (design 5.4).
await import("./colyseus/register.ts");
await import("./game.ts");
