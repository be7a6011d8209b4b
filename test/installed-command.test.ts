/** The command as npm puts it on the PATH: a launcher for shells, and Node's program in one file. */
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../src/base/node/system-clock.ts";
import { systemRandom } from "../src/base/node/system-random.ts";
import { createPki } from "../src/cluster/certificates.ts";

const folder = mkdtempSync(join(tmpdir(), "pnt-installed-"));
const manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: far }\n";
const server = createServer((request, response) => {
  if (request.url === "/moved") response.writeHead(302, { location: "/cm.yaml" }).end();
  else response.end(manifest);
});
const authority = join(folder, "ca.pem");
const plugin = join(folder, "bin", "kubectl-trust");

beforeAll(async () => {
  const pki = createPki({
    clusterName: "pnt",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    nowMs: systemClock.now(),
    random: systemRandom,
  });
  server.setSecureContext({ cert: pki.apiServer.certificatePem, key: pki.apiServer.privateKeyPem });
  writeFileSync(authority, pki.ca.certificatePem);
  mkdirSync(join(folder, "bin"));
  symlinkSync(resolve("dist/bin/pinnace.cjs"), join(folder, "bin", "pinnace"));
  writeFileSync(plugin, '#!/bin/sh\necho "$SSL_CERT_FILE|$NODE_EXTRA_CA_CERTS|$PINNACE_SSL_CERT_FILE"\n');
  chmodSync(plugin, 0o755);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const call = (environment: NodeJS.ProcessEnv, ...args: string[]) => {
  const { SSL_CERT_FILE: _file, SSL_CERT_DIR: _folder, NODE_EXTRA_CA_CERTS: _extra, ...clean } = process.env;
  const PATH = `${join(folder, "bin")}:${process.env["PATH"]}`;
  const env = { ...clean, KUBECONFIG: join(folder, "none"), ...environment, PATH };
  return promisify(execFile)("pinnace", args, { env, timeout: 60_000 });
};
const label = (path = "/cm.yaml") => {
  const { port } = server.address() as AddressInfo;
  return ["kubectl", "label", "--local", "-f", `https://127.0.0.1:${port}${path}`, "a=b", "-o", "name"];
};

test("the command runs from a link on the PATH, whatever the verb", async () => {
  expect((await call({}, "--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect((await call({}, "kubectl", "version", "--client")).stdout).toContain("Client Version: v1.36");
  expect((await call({ NODE_OPTIONS: "--no-warnings" }, "kubectl", "version", "--client")).stdout).toContain("Client");
});

test("kubectl believes the authorities that the machine's variables name, though Node starts without reading them", async () => {
  await expect(call({}, ...label())).rejects.toThrow(/certificate/);
  expect((await call({ SSL_CERT_FILE: authority }, ...label())).stdout).toBe("configmap/far\n");
  expect((await call({ NODE_EXTRA_CA_CERTS: authority }, ...label("/moved"))).stdout).toBe("configmap/far\n");
});

test("what the launcher keeps from Node, the programs that kubectl calls are given", async () => {
  const { stdout } = await call({ SSL_CERT_FILE: "/a.pem", NODE_EXTRA_CA_CERTS: authority }, "kubectl", "trust");
  expect(stdout).toBe(`/a.pem|${authority}|\n`);
  expect((await call({}, "kubectl", "trust")).stdout).toBe("||\n");
});
