import { test } from "uvu";
import * as assert from "uvu/assert";
import { leadRank } from "../../server/cluster/lead-rank.ts";

test("[C31] the home region goes before all others, then the priority; 0 stays 0", () => {
  const rank = (leadPriority: number, region: string, homeRegion = "eu") =>
    leadRank({ leadPriority, region, homeRegion });
  assert.ok(rank(1, "eu") > rank(100, "us"));
  assert.ok(rank(60, "eu") > rank(50, "eu"));
  assert.ok(rank(60, "us") > rank(50, "asia"));
  assert.is(rank(0, "eu"), 0);
  assert.is(rank(0, "us"), 0);
  assert.is(rank(50, "eu", ""), rank(50, "us", ""), "without a home region all are equal");
});

test.run();
