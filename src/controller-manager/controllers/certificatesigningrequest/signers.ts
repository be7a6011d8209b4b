/** What each of Kubernetes' own signers signs. Pure. */
import type { CertificateRequestFacts } from "../../../base/node/certificate-request.ts";

const kubeletClientUsages = ["client auth", "digital signature", "key encipherment"];
const kubeletServingUsages = ["digital signature", "key encipherment", "server auth"];

/** By signer name: why a request will not do, in upstream's words and order, or undefined. */
export const signers: Readonly<
  Record<string, (facts: CertificateRequestFacts, usages: readonly string[]) => string | undefined>
> = {
  "kubernetes.io/kube-apiserver-client": (_facts, usages) => {
    const strange = usages.find((usage) => !kubeletClientUsages.includes(usage));
    if (strange !== undefined) return `invalid usage for client certificate: ${strange}`;
    return usages.includes("client auth") ? undefined : "missing required usage for client certificate: client auth";
  },
  "kubernetes.io/kube-apiserver-client-kubelet": (facts, usages) =>
    organizationProblem(facts) ??
    notAllowed("DNS", facts.dnsNames) ??
    notAllowed("Email", facts.emails) ??
    notAllowed("IP", facts.ipAddresses) ??
    notAllowed("URI", facts.uris) ??
    nameProblem(facts) ??
    exactly(usages, kubeletClientUsages),
  "kubernetes.io/kubelet-serving": (facts, usages) =>
    organizationProblem(facts) ??
    (facts.dnsNames.length + facts.ipAddresses.length === 0 ? "DNS or IP subjectAltName is required" : undefined) ??
    notAllowed("Email", facts.emails) ??
    notAllowed("URI", facts.uris) ??
    exactly(usages, kubeletServingUsages) ??
    nameProblem(facts),
  "kubernetes.io/legacy-unknown": () => undefined,
};

export function isKubeletClientRequest(facts: CertificateRequestFacts, usages: readonly string[]): boolean {
  return signers["kubernetes.io/kube-apiserver-client-kubelet"]!(facts, usages) === undefined;
}

function organizationProblem({ organizations }: CertificateRequestFacts): string | undefined {
  const isNode = organizations.length === 1 && organizations[0] === "system:nodes";
  return isNode ? undefined : "subject organization is not system:nodes";
}

function nameProblem({ commonName }: CertificateRequestFacts): string | undefined {
  return commonName.startsWith("system:node:") ? undefined : "subject common name does not begin with system:node:";
}

function notAllowed(sort: string, names: readonly string[]): string | undefined {
  return names.length > 0 ? `${sort} subjectAltNames are not allowed` : undefined;
}

/** Keys that cannot encipher leave that usage out. */
function exactly(usages: readonly string[], expected: readonly string[]): string | undefined {
  const given = [...new Set(usages)].sort().join(",");
  const without = expected.filter((usage) => usage !== "key encipherment");
  if (given === expected.join(",") || given === without.join(",")) return undefined;
  return `usages did not match [${expected.join(" ")}]`;
}
