/** `pinnace token`: what a machine needs to join a cluster of this one. */
import { Secrets } from "../../api/resources.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { adminClient } from "../admin-client.ts";
import { authoritiesOf } from "../certificates.ts";
import type { ClusterPlan } from "../config/cluster-config.ts";
import { describeToken, newToken, tokenSecret, tokenSecretName } from "../joining/bootstrap-token.ts";
import { authorityHash } from "../joining/discovery.ts";
import { writeJoinObjects } from "../joining/join-objects.ts";
import { clusterPaths, readPki, readPlan } from "../state-folder.ts";
import { defaultClusterName } from "./up.ts";

interface WhichCluster {
  name?: string;
  print(line: string): void;
}

/** Prints the command that joins, and only that: it is made to be copied. */
export async function createToken(
  options: WhichCluster & {
    ttlHours?: number | undefined;
    description?: string | undefined;
    server?: string | undefined;
  },
): Promise<void> {
  const { ttlHours = 24, description = "", print } = options;
  await withCluster(options, async (plan, ca, api) => {
    const server = options.server ?? joinAddress(plan);
    await writeJoinObjects(api, plan, ca, `https://${server}`);
    const token = newToken(systemRandom);
    const expiresAtMs = ttlHours === 0 ? undefined : systemClock.now() + ttlHours * 3_600_000;
    await api.create(Secrets, tokenSecret(token, expiresAtMs, description));
    print(
      `pinnace join ${server} --token ${token.id}.${token.secret} --discovery-token-ca-cert-hash ${authorityHash(ca)}`,
    );
  });
}

export async function listTokens(options: WhichCluster): Promise<void> {
  await withCluster(options, async (_plan, _ca, api) => {
    const { items } = await api.list(Secrets, { namespace: "kube-system" });
    options.print(["TOKEN".padEnd(23), "EXPIRES".padEnd(20), "DESCRIPTION"].join("   "));
    for (const found of items.flatMap((secret) => describeToken(secret) ?? []))
      options.print([found.token.padEnd(23), found.expires.padEnd(20), found.description].join("   ").trimEnd());
  });
}

/** By its id or whole. */
export async function deleteToken(token: string, options: WhichCluster): Promise<void> {
  await withCluster(options, async (_plan, _ca, api) => {
    const id = token.split(".")[0]!;
    await api.delete(Secrets, { name: tokenSecretName(id), namespace: "kube-system" });
    options.print(`bootstrap token ${JSON.stringify(id)} deleted`);
  });
}

/** On the nodes' LAN, where they have one: this machine's loopback is nobody else's. */
function joinAddress({ nodes, apiServer }: ClusterPlan): string {
  const control = nodes.find((node) => node.role === "control-plane" && node.kind === "local");
  return control ? `${control.address}:6443` : `${apiServer.address}:${apiServer.port}`;
}

async function withCluster(
  { name = defaultClusterName }: WhichCluster,
  work: (plan: ClusterPlan, ca: string, api: Awaited<ReturnType<typeof adminClient>>["api"]) => Promise<void>,
): Promise<void> {
  const paths = clusterPaths(name);
  const [plan, pki] = [readPlan(paths), readPki(paths)];
  if (!plan || !pki)
    throw new Error(`there is no cluster "${name}" on this machine; "pinnace up --name ${name}" makes one`);
  const { api, close } = await adminClient(plan, pki);
  try {
    await work(plan, authoritiesOf(pki), api);
  } finally {
    await close();
  }
}
