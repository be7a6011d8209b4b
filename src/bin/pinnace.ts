/**
 * The entry file of the `pinnace` command. It loads the bundle that the verb needs through V8's code cache: compiling anew would
 * take longer than anything else that happens before the API answers.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Script } from "node:vm";

interface Bundle {
  runCli(argv: readonly string[], entry: string, onWarm: () => void): Promise<number>;
  kubectl(argv: readonly string[]): Promise<number>;
  kubectlVerbs: ReadonlySet<string>;
}

const verb = process.argv[2] ?? "";
const isKubectl = verb === "kubectl";
restoreEnvironment();
const hasOwnBundle = isKubectl || verb === "server" || verb === "up";
const bundle = join(dirname(__filename), "..", `${hasOwnBundle ? verb : "command"}.cjs`);
// Code is only good for the V8 that made it, run with the same flags. Each verb of kubectl has its own: no more of it is read than it runs.
const part = isKubectl ? `.${/^\w[\w-]*$/.exec(process.argv[3] ?? "")?.[0] ?? ""}` : "";
const flags = process.execArgv.map((flag) => flag.replace(/[^\w=-]/g, "_")).join("");
const cacheFile = `${bundle}${part}.${process.versions.v8}-${process.arch}${flags}.cache`;

/**
 * What the launcher keeps from Node, so that it starts at once, is there again for this program and for those that it calls. Not in
 * the process's own environment: OpenSSL would read the file after all.
 */
function restoreEnvironment(): void {
  const { PINNACE_SSL_CERT_FILE: file, PINNACE_NODE_EXTRA_CA_CERTS: extra, ...rest } = process.env;
  if (file === undefined && extra === undefined) return;
  if (file !== undefined) delete rest["SSL_CERT_FILE"];
  process.env = { ...rest, ...(file ? { SSL_CERT_FILE: file } : {}), ...(extra ? { NODE_EXTRA_CA_CERTS: extra } : {}) };
}

function readCache(): Buffer | undefined {
  try {
    return readFileSync(cacheFile);
  } catch {
    return undefined;
  }
}

// The build makes it one function, and leaves nothing but ASCII in it, which need not be decoded.
const source = readFileSync(bundle, "latin1");
const cachedData = readCache();
const script = new Script(source, {
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

/** One of Node's own modules, loaded when something of it is first used. */
function whenUsed(name: string): unknown {
  return new Proxy({}, { get: (_, property) => (require(name) as Record<PropertyKey, unknown>)[property] });
}

/** Of kubectl, most modules are there for other verbs. */
function requireOfKubectl(name: string): unknown {
  return name.startsWith("node:") ? whenUsed(name) : require(name);
}

/** What a server uses once its API answers, or never. */
const usedLater = new Set(["node:dgram", "node:dns/promises", "node:http2", "node:https"]);

const loaded = { exports: {} as Bundle };
const run = script.runInThisContext() as (...args: unknown[]) => void;

if (isKubectl) {
  run(loaded.exports, requireOfKubectl, loaded, bundle, dirname(bundle));
  const { kubectl, kubectlVerbs } = loaded.exports;
  void kubectl(process.argv.slice(3)).then((exitCode) => {
    process.exitCode = exitCode;
    if (exitCode === 0 && (part === "." || kubectlVerbs.has(part.slice(1)))) saveCache();
    // All has been said: nothing that is still open is worth waiting for, unless the reader is slow.
    setImmediate(() => {
      if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit();
    });
  });
} else {
  const { createRequire } = require("node:module") as typeof import("node:module");
  const requireBesides = createRequire(bundle);
  const requireOfServer = (name: string) => (usedLater.has(name) ? whenUsed(name) : requireBesides(name));
  requireOfServer.resolve = requireBesides.resolve;
  run(loaded.exports, requireOfServer, loaded, bundle, dirname(bundle));
  void loaded.exports.runCli(process.argv.slice(2), __filename, saveCache).then((exitCode) => {
    process.exitCode = exitCode;
    // Of the shorter verbs this one is worth it; a server calls for it once it is warm.
    if (verb === "up") saveCache();
  });
}
