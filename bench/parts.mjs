// Parts of the program made runnable on their own: for measurements that look behind the public surface.
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

let made = 0;

/** `exports` maps source files to the names that are wanted of them. */
export async function bundledParts(exports) {
  // Inside the project, where packages are found.
  const outfile = resolve(`dist/bench-parts-${process.pid}-${made++}.mjs`);
  const contents = Object.entries(exports)
    .map(([file, names]) => `export { ${names.join(", ")} } from ${JSON.stringify(`./src/${file}`)};`)
    .join("\n");
  await build({
    stdin: { contents, resolveDir: process.cwd(), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["koffi", "lmdb", "undici", "yaml", "ws"],
    outfile,
    logLevel: "error",
  });
  return { parts: await import(pathToFileURL(outfile).href), remove: () => rmSync(outfile) };
}
