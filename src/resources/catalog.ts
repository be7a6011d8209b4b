/** Every built-in kind that the API server serves. */
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import {
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
} from "./admissionregistration/policy.ts";
import { mutatingWebhookConfigurations, validatingWebhookConfigurations } from "./admissionregistration/webhook.ts";
import { customResourceDefinitions } from "./apiextensions/custom-resource-definition.ts";
import { apiServices } from "./apiregistration/api-service.ts";
import { controllerRevisions } from "./apps/controller-revision.ts";
import { daemonSets } from "./apps/daemon-set.ts";
import { deployments } from "./apps/deployment.ts";
import { replicaSets } from "./apps/replica-set.ts";
import { statefulSets } from "./apps/stateful-set.ts";
import { horizontalPodAutoscalers } from "./autoscaling/horizontal-pod-autoscaler.ts";
import { horizontalPodAutoscalersV1 } from "./autoscaling/horizontal-pod-autoscaler-v1.ts";
import { cronJobs } from "./batch/cron-job.ts";
import { jobs } from "./batch/job.ts";
import { certificateSigningRequests } from "./certificates/certificate-signing-request.ts";
import { clusterTrustBundles, clusterTrustBundlesAlpha } from "./certificates/cluster-trust-bundle.ts";
import { leases } from "./coordination/lease.ts";
import { componentStatuses } from "./core/component-status.ts";
import { configMaps } from "./core/config-map.ts";
import { endpoints } from "./core/endpoints.ts";
import { events } from "./core/event.ts";
import { limitRanges } from "./core/limit-range.ts";
import { namespaces } from "./core/namespace.ts";
import { nodes } from "./core/node.ts";
import { persistentVolumes } from "./core/persistent-volume.ts";
import { persistentVolumeClaims } from "./core/persistent-volume-claim.ts";
import { pods } from "./core/pod.ts";
import { forgettingTrustBundleVolumes } from "./core/pod-spec/disabled-volumes.ts";
import { podTemplates } from "./core/pod-template.ts";
import { replicationControllers } from "./core/replication-controller.ts";
import { resourceQuotas } from "./core/resource-quota.ts";
import { secrets } from "./core/secret.ts";
import { services } from "./core/service.ts";
import { serviceAccounts } from "./core/service-account.ts";
import { endpointSlices } from "./discovery/endpoint-slice.ts";
import { newEvents } from "./events/event.ts";
import { type FeatureGate, type FeatureSwitches, isFeatureOn, isServed } from "./feature-switches.ts";
import { flowSchemas } from "./flowcontrol/flow-schema.ts";
import { priorityLevelConfigurations } from "./flowcontrol/priority-level-configuration.ts";
import { ingresses } from "./networking/ingress.ts";
import { ingressClasses } from "./networking/ingress-class.ts";
import { networkPolicies } from "./networking/network-policy.ts";
import { ipAddresses, serviceCidrs } from "./networking/service-range.ts";
import { runtimeClasses } from "./node/runtime-class.ts";
import { podDisruptionBudgets } from "./policy/pod-disruption-budget.ts";
import { clusterRoleBindings, roleBindings } from "./rbac/binding.ts";
import { clusterRoles } from "./rbac/cluster-role.ts";
import { roles } from "./rbac/role.ts";
import { deviceClasses, resourceClaims, resourceClaimTemplates, resourceSlices } from "./resource/dynamic-resources.ts";
import { priorityClasses } from "./scheduling/priority-class.ts";
import { csiDrivers, csiNodes, csiStorageCapacities } from "./storage/csi.ts";
import { storageClasses } from "./storage/storage-class.ts";
import { volumeAttachments, volumeAttributesClasses } from "./storage/volume-attachment.ts";

/** In discovery's order within a group-version. The definitions' type parameters are given up here: the server reads objects as data. */
const standing = [
  componentStatuses,
  configMaps,
  endpoints,
  events,
  limitRanges,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  podTemplates,
  replicationControllers,
  resourceQuotas,
  secrets,
  serviceAccounts,
  services,
  apiServices,
  customResourceDefinitions,
  controllerRevisions,
  daemonSets,
  deployments,
  replicaSets,
  statefulSets,
  newEvents,
  horizontalPodAutoscalers,
  horizontalPodAutoscalersV1,
  cronJobs,
  jobs,
  certificateSigningRequests,
  ingressClasses,
  ingresses,
  ipAddresses,
  networkPolicies,
  serviceCidrs,
  podDisruptionBudgets,
  clusterRoleBindings,
  clusterRoles,
  roleBindings,
  roles,
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
  mutatingAdmissionPolicies,
  mutatingAdmissionPolicyBindings,
  mutatingWebhookConfigurations,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  validatingWebhookConfigurations,
  priorityClasses,
  leases,
  runtimeClasses,
  endpointSlices,
  deviceClasses,
  resourceClaims,
  resourceClaimTemplates,
  resourceSlices,
  flowSchemas,
  priorityLevelConfigurations,
] as readonly unknown[] as readonly ResourceDefinition[];

/** What is off unless someone turns it on, by the gate that must be on. */
const gated = [
  { gate: "ClusterTrustBundle", definition: clusterTrustBundles },
  { gate: "ClusterTrustBundle", definition: clusterTrustBundlesAlpha },
] as readonly { gate: FeatureGate; definition: unknown }[] as readonly Gated[];

interface Gated {
  gate: FeatureGate;
  definition: ResourceDefinition;
}

/** What is served where nobody turned anything on. */
export const definitions: readonly ResourceDefinition[] = standing.map(forgettingTrustBundleVolumes);

/** What a server with these switches serves. */
export function definitionsWith(switches: FeatureSwitches): readonly ResourceDefinition[] {
  const further = gated.filter(({ gate, definition }) => isFeatureOn(switches, gate) && isServed(switches, definition));
  const others = isFeatureOn(switches, "ClusterTrustBundleProjection") ? standing : definitions;
  return [...others, ...further.map(({ definition }) => definition)];
}
