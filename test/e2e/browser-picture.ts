import type { Browser } from "playwright-core";
import type { ArenaPage } from "./browser-page.ts";
import type { Cluster } from "./cluster.ts";
export async function savePicture(_: {
  browser: Browser;
  cluster: Cluster;
  page: ArenaPage;
}): Promise<void> {}
