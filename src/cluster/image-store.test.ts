import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { createPki } from "./certificates.ts";

test("registries are believed whom the machine's variables vouch for, though Node itself was not told of them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pnt-trust-"));
  const pki = createPki({
    clusterName: "pnt",
    dnsNames: [],
    ipAddresses: ["127.0.0.2"],
    nowMs: systemClock.now(),
    random: systemRandom,
  });
  const { certificatePem: cert, privateKeyPem: key } = pki.apiServer;
  const asked: (string | undefined)[] = [];
  const registry = createServer({ cert, key }, ({ url }, response) => {
    asked.push(url);
    response.writeHead(404).end();
  });
  await new Promise<void>((listening) => registry.listen(0, "127.0.0.2", listening));
  const host = `127.0.0.2:${(registry.address() as AddressInfo).port}`;
  writeFileSync(join(folder, "ca.crt"), pki.ca.certificatePem);
  vi.stubEnv("NODE_EXTRA_CA_CERTS", join(folder, "ca.crt"));
  // A process reads once whom the machine trusts; files before this one may have made it do so.
  vi.resetModules();
  const { openImageStore } = await import("./image-store.ts");
  const images = await openImageStore({
    folder: join(folder, "images"),
    config: {
      mirrors: { "127.0.0.1:1": [`https://${host}`] },
      registries: { [host]: { insecure: false } },
      substitutions: {},
    },
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  try {
    await expect(images.pull("127.0.0.1:1/lab/none:1")).rejects.toThrow();
    expect(asked[0]).toMatch(/^\/v2\/lab\/none\/manifests\/1/);
  } finally {
    vi.unstubAllEnvs();
    await images.close();
    registry.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
