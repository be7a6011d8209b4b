// Bundles src/ into dist/: the command (one script, which its loader compiles from V8's cache), and the library that programs embed.
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { build } from "esbuild";

const common = {
  bundle: true,
  platform: "node",
  target: "node20",
  sourcemap: "linked",
  logLevel: "warning",
};
// Native addons, and what is large and seldom needed; everything else goes into the bundle, where finding it costs nothing.
const external = ["koffi", "lmdb", "undici"];
const lmdbFile = createRequire(import.meta.url).resolve("lmdb");

/** One file that the loader compiles by itself. */
const script = {
  outdir: "dist",
  outExtension: { ".js": ".cjs" },
  format: "cjs",
  external,
  define: { "import.meta.url": "importMetaUrl" },
  banner: { js: 'const importMetaUrl = require("node:url").pathToFileURL(__filename).href;' },
};

/**
 * What must be there at once has a bundle of its own, which loads in a fraction of the time. The loader goes by the verb: what
 * another bundle holds is never asked for in this one.
 */
const withVerbs = (isWanted) => ({
  name: "with-verbs",
  setup: ({ onResolve }) =>
    onResolve({ filter: /^\.\/commands\/[\w-]+\.ts$/ }, ({ path, kind, importer }) =>
      kind === "dynamic-import" && importer.endsWith("/cluster/cli.ts") && !isWanted(basename(path, ".ts"))
        ? { path: "another bundle", external: true }
        : undefined,
    ),
});

/**
 * LMDB's binding with what it needs, but for the native part, which it looks for from where it lies itself. Node would compile it anew
 * at every start. The records are bytes: what makes objects of them is never asked, and needs no native part.
 */
const bundledLmdb = {
  name: "bundled-lmdb",
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^lmdb$/ }, ({ kind, path }) =>
      kind === "require-resolve" ? { path, external: true } : { path: lmdbFile },
    );
    onLoad({ filter: /[\\/]lmdb[\\/]dist[\\/]index\.cjs$/ }, async () => ({
      contents: (await readFile(lmdbFile, "utf8")).replaceAll("__filename", 'require.resolve("lmdb")'),
    }));
  },
};

/**
 * The entry file is a shell's script as well, of which Node sees nothing but comments. Node 20 reads every authority that the machine
 * trusts when it is told of one more, before it runs a line; what needs them asks for them itself. kubectl, which must be there at
 * once, makes Node read none of its own either, unless it is given options. $PINNACE_NODE is another Node than the one on the PATH.
 */
const launcher = `#!/bin/sh
":" //; export PINNACE_NODE_EXTRA_CA_CERTS="\${NODE_EXTRA_CA_CERTS-}"; unset NODE_EXTRA_CA_CERTS
":" //; [ "$1" = kubectl ] && [ -z "\${NODE_OPTIONS-}" ] || exec "\${PINNACE_NODE:-node}" "$0" "$@"
":" //; export PINNACE_SSL_CERT_FILE="\${SSL_CERT_FILE-}"
":" //; SSL_CERT_FILE=/dev/null exec "\${PINNACE_NODE:-node}" --use-openssl-ca "$0" "$@"`;

await rm("dist", { recursive: true, force: true });
await Promise.all([
  build({
    ...common,
    ...script,
    entryPoints: { server: "src/cluster/cli.ts" },
    plugins: [withVerbs((verb) => verb === "server" || verb === "up"), bundledLmdb],
    external: external.filter((name) => name !== "lmdb"),
    define: { ...script.define, "process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED": '"true"' },
  }),
  build({
    ...common,
    ...script,
    entryPoints: { up: "src/cluster/cli.ts" },
    plugins: [withVerbs((verb) => verb === "up" || verb === "welcome")],
  }),
  build({
    ...common,
    ...script,
    entryPoints: { kubectl: "src/cluster/commands/kubectl.ts" },
    minifyWhitespace: true,
    minifySyntax: true,
  }),
  build({
    ...common,
    ...script,
    entryPoints: { command: "src/cluster/cli.ts" },
    plugins: [withVerbs((verb) => verb !== "server")],
  }),
  build({
    ...common,
    entryPoints: { "bin/pinnace": "src/bin/pinnace.ts" },
    outdir: "dist",
    outExtension: { ".js": ".cjs" },
    format: "cjs",
    banner: { js: launcher },
  }),
  build({
    ...common,
    entryPoints: { index: "src/index.ts" },
    outdir: "dist",
    outExtension: { ".js": ".mjs" },
    format: "esm",
    splitting: true,
    packages: "external",
  }),
]);
await chmod("dist/bin/pinnace.cjs", 0o755);
// As it was called once.
await writeFile("dist/bin/pinnace.mjs", 'import "./pinnace.cjs";\n');

// The loader calls the scripts as functions, and reads them as Latin-1, which need not be decoded. What esbuild leaves as it is stands in regular expressions
// and comments, where an escape is as good.
for (const file of ["dist/command.cjs", "dist/server.cjs", "dist/up.cjs", "dist/kubectl.cjs"]) {
  const text = await readFile(file, "utf8");
  const escaped = text.replace(
    /[^\x00-\x7f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  await writeFile(file, `(function (exports, require, module, __filename, __dirname) {${escaped}\n})`);
}
