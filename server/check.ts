/** What `import … from "testudo/check"` gives: found before the match, not in it. A door of its own: no node needs it. */
export { assertDeterminism, type CheckOptions, checkDeterminism } from "./check/check-determinism.ts";
export { CheckError } from "./check/check-error.ts";
export {
  type CheckProblem,
  type CheckReport,
  type FirstDifference,
  NotDeterministic,
} from "./check/check-report.ts";
export type { CheckScript, CheckStep } from "./check/check-script.ts";
