/** Of ascending values, by nearest rank. */
export function quantile(ascending: readonly number[], part: number): number {
  return (
    ascending[Math.min(ascending.length - 1, Math.max(0, Math.ceil(ascending.length * part) - 1))] ??
    Number.NaN
  );
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const ascending = [...values].sort((a, b) => a - b);
  return { min: quantile(ascending, 0), median: quantile(ascending, 0.5), max: quantile(ascending, 1) };
}
