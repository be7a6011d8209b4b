/** The administrator's client of a running cluster, for commands: over HTTPS, as kubectl speaks to it. */
import { systemClock } from "../base/node/system-clock.ts";
import type { Client } from "../client/client.ts";
import { authoritiesOf, type ClusterPki } from "./certificates.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { pinnaceVersion } from "./version.ts";

export async function adminClient(
  { apiServer }: ClusterPlan,
  pki: ClusterPki,
): Promise<{ api: Client; close(): Promise<void> }> {
  // Most commands never speak to the API.
  const { HttpsClient } = await import("../client/https-client.ts");
  const client = new HttpsClient({
    connection: {
      server: `https://${apiServer.address}:${apiServer.port}`,
      ca: authoritiesOf(pki),
      certificate: pki.admin.certificatePem,
      key: pki.admin.privateKeyPem,
    },
    clock: systemClock,
    userAgent: `pinnace/${pinnaceVersion}`,
  });
  return { api: client, close: async () => client.close() };
}
