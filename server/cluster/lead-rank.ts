export const leadPriorityMax = 100;

interface Standing {
  readonly leadPriority: number;
  readonly region: string;
  /** "": all regions are equal. */
  readonly homeRegion: string;
}

/**
 * How much a node should lead, as the groups compare it: its priority, and any node of the home region before any other
 * one. 0 stays 0: only if nobody else can.
 */
export function leadRank({ leadPriority, region, homeRegion }: Standing): number {
  const isHome = homeRegion !== "" && region === homeRegion;
  return leadPriority === 0 || !isHome ? leadPriority : leadPriority + leadPriorityMax;
}
