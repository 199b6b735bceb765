import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const page = fileURLToPath(new URL("./arena", import.meta.url));
const built = fileURLToPath(new URL("../dist/arena", import.meta.url));

// `vite build client` makes dist/arena: index.html with its assets beside it, addressed relatively, so that every
// node can serve the folder as it is.
export default defineConfig({
  base: "./",
  // The command line's root (client, where this file is found) would win over one that is set here plainly.
  plugins: [{ name: "page-folder", config: () => ({ root: page }) }],
  build: {
    outDir: built,
    emptyOutDir: true,
    target: "es2023",
    chunkSizeWarningLimit: 1_200,
  },
});
