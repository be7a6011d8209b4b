/** CertificateApproval, CertificateSigning, ClusterTrustBundleAttest and CertificateSubjectRestriction: who may speak for a signer, and whom no signer makes. */
import type { CertificateSigningRequest } from "../../api/certificates/v1.ts";
import type { ClusterTrustBundle } from "../../api/certificates/v1beta1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import { type Authorizer, authorizeByAll } from "../../apiserver/authorization.ts";
import { readCertificateRequest } from "../../base/node/certificate-request.ts";
import { refuse } from "./refusal.ts";

type ReadRequest = DeepReadonly<CertificateSigningRequest>;

function concernsRequests({ definition }: AdmissionRequest): boolean {
  return definition.group === "certificates.k8s.io" && definition.plural === "certificatesigningrequests";
}

/** Signers are allowed one by one, or all of a domain. */
async function maySpeakFor(
  request: AdmissionRequest,
  authorizers: readonly Authorizer[],
  verb: "approve" | "sign" | "attest",
  signerName: string,
): Promise<boolean> {
  for (const name of [signerName, `${signerName.split("/")[0]}/*`]) {
    const decision = await authorizeByAll(authorizers, {
      user: request.user,
      verb,
      isResource: true,
      group: "certificates.k8s.io",
      version: "*",
      resource: "signers",
      subresource: "",
      namespace: "",
      name,
      path: "",
    });
    if (decision.kind === "allow") return true;
  }
  return false;
}

async function checkRequest(
  request: AdmissionRequest,
  authorizers: readonly Authorizer[],
  verb: "approve" | "sign",
): Promise<void> {
  const { signerName = "" } = (request.oldObject as ReadRequest | undefined)?.spec ?? {};
  if (await maySpeakFor(request, authorizers, verb, signerName)) return;
  throw refuse(request, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`);
}

export function certificateApproval(authorizers: () => readonly Authorizer[]): AdmissionPlugin {
  return {
    name: "CertificateApproval",
    handles: (request) =>
      concernsRequests(request) && request.operation === "UPDATE" && request.subresource === "approval",
    validate: (request) => checkRequest(request, authorizers(), "approve"),
  };
}

export function certificateSigning(authorizers: () => readonly Authorizer[]): AdmissionPlugin {
  return {
    name: "CertificateSigning",
    handles: (request) =>
      concernsRequests(request) && request.operation === "UPDATE" && request.subresource === "status",
    async validate(request) {
      const [next, before] = [request.object as CertificateSigningRequest, request.oldObject as ReadRequest];
      const failed = ({ status }: ReadRequest) => status?.conditions?.some(({ type }) => type === "Failed") ?? false;
      if (next.status?.certificate === before.status?.certificate && failed(next) === failed(before)) return;
      await checkRequest(request, authorizers(), "sign");
    },
  };
}

/** Whoever writes a bundle in a signer's name must be allowed to `attest` for it. Garbage collection changes nothing that it says. */
export function clusterTrustBundleAttest(authorizers: () => readonly Authorizer[]): AdmissionPlugin {
  return {
    name: "ClusterTrustBundleAttest",
    handles: ({ definition, operation }) =>
      definition.group === "certificates.k8s.io" &&
      definition.plural === "clustertrustbundles" &&
      (operation === "CREATE" || operation === "UPDATE"),
    async validate(request) {
      const bundle = request.object as ClusterTrustBundle;
      const { signerName = "" } = bundle.spec;
      const before = request.oldObject as DeepReadonly<ClusterTrustBundle> | undefined;
      if (!signerName || (before && changesOwnershipAlone(bundle, before))) return;
      if (await maySpeakFor(request, authorizers(), "attest", signerName)) return;
      throw refuse(request, `user not permitted to attest for signerName ${JSON.stringify(signerName)}`);
    },
  };
}

function changesOwnershipAlone(next: ClusterTrustBundle, previous: DeepReadonly<ClusterTrustBundle>): boolean {
  const { ownerReferences, finalizers, managedFields } = previous.metadata;
  return semanticEqual(
    { ...next, metadata: { ...next.metadata, ownerReferences, finalizers, managedFields } },
    previous,
  );
}

const isNewRequest = (request: AdmissionRequest) =>
  concernsRequests(request) && request.operation === "CREATE" && request.subresource === "";

/** A request is its sender's, whatever it says. */
export const certificateRequester: AdmissionPlugin = {
  name: "CertificateRequester",
  handles: isNewRequest,
  mutate({ object, user }) {
    const { spec } = object as CertificateSigningRequest;
    spec.username = user.name;
    delete spec.uid;
    delete spec.extra;
    if (user.uid) spec.uid = user.uid;
    if (user.extra) spec.extra = structuredClone(user.extra) as Record<string, string[]>;
    spec.groups = [...user.groups];
  },
};

export const certificateSubjectRestriction: AdmissionPlugin = {
  name: "CertificateSubjectRestriction",
  handles: isNewRequest,
  async validate(request) {
    const { spec } = request.object as CertificateSigningRequest;
    if (spec.signerName !== "kubernetes.io/kube-apiserver-client") return;
    const facts = await readCertificateRequest(Buffer.from(spec.request ?? "", "base64").toString()).catch(
      () => undefined,
    );
    if (!facts?.organizations.includes("system:masters")) return;
    const why = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed";
    throw refuse(request, why);
  },
};
