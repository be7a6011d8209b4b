/** ClusterTrustBundles: authorities that pods may want to trust, their own or a signer's. Served where they are turned on. */
import { X509Certificate } from "node:crypto";
import type { ClusterTrustBundle as AlphaBundle } from "../../api/certificates/v1alpha1.ts";
import type { ClusterTrustBundle } from "../../api/certificates/v1beta1.ts";
import { ClusterTrustBundles } from "../../api/gated-resources.ts";
import type { KubeObject } from "../../api/object.ts";
import {
  type FieldError,
  type FieldPath,
  invalid,
  FieldPath as Path,
  spec as specPath,
  tooLong,
} from "../../apimachinery/field-error.ts";
import { defineResource, type ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { pemBlocks } from "../../base/node/pem.ts";
import { name, none, text } from "../printing/columns.ts";
import { unchanged } from "../validation/rules.ts";
import { trustBundleNameProblems, validSignerName } from "./signer-name.ts";

const longestBundle = 1024 * 1024;
const omitted = "<value omitted>";

type Bundle = Pick<ClusterTrustBundle, "metadata" | "spec">;

const shared = {
  ...ClusterTrustBundles,
  metadataLooks: { update: ["whole", "change"] },
  // Depends on the signer, and so is looked at with the object.
  validateName: () => [],
  allowUnconditionalUpdate: false,
  validate: validBundle,
  fieldSelectors: { "spec.signerName": ({ spec }: Bundle) => spec.signerName ?? "" },
  columns: [name, text("SignerName", ({ spec }: Bundle) => spec.signerName || none)],
} satisfies Partial<ResourceDefinition<ClusterTrustBundle>>;

export const clusterTrustBundles = defineResource<ClusterTrustBundle>(shared);

export const clusterTrustBundlesAlpha = defineResource<AlphaBundle>({
  ...shared,
  version: "v1alpha1",
  storedAs: {
    group: ClusterTrustBundles.group,
    version: ClusterTrustBundles.version,
    toStored: (bundle) => ({ ...bundle, apiVersion: "certificates.k8s.io/v1beta1" }),
    fromStored: (object: KubeObject) => ({ ...(object as AlphaBundle), apiVersion: "certificates.k8s.io/v1alpha1" }),
  },
});

function validBundle(next: Bundle, previous: Bundle | undefined): FieldError[] {
  const { signerName = "", trustBundle = "" } = next.spec;
  const signerPath = specPath.child("signerName");
  const namePath = Path.root.child("metadata", "name");
  return [
    ...trustBundleNameProblems(next.metadata.name, signerName).map((problem) =>
      invalid(namePath, next.metadata.name, problem),
    ),
    ...(signerName ? validSignerName(signerName, signerPath) : []),
    // What was let in once stays readable, whatever a later reader of certificates makes of it.
    ...(previous?.spec.trustBundle === trustBundle ? [] : validAnchors(trustBundle, specPath.child("trustBundle"))),
    ...(previous ? unchanged(signerName, previous.spec.signerName ?? "", signerPath) : []),
  ];
}

function validAnchors(pem: string, path: FieldPath): FieldError[] {
  if (Buffer.byteLength(pem) > longestBundle) return [tooLong(path, longestBundle)];
  const errors: FieldError[] = [];
  const seen = new Map<string, number[]>();
  for (const [index, { type, hasHeaders, der }] of pemBlocks(pem).entries()) {
    const problem = anchorProblem(type, hasHeaders, der);
    if (problem) errors.push(invalid(path, omitted, `entry ${index} ${problem}`));
    const key = der.toString("base64");
    seen.set(key, [...(seen.get(key) ?? []), index]);
  }
  if (errors.length > 0) return errors;
  if (seen.size === 0) return [invalid(path, omitted, "at least one trust anchor must be provided")];
  return [...seen.values()]
    .filter((indices) => indices.length > 1)
    .map((indices) => invalid(path, omitted, `duplicate trust anchor (indices [${indices.join(" ")}])`));
}

function anchorProblem(type: string, hasHeaders: boolean, der: Buffer): string | undefined {
  if (type !== "CERTIFICATE") return `has bad block type: ${type}`;
  if (hasHeaders) return "has PEM block headers";
  try {
    return new X509Certificate(der).ca ? undefined : "does not have the CA bit set";
  } catch {
    return "does not parse as X.509";
  }
}
