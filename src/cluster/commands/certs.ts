/** `pinnace certs`: when the cluster's certificates end, and new ones (kubeadm's `certs`). The running server takes them up by itself. */
import { X509Certificate } from "node:crypto";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { leavesOf, pkiRequestOf } from "../certificate-renewal.ts";
import {
  type ClusterPki,
  type FormerAuthority,
  forgetFormerAuthorities,
  renewPki,
  replaceAuthority,
  replaceTokenKey,
  succeedAuthority,
} from "../certificates.ts";
import { lock } from "../cluster-lock.ts";
import type { ClusterPlan } from "../config/cluster-config.ts";
import { refreshUserKubeconfigs, writeClusterKubeconfig } from "../kubeconfig.ts";
import { type ClusterPaths, clusterPaths, readPki, readPlan, writePki } from "../state-folder.ts";
import { defaultClusterName } from "./up.ts";

interface WhichCluster {
  name?: string;
  print(line: string): void;
}

export function checkExpiration(options: WhichCluster): void {
  const { pki } = standing(options);
  const rows = [
    ...leavesOf(pki).map(([name, pair]) => [words[name], pair.certificatePem] as const),
    ["ca", pki.ca.certificatePem] as const,
    ...former("former ca", pki.formerCas),
    ...(pki.frontProxy ? [["front-proxy-ca", pki.frontProxy.caCertificatePem] as const] : []),
    ...former("former front-proxy-ca", pki.frontProxy?.formerCas),
  ];
  options.print(["CERTIFICATE".padEnd(21), "EXPIRES".padEnd(20), "RESIDUAL TIME"].join("   "));
  for (const [name, pem] of rows) {
    const ends = new Date(new X509Certificate(pem).validTo);
    const left = residualTime(ends.getTime() - systemClock.now());
    options.print([name.padEnd(21), ends.toISOString().replace(/\.\d+Z$/, "Z"), left].join("   "));
  }
}

/** New certificates of the same authorities. */
export async function renewCertificates(options: WhichCluster): Promise<void> {
  await exchange(options, (pki, request) =>
    renewPki(pki, { ...request, leaves: ["apiServer", "admin", "frontProxy"] }),
  );
  options.print("The certificates were renewed; a running server has taken them up.");
}

function former(name: string, authorities: readonly FormerAuthority[] = []): (readonly [string, string])[] {
  return authorities.map(({ certificatePem }) => [name, certificatePem]);
}

/**
 * A new authority. What the former ones signed counts until they end or are forgotten, which gives joined nodes and users time to
 * change over. `revoke`: every certificate of another authority is worth nothing from then on.
 */
export async function rotateAuthority({ revoke, ...options }: WhichCluster & { revoke: boolean }): Promise<void> {
  await exchange(options, revoke ? replaceAuthority : succeedAuthority);
  options.print(
    revoke
      ? "The cluster has a new authority. Certificates of the old one are refused; kubeconfigs made by other means, and nodes that joined, need new ones."
      : 'The cluster has a new authority, and joined nodes change over to it by themselves. Certificates of the old one count until "pinnace certs forget-former-ca".',
  );
}

/** The last step of changing over: whoever still shows a certificate of a former authority is refused. */
export async function forgetFormer(options: WhichCluster): Promise<void> {
  const { pki } = standing(options);
  if (!pki.formerCas?.length && !pki.frontProxy?.formerCas?.length) {
    options.print("There is no former authority.");
    return;
  }
  await exchange(options, forgetFormerAuthorities);
  options.print("Certificates of former authorities are refused from now on.");
}

/** A new key for the tokens of ServiceAccounts. `revoke`: those of former keys are refused from then on. */
export async function rotateTokenKey({ revoke, ...options }: WhichCluster & { revoke: boolean }): Promise<void> {
  await exchange(options, (pki) => replaceTokenKey(pki, { revoke }));
  options.print(
    revoke
      ? "ServiceAccounts' tokens are signed with a new key; all that were given out before are refused. Pods get new ones when they are restarted."
      : "ServiceAccounts' tokens are signed with a new key; those that were given out before count until they end.",
  );
}

async function exchange(
  options: WhichCluster,
  make: (pki: ClusterPki, request: Parameters<typeof replaceAuthority>[1]) => ClusterPki,
): Promise<void> {
  const paths = clusterPaths(options.name ?? defaultClusterName);
  const turn = await lock(paths, "command");
  try {
    const { plan, pki } = standing(options);
    const next = make(pki, {
      ...pkiRequestOf(plan),
      nowMs: systemClock.now(),
      random: systemRandom,
    });
    writePki(paths, next);
    writeClusterKubeconfig(plan, next, paths.kubeconfig);
    await refreshUserKubeconfigs(plan, next, paths);
  } finally {
    await turn.release();
  }
}

function standing({ name = defaultClusterName }: WhichCluster): {
  plan: ClusterPlan;
  pki: ClusterPki;
  paths: ClusterPaths;
} {
  const paths = clusterPaths(name);
  const [plan, pki] = [readPlan(paths), readPki(paths)];
  if (!plan || !pki) throw new Error(`there is no cluster "${name}"; "pinnace up --name ${name}" makes it`);
  return { plan, pki, paths };
}

const words = { apiServer: "apiserver", admin: "admin", frontProxy: "front-proxy-client" } as const;

function residualTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds <= 0) return "expired";
  if (seconds < 3600) return `${seconds}s`;
  return seconds < 2 * 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
