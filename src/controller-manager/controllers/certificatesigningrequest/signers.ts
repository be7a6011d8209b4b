/** What each of Kubernetes' own signers signs. Pure. */
import type { CertificateRequestFacts } from "../../../base/node/certificate-request.ts";

const kubeletClientUsages = ["client auth", "digital signature", "key encipherment"];
const kubeletServingUsages = ["digital signature", "key encipherment", "server auth"];

/** By signer name: why a request will not do, or undefined. */
export const signers: Readonly<
  Record<string, (facts: CertificateRequestFacts, usages: readonly string[]) => string | undefined>
> = {
  "kubernetes.io/kube-apiserver-client": (_facts, usages) =>
    usages.includes("client auth") && usages.every((usage) => kubeletClientUsages.includes(usage))
      ? undefined
      : `usages did not match: ${usages.join(",")}: must include client auth, and nothing but digital signature and key encipherment besides`,
  "kubernetes.io/kube-apiserver-client-kubelet": (facts, usages) =>
    nodeProblem(facts) ??
    (facts.dnsNames.length + facts.ipAddresses.length > 0 ? "DNS or IP subjectAltNames are not allowed" : undefined) ??
    otherNames(facts) ??
    exactly(usages, kubeletClientUsages),
  "kubernetes.io/kubelet-serving": (facts, usages) =>
    nodeProblem(facts) ??
    (facts.dnsNames.length + facts.ipAddresses.length === 0 ? "DNS or IP subjectAltName is required" : undefined) ??
    otherNames(facts) ??
    exactly(usages, kubeletServingUsages),
  "kubernetes.io/legacy-unknown": () => undefined,
};

export function isKubeletClientRequest(facts: CertificateRequestFacts, usages: readonly string[]): boolean {
  return signers["kubernetes.io/kube-apiserver-client-kubelet"]!(facts, usages) === undefined;
}

function nodeProblem({ organizations, commonName }: CertificateRequestFacts): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== "system:nodes") {
    return "subject organization is not system:nodes";
  }
  return commonName.startsWith("system:node:") ? undefined : "subject common name does not begin with system:node:";
}

function otherNames({ emails, uris }: CertificateRequestFacts): string | undefined {
  if (emails.length > 0) return "email subjectAltNames are not allowed";
  return uris.length > 0 ? "URI subjectAltNames are not allowed" : undefined;
}

/** Keys that cannot encipher leave that usage out. */
function exactly(usages: readonly string[], expected: readonly string[]): string | undefined {
  const given = [...usages].sort().join(",");
  const without = expected.filter((usage) => usage !== "key encipherment");
  if (given === expected.join(",") || given === without.join(",")) return undefined;
  return `usages did not match ${expected.join(",")}`;
}
