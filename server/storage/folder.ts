import { mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** A new file or folder is durable only once the folder that names it is synced. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Makes a folder, and those above it, durably, if it is not there. */
export async function makeFolder(location: string): Promise<void> {
  const path = resolve(location);
  const made = await mkdir(path, { recursive: true });
  if (made === undefined) return;
  const top = dirname(made);
  for (let at = dirname(path); at.length >= top.length; at = dirname(at)) {
    await syncFolder(at);
    if (at === top) return;
  }
}
