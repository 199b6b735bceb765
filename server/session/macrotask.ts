/** Machines are called from macrotasks only: a promise's continuation would run in the midst of room code's microtasks. */
export function inMacrotask<T>(act: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(act());
      } catch (error) {
        reject(error);
      }
    });
  });
}
