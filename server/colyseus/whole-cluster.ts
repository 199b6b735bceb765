let isOneProcess = false;

/** This process is the cluster, in memory: whoever ends all of its rooms here, as a test that cleans up, means just that. */
export const wholeCluster = {
  get isOneProcess(): boolean {
    return isOneProcess;
  },
  set isOneProcess(is: boolean) {
    isOneProcess = is;
  },
};
