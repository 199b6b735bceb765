import { processWide } from "../session/process-wide.ts";

/** This process is the cluster, in memory: whoever ends all of its rooms here, as a test that cleans up, means just that. */
export const wholeCluster: { isOneProcess: boolean } = processWide("wholeCluster", () => ({
  isOneProcess: false,
}));
