/** Publishes the cluster's CA in every Namespace, as the ConfigMap that ServiceAccount volumes project. */
import type { Namespace } from "../../api/core/v1.ts";
import { ConfigMaps, Namespaces } from "../../api/resources.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status-error.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController } from "../../controller-runtime/controller.ts";
import { isNamespaceTerminating } from "../../controller-runtime/namespace-terminating.ts";
import { ownNamespace } from "../namespace-wakes.ts";

const configMapName = "kube-root-ca.crt";
const annotations = {
  "kubernetes.io/description":
    "The CA certificates by which pods verify the API server at its cluster-internal names. Nothing else should rely on them.",
};

/** `rootCa` gives the PEM bundle of now. */
export function rootCaCertificatePublisherController(rootCa: () => string): ControllerDefinition {
  return defineController<Namespace>({
    name: "root-ca-certificate-publisher-controller",
    reconciles: Namespaces,
    when: ({ type }) => type === "ADDED",
    wakesOn: [ownNamespace(ConfigMaps, configMapName)],
    writes: [ConfigMaps],
    async reconcile({ key, cache, api }) {
      const namespace = cache.get(Namespaces, key);
      if (!namespace || namespace.metadata.deletionTimestamp) return;
      const data = { "ca.crt": rootCa() };
      const existing = cache.get(ConfigMaps, objectKey(configMapName, key));
      try {
        if (!existing) {
          await api.create(ConfigMaps, { metadata: { name: configMapName, namespace: key, annotations }, data });
        } else if (existing.data?.["ca.crt"] !== data["ca.crt"] || Object.keys(existing.data).length !== 1) {
          const metadata = { ...existing.metadata, annotations: { ...existing.metadata.annotations, ...annotations } };
          await api.update(ConfigMaps, { ...existing, metadata, data });
        }
      } catch (error) {
        if (!isAlreadyExists(error) && !isNotFound(error) && !isNamespaceTerminating(error)) throw error;
      }
    },
  });
}
