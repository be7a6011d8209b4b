/** Handles on resources that are served only where someone turns them on: the generated ones in resources.ts are those that are always there. */
import type { ClusterTrustBundle } from "./certificates/v1beta1.ts";
import type { Resource } from "./resource.ts";

export const ClusterTrustBundles: Resource<ClusterTrustBundle> = {
  group: "certificates.k8s.io",
  version: "v1beta1",
  kind: "ClusterTrustBundle",
  plural: "clustertrustbundles",
  scope: "Cluster",
};
