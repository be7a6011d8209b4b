#!/usr/bin/env node
/**
 * The entry file of the `pinnace` command. It loads the bundle that the verb needs through V8's code cache: compiling anew would
 * take longer than anything else that happens before the API answers.
 */
// Not by import: Node would make each of these fit for ES modules first, every part of them, which takes longer than their use.
const { readFileSync, renameSync, writeFileSync } = process.getBuiltinModule("node:fs");
const { createRequire } = process.getBuiltinModule("node:module");
const { dirname, join } = process.getBuiltinModule("node:path");
const { fileURLToPath } = process.getBuiltinModule("node:url");
const { Script } = process.getBuiltinModule("node:vm");

const entry = fileURLToPath(import.meta.url);
const verb = process.argv[2] ?? "";
const bundle = join(dirname(entry), "..", verb === "kubectl" || verb === "server" ? `${verb}.cjs` : "command.cjs");
// Code is only good for the V8 that made it.
const cacheFile = `${bundle}.${process.versions.v8}-${process.arch}.cache`;

function readCache(): Buffer | undefined {
  try {
    return readFileSync(cacheFile);
  } catch {
    return undefined;
  }
}

// The build leaves nothing but ASCII in it, which need not be decoded.
const source = readFileSync(bundle, "latin1");
const cachedData = readCache();
const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
  filename: bundle,
  ...(cachedData ? { cachedData } : {}),
});

/** Keeps what has been compiled so far. In vain where the package's folder cannot be written: then every start compiles. */
function saveCache(): void {
  if (cachedData && !script.cachedDataRejected) return;
  try {
    const draft = `${cacheFile}.${process.pid}`;
    writeFileSync(draft, script.createCachedData());
    renameSync(draft, cacheFile);
  } catch {
    // Read-only: nothing is lost but speed.
  }
}

const module = {
  exports: {} as {
    runCli(argv: readonly string[], entry: string, onWarm: () => void): Promise<number>;
    kubectl(argv: readonly string[]): Promise<number>;
  },
};
script.runInThisContext()(module.exports, createRequire(bundle), module, bundle, dirname(bundle));
if (verb === "kubectl") process.exitCode = await module.exports.kubectl(process.argv.slice(3));
else process.exitCode = await module.exports.runCli(process.argv.slice(2), entry, saveCache);
// Of the shorter verbs these are worth it; a server calls for it once it is warm.
if (verb === "kubectl" || verb === "up") saveCache();

export {};
