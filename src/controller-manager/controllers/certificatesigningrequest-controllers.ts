/** The lives of CertificateSigningRequests: kubelets' own are approved, approved ones signed, old ones removed. */
import { X509Certificate } from "node:crypto";
import type { CertificateSigningRequest } from "../../api/certificates/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { CertificateSigningRequests, SubjectAccessReviews } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { readCertificateRequest } from "../../base/node/certificate-request.ts";
import { refOf } from "../../client/client.ts";
import { type ControllerDefinition, defineController, statusOf } from "../../controller-runtime/controller.ts";
import { messageOf } from "../pod-control.ts";
import { isKubeletClientRequest, signers } from "./certificatesigningrequest/signers.ts";

type ReadRequest = DeepReadonly<CertificateSigningRequest>;

/** Signs with the cluster's authority; PEM in and out. */
export type SignCertificate = (request: {
  requestPem: string;
  usages: readonly string[];
  notBeforeMs: number;
  notAfterMs: number;
}) => string;

const hourMs = 3_600_000;
const longestMs = 365 * 24 * hourMs;
const shortestMs = 600_000;
const skewMs = 300_000;

const conditionOf = ({ status }: ReadRequest, type: string) =>
  status?.conditions?.find((condition) => condition.type === type);
const pemOf = ({ spec }: ReadRequest) => Buffer.from(spec.request ?? "", "base64").toString();

export function certificateSigningController(sign: SignCertificate): ControllerDefinition {
  return defineController<CertificateSigningRequest>({
    name: "certificatesigningrequest-signing-controller",
    eventSource: "csr-signing",
    reconciles: CertificateSigningRequests,
    writes: [statusOf(CertificateSigningRequests)],
    async reconcile({ key, cache, api, clock }) {
      const request = cache.get(CertificateSigningRequests, key);
      if (!request || request.status?.certificate) return;
      if (!conditionOf(request, "Approved") || conditionOf(request, "Denied") || conditionOf(request, "Failed")) return;
      const problemOf = signers[request.spec.signerName ?? ""];
      if (!problemOf) return;
      const usages = request.spec.usages ?? [];
      const fail = async (message: string) => {
        const now = rfc3339(clock.now());
        const failed = {
          type: "Failed",
          status: "True",
          reason: "SignerValidationFailure",
          message,
          lastUpdateTime: now,
          lastTransitionTime: now,
        };
        const conditions = [...(request.status?.conditions ?? []), failed];
        await api.updateStatus(CertificateSigningRequests, { ...request, status: { ...request.status, conditions } });
      };
      const requestPem = pemOf(request);
      const facts = await readCertificateRequest(requestPem).catch((error: unknown) => messageOf(error));
      if (typeof facts === "string") return fail(`unable to parse csr: ${facts}`);
      const problem = problemOf(facts, usages);
      if (problem) return fail(problem);
      const { expirationSeconds } = request.spec;
      const nowMs = clock.now();
      const asked = expirationSeconds === undefined ? longestMs : expirationSeconds * 1000;
      const lifeMs = Math.max(shortestMs, Math.min(longestMs, asked));
      // What lives for long is as old as it says; what lives for hours has them from now on.
      const beginMs = lifeMs < 8 * hourMs ? nowMs : nowMs - skewMs;
      const pem = sign({ requestPem, usages, notBeforeMs: nowMs - skewMs, notAfterMs: beginMs + lifeMs });
      const status = { ...request.status, certificate: Buffer.from(pem).toString("base64") };
      await api.updateStatus(CertificateSigningRequests, { ...request, status });
    },
  });
}

/** Kubelets that may ask for themselves or for others get what they ask for. */
export const certificateApprovingController = defineController<CertificateSigningRequest>({
  name: "certificatesigningrequest-approving-controller",
  eventSource: "csr-approver",
  reconciles: CertificateSigningRequests,
  writes: [CertificateSigningRequests],
  async reconcile({ key, cache, api, clock }) {
    const request = cache.get(CertificateSigningRequests, key);
    if (request?.spec.signerName !== "kubernetes.io/kube-apiserver-client-kubelet") return;
    if (request.status?.certificate || conditionOf(request, "Approved") || conditionOf(request, "Denied")) return;
    const facts = await readCertificateRequest(pemOf(request)).catch(() => undefined);
    if (!facts || !isKubeletClientRequest(facts, request.spec.usages ?? [])) return;
    const isOwn = request.spec.username === facts.commonName;
    const ways = [
      ...(isOwn ? [["selfnodeclient", "self kubelet client certificate"] as const] : []),
      ["nodeclient", "kubelet client certificate"] as const,
    ];
    for (const [subresource, what] of ways) {
      const { username, uid, groups, extra } = request.spec;
      const review = await api.create(SubjectAccessReviews, {
        metadata: {},
        spec: {
          user: username ?? "",
          ...(uid ? { uid } : {}),
          ...(groups ? { groups: [...groups] } : {}),
          ...(extra ? { extra: structuredClone(extra) as Record<string, string[]> } : {}),
          resourceAttributes: {
            group: "certificates.k8s.io",
            resource: "certificatesigningrequests",
            verb: "create",
            subresource,
          },
        },
      });
      if (!review.status?.allowed) continue;
      const now = rfc3339(clock.now());
      const approved = {
        type: "Approved",
        status: "True",
        reason: "AutoApproved",
        message: `Auto approving ${what} after SubjectAccessReview.`,
        lastUpdateTime: now,
        lastTransitionTime: now,
      };
      const status = { ...request.status, conditions: [...(request.status?.conditions ?? []), approved] };
      await api.updateSubresource(CertificateSigningRequests, refOf(request), "approval", { ...request, status });
      return;
    }
  },
});

/** Answered requests go after an hour, unanswered ones after a day, issued ones with their certificate; approved ones wait for theirs. */
export const certificateCleanerController = defineController<CertificateSigningRequest>({
  name: "certificatesigningrequest-cleaner-controller",
  reconciles: CertificateSigningRequests,
  writes: [CertificateSigningRequests],
  async reconcile({ key, cache, api, clock }) {
    const request = cache.get(CertificateSigningRequests, key);
    if (!request) return;
    const atMs = removalMs(request);
    if (atMs === undefined) return;
    // Upstream looks once an hour; whatever is due goes when it is due.
    const afterMs = atMs - clock.now();
    if (afterMs > 0) return { afterMs: Math.min(afterMs, 24 * hourMs) };
    try {
      await api.delete(CertificateSigningRequests, refOf(request), { preconditions: { uid: request.metadata.uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  },
});

/** Undefined: it stays. */
export function removalMs(request: ReadRequest): number | undefined {
  const { conditions = [], certificate } = request.status ?? {};
  if (conditions.length === 0) return Date.parse(request.metadata.creationTimestamp) + 24 * hourMs;
  const due = conditions.flatMap(({ type, lastUpdateTime }) => {
    const isAnswer = type === "Denied" || type === "Failed" || (type === "Approved" && certificate);
    return isAnswer && lastUpdateTime ? [Date.parse(lastUpdateTime) + hourMs] : [];
  });
  if (certificate && conditionOf(request, "Approved")) due.push(endOf(certificate));
  return due.length > 0 ? Math.min(...due) : undefined;
}

function endOf(certificate: string): number {
  try {
    return Date.parse(new X509Certificate(Buffer.from(certificate, "base64")).validTo);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
