/**
 * Pinnace as a library: a whole Kubernetes cluster inside a program or a test suite.
 *
 *     import { Deployments, startCluster } from "pinnace";
 *
 *     await using cluster = await startCluster({ nodes: 2, simulated: true });
 *     const { items } = await cluster.client.list(Deployments, { namespace: "default" });
 */
export type * as appsv1 from "./api/apps/v1.ts";
export type * as autoscalingv2 from "./api/autoscaling/v2.ts";
export type * as batchv1 from "./api/batch/v1.ts";
export type * as corev1 from "./api/core/v1.ts";
export type * as discoveryv1 from "./api/discovery/v1.ts";
export type * as metav1 from "./api/meta/v1.ts";
export type * as networkingv1 from "./api/networking/v1.ts";
export type { DeepReadonly, KubeObject, New } from "./api/object.ts";
export type * as policyv1 from "./api/policy/v1.ts";
export type * as rbacv1 from "./api/rbac/v1.ts";
export type { Resource } from "./api/resource.ts";
export * from "./api/resources.ts";
export type * as storagev1 from "./api/storage/v1.ts";
export {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  StatusError,
} from "./apimachinery/status-error.ts";
export type { Logger } from "./base/logger.ts";
export type * from "./client/client.ts";
export { refOf } from "./client/client.ts";
export { ConfigError } from "./cluster/config/checked-document.ts";
export type { ClusterConfig, NodeConfig } from "./cluster/config/cluster-config.ts";
export { type EmbeddedCluster, type StartClusterOptions, startCluster } from "./cluster/start-cluster.ts";
export { kubernetesVersion, pinnaceVersion } from "./cluster/version.ts";
