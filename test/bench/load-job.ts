/** What the bench asks of its load process: see load-main.ts. */
export type LoadJob =
  | { readonly type: "openRooms"; readonly urls: readonly string[] }
  | { readonly type: "openEtcd"; readonly ports: readonly number[] }
  | { readonly type: "run"; readonly inFlight: number; readonly durationMs: number }
  | { readonly type: "close" };

export interface LoadResult {
  /** Committed and answered within the time. */
  readonly commands: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the load process itself. */
  readonly cpuMs: number;
}
