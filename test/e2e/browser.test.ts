// test-run: seconds=240
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ArenaPage, buildPage, openBrowser, type Told } from "./browser-page.ts";
import { type Cluster, withCluster } from "./cluster.ts";

const test = suite("two browsers in one match, under which every server is killed");

/** What must come after a kill until the match counts as going on. */
const onward = { patches: 20, frames: 10 };

/** Two visitors, each on a node of its own, who hold the trigger. */
async function underFire(
  run: (world: { cluster: Cluster; pages: readonly [ArenaPage, ArenaPage] }) => Promise<void>,
) {
  await buildPage();
  await withCluster({}, async (cluster) => {
    const browser = await openBrowser();
    try {
      const viewport = { width: 880, height: 420 };
      const pages = [
        await ArenaPage.open(browser, viewport),
        await ArenaPage.open(browser, viewport),
      ] as const;
      for (const [at, page] of pages.entries()) {
        await page.enter(cluster.urls[at] as string, ["Livia", "Marcus"][at] as string);
        await page.page.keyboard.down("w");
        await page.page.keyboard.down("Space");
      }
      for (const page of pages)
        for (const id of cluster.ids)
          await page.page.waitForSelector(`[data-node="${id}"][data-life="standing"]`);
      await run({ cluster, pages });
    } finally {
      await browser.close();
    }
  });
}

async function leaderOf(cluster: Cluster, roomId: string): Promise<string> {
  return await cluster.until("all nodes name one leader of the room's group", async () => {
    const leaders = new Set<string | null | undefined>();
    for (const id of cluster.ids) {
      const status = await cluster.status(id);
      const room = status?.rooms.find((one) => one.roomId === roomId);
      leaders.add(status?.groups.find((one) => one.id === room?.group)?.leader);
    }
    const [leader] = leaders;
    return leaders.size === 1 && leader ? leader : null;
  });
}

/** The shots that were answered are the match's, neither fewer nor more; then fire is held again. */
async function checkShots(page: ArenaPage, before: Told): Promise<void> {
  await page.page.keyboard.up("Space");
  const now = await page.answered();
  assert.is(now.unknown, 0, `every shot was answered, but: ${now.doubt}`);
  assert.is(now.acknowledged, now.shots);
  assert.is(now.shotsInMatch, now.shots, "shots in the match");
  assert.ok(now.shots > before.shots, "it fired on");
  assert.equal([now.shotsLost, now.shotsDoubled], [0, 0]);
  assert.is(await page.text("#shots-lost"), "0");
  await page.page.keyboard.down("Space");
}

/** Kills a node, sees the match go on in both pages, and starts the node again. */
async function killUnder(
  { cluster, pages }: { cluster: Cluster; pages: readonly ArenaPage[] },
  victim: string,
  {
    how = () => cluster.kill(victim),
    meanwhile = async () => {},
  }: { how?: () => Promise<void>; meanwhile?: () => Promise<void> } = {},
): Promise<void> {
  const before = await Promise.all(pages.map((page) => page.tell()));
  await how();
  assert.equal(await cluster.process(victim).ended, { code: null, signal: "SIGKILL" });
  for (const [at, page] of pages.entries()) {
    const was = before[at] as Told;
    await page.page.waitForSelector(`[data-node="${victim}"][data-life="fallen"]`);
    await page.goesOn(await page.tell(), { ...onward, not: victim });
    const now = await page.tell();
    assert.equal([now.roomId, now.sessionId], [was.roomId, was.sessionId], "the same room, the same seat");
    assert.ok(now.score >= was.score && now.clockMs > was.clockMs);
    assert.is(now.serversKilled, was.serversKilled + 1);
    await page.page.waitForSelector(`[data-node="${now.node}"][data-own="true"]`);
    assert.is(await page.text("#servers-killed"), String(now.serversKilled));
    await checkShots(page, was);
  }
  await meanwhile();
  cluster.launch(victim);
  await cluster.ready();
  for (const page of pages) await page.page.waitForSelector(`[data-node="${victim}"][data-life="standing"]`);
}

test("[E12] the server under a page, the room's leader and the third are killed: seat, score, shots and clock stay", async () => {
  await underFire(async ({ cluster, pages }) => {
    const [one, two] = pages;
    const told = await Promise.all(pages.map((page) => page.tell()));
    const { roomId } = told[0] as Told;
    assert.is((told[1] as Told).roomId, roomId, "one room");
    assert.equal(
      told.map(({ node }) => node),
      ["n1", "n2"],
      "each on the node that serves it",
    );

    await killUnder({ cluster, pages }, "n1");
    const leader = await leaderOf(cluster, roomId);
    await killUnder({ cluster, pages }, leader);
    const third = cluster.ids.find((id) => id !== "n1" && id !== leader) ?? "n3";
    await killUnder({ cluster, pages }, third, {
      how: () => one.page.click(`[data-node="${third}"] .kill`),
      meanwhile: async () => {
        for (const [at, page] of pages.entries()) await checkFrames(page, `page ${at + 1}`);
        const elsewhere = cluster.ids.findLast((id) => id !== third && id !== "n2") as string;
        await checkNewVisit(two, { node: elsewhere, url: cluster.url(elsewhere), roomId });
        await checkReload(one);
      },
    });
  });
});

/** The clock was looked at in every frame, and never went back; what is drawn changes. */
async function checkFrames(page: ArenaPage, name: string): Promise<void> {
  const { seen, lower } = await page.frames();
  assert.ok(seen > onward.frames);
  assert.equal(lower, []);
  assert.equal(page.errors, []);
  const drawn = await page.drawn();
  const told = await page.tell();
  await page.goesOn(told, onward);
  assert.not.ok((await page.drawn()).equals(drawn), "the canvas goes on");
  assert.is(told.serversKilled, 3);
  process.stdout.write(`${name}: longest gap around a kill ${Math.round(told.worstGapMs ?? 0)} ms\n`);
}

/** While one node is down, the page that another one serves leads into the same match. */
async function checkNewVisit(
  page: ArenaPage,
  { node, url, roomId }: { node: string; url: string; roomId: string },
): Promise<void> {
  const before = await page.tell();
  await page.enter(url, "Cato");
  const told = await page.tell();
  assert.equal([told.roomId, told.node], [roomId, node]);
  assert.ok(told.clockMs > before.clockMs);
  await page.goesOn(told, onward);
  assert.equal((await page.frames()).lower, []);
}

/** A page that is loaded anew has its seat again: its points, its shots and its clock go on. */
async function checkReload(page: ArenaPage): Promise<void> {
  await page.page.keyboard.up("Space");
  const before = await page.answered();
  await page.reload();
  const now = await page.tell();
  assert.equal([now.roomId, now.sessionId], [before.roomId, before.sessionId]);
  assert.ok(now.clockMs > before.clockMs && now.score >= before.score);
  assert.is(now.shotsInMatch, before.shotsInMatch);
  await page.goesOn(now, onward);
  assert.equal((await page.frames()).lower, []);
}

test.run();
