/** The file of the function `depth` calls above the one that asks (0: that one itself); "" if it is not known. */
export function callerFile(depth: number): string {
  const prepare = Error.prepareStackTrace;
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = depth + 2;
    Error.prepareStackTrace = (_error, sites) => sites[depth + 1]?.getFileName() ?? "";
    return new Error().stack as unknown as string;
  } finally {
    Error.prepareStackTrace = prepare;
    Error.stackTraceLimit = limit;
  }
}
