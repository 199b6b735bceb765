import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const wrapper = fileURLToPath(new URL("./testudo-client.ts", import.meta.url));
const built = fileURLToPath(new URL("../dist/client", import.meta.url));

// Makes dist/client/testudo-client.js: the wrapper alone. The SDK that it extends is the game's own; vite prints the size.
export default defineConfig({
  build: {
    outDir: built,
    emptyOutDir: true,
    target: "es2023",
    lib: { entry: wrapper, formats: ["es"], fileName: "testudo-client" },
    rollupOptions: { external: [/^@colyseus\//] },
    minify: true,
    reportCompressedSize: true,
  },
});
