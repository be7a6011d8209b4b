/** CertificateSigningRequests: certificates that someone asks for, and others approve and sign. */
import type { CertificateSigningRequest } from "../../api/certificates/v1.ts";
import { duplicate, type FieldError, invalid, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { humanDuration } from "../../apimachinery/human-duration.ts";
import { defineResource, type SubresourceDefinition } from "../../apimachinery/resource-definition.ts";
import { certificateRequestProblem } from "../../base/node/certificate-request.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, oneOf } from "../validation/rules.ts";
import { date, keepVerdicts, validDecision } from "./decision.ts";
import { validSignerName } from "./signer-name.ts";

const shortestSeconds = 600;
const usages = [
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
];

const resource = served("certificates.k8s.io/v1", "certificatesigningrequests");

/** `approval` writes the conditions and metadata; `status` everything but the decision. */
const subresources: readonly SubresourceDefinition<CertificateSigningRequest>[] = resource.subresources.map(
  (subresource) => ({
    ...subresource,
    takesMetadata: true,
    part: (sent: CertificateSigningRequest, previous: CertificateSigningRequest) => ({
      ...previous,
      status: { ...previous.status, conditions: sent.status?.conditions ?? [] },
    }),
  }),
);

export const certificateSigningRequests = defineResource<CertificateSigningRequest>({
  ...resource,
  metadataLooks: { update: ["whole", "change"], status: ["whole", "change"] },
  validateName: () => [],
  subresources,
  beforeCreate(request, { user }) {
    request.spec.username = user;
    request.status = {};
  },
  beforeUpdate(next, previous, { now, subresource }) {
    // What was asked for stands, whatever a writer says.
    next.spec = previous.spec;
    if (subresource === "approval") date(next.status, previous.status, now);
  },
  beforeStatusUpdate(next, previous, { now }) {
    keepVerdicts(next.status, previous.status);
    date(next.status, previous.status, now);
  },
  validate: (next, previous, { subresource }) => [
    ...validRequest(next, previous),
    ...(previous ? validDecision(next.status, previous.status, subresource) : []),
  ],
  validateStatus: (next, previous) => [
    ...validRequest(next, previous),
    ...validDecision(next.status, previous.status, "status"),
  ],
  fieldSelectors: { "spec.signerName": ({ spec }) => spec.signerName ?? "" },
  columns: [
    name,
    age,
    text("SignerName", ({ spec }) => spec.signerName || none),
    text("Requestor", ({ spec }) => spec.username || none),
    text("RequestedDuration", ({ spec }) =>
      spec.expirationSeconds === undefined ? none : humanDuration(spec.expirationSeconds * 1000),
    ),
    text("Condition", conditionText),
  ],
});

function conditionText({ status }: CertificateSigningRequest): string {
  const types = (status?.conditions ?? []).map(({ type }) => type);
  const words = ["Denied", "Approved", "Failed"].filter((type) => types.includes(type));
  const decided = words.includes("Denied") ? words.filter((word) => word !== "Approved") : words;
  if (!types.includes("Denied") && !types.includes("Approved")) decided.unshift("Pending");
  if (status?.certificate) decided.push("Issued");
  return decided.join(",");
}

function validRequest({ spec }: CertificateSigningRequest, previous?: CertificateSigningRequest): FieldError[] {
  // What was asked for stands: what was let in once is not looked at again, whatever is known of it today.
  const errors = previous ? [] : validNewRequest(spec);
  const signerPath = specPath.child("signerName");
  if (!previous && spec.signerName === "kubernetes.io/legacy-unknown") {
    errors.push(invalid(signerPath, spec.signerName, "the legacy signerName is not allowed via this API version"));
  } else errors.push(...validSignerName(spec.signerName ?? "", signerPath));
  if (spec.expirationSeconds !== undefined && spec.expirationSeconds < shortestSeconds) {
    const detail = `may not specify a duration less than ${shortestSeconds} seconds (10 minutes)`;
    errors.push(invalid(specPath.child("expirationSeconds"), spec.expirationSeconds, detail));
  }
  return errors;
}

function validNewRequest({ request, usages: asked }: CertificateSigningRequest["spec"]): FieldError[] {
  const usagesPath = specPath.child("usages");
  const problem = certificateRequestProblem(Buffer.from(request ?? "", "base64").toString());
  return [
    ...(problem ? [invalid(specPath.child("request"), request ?? null, problem)] : []),
    ...(asked?.length ? [] : [required(usagesPath)]),
    ...each(asked, usagesPath, (usage, at) => oneOf(usage, usages, at)),
    ...each(asked, usagesPath, (usage, at, index) => (asked!.indexOf(usage) < index ? [duplicate(at, usage)] : [])),
  ];
}
