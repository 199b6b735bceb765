/** What server and client must do alike: one input drives a car through one fixed step. */
export interface Car {
  x: number;
  v: number;
}

export function drive(
  { subSteps, subDt }: { readonly subSteps: number; readonly subDt: number },
  car: Car,
  { thrust }: { readonly thrust: number },
): void {
  for (let sub = 0; sub < subSteps; sub++) {
    car.v += (thrust - car.v * 0.5) * subDt;
    car.x += car.v * subDt;
  }
}
