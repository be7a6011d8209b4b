/** Publishes the authority of API servers' certificates as the ClusterTrustBundle of their signer; an older one goes when it has changed. */
import { createHash } from "node:crypto";
import type { ConfigMap } from "../../api/core/v1.ts";
import { ClusterTrustBundles } from "../../api/gated-resources.ts";
import { ConfigMaps } from "../../api/resources.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status-error.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController, wake } from "../../controller-runtime/controller.ts";

const signerName = "kubernetes.io/kube-apiserver-serving";
/** It changes when the authority does, and so tells when to look. */
const published = objectKey("kube-root-ca.crt", "kube-system");

/** `rootCa` gives the PEM bundle of now. */
export function servingTrustBundleController(rootCa: () => string): ControllerDefinition {
  return defineController<ConfigMap>({
    name: "kube-apiserver-serving-clustertrustbundle-publisher-controller",
    reconciles: ConfigMaps,
    when: ({ object: { metadata } }) => objectKey(metadata.name, metadata.namespace) === published,
    wakesOn: [
      wake({ resource: ClusterTrustBundles, keys: ({ spec }) => (spec.signerName === signerName ? [published] : []) }),
    ],
    writes: [ClusterTrustBundles],
    async reconcile({ cache, api }) {
      const trustBundle = rootCa();
      const hash = createHash("sha256").update(trustBundle).digest("hex").slice(0, 24);
      const name = `${signerName.replace("/", ":")}:${hash}`;
      const existing = cache.get(ClusterTrustBundles, objectKey(name));
      if (!existing) {
        const bundle = { metadata: { name }, spec: { signerName, trustBundle } };
        await api.create(ClusterTrustBundles, bundle).catch((error) => {
          if (!isAlreadyExists(error)) throw error;
        });
      } else if (existing.spec.trustBundle !== trustBundle) {
        await api.update(ClusterTrustBundles, { ...existing, spec: { ...existing.spec, trustBundle } });
      }
      const older = cache
        .list(ClusterTrustBundles)
        .filter(({ metadata, spec }) => spec.signerName === signerName && metadata.name !== name);
      for (const { metadata } of older) {
        await api.delete(ClusterTrustBundles, { name: metadata.name }).catch((error) => {
          if (!isNotFound(error)) throw error;
        });
      }
    },
  });
}
