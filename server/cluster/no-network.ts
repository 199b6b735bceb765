import type { NodeNetwork } from "./node-parts.ts";

/** Of a node that is alone: it listens nowhere, and has nobody to send to. */
export const noNetwork: NodeNetwork = Object.freeze({
  start: async () => {},
  send: () => {},
  bufferedBytes: () => 0,
  peers: () => [],
  setClusterId: () => {},
  setAgreedLevel: () => {},
  setPeers: () => {},
  close: async () => {},
});
