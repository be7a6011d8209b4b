/** Every controller by the name that `--controllers` takes, with what each needs from outside. */
import type { AnyController } from "../controller-runtime/controller.ts";
import { olderNames, upstreamNames } from "./controller-names.ts";
import { attachDetachController } from "./controllers/attachdetach-controller.ts";
import { bootstrapSignerController } from "./controllers/bootstrap-signer-controller.ts";
import {
  certificateApprovingController,
  certificateCleanerController,
  certificateSigningController,
  type SignCertificate,
} from "./controllers/certificatesigningrequest-controllers.ts";
import { clusterIpAddresses } from "./controllers/cluster-ip-addresses.ts";
import { clusterRoleAggregationController } from "./controllers/clusterrole-aggregation-controller.ts";
import { cronJobController } from "./controllers/cronjob-controller.ts";
import { daemonSetController } from "./controllers/daemonset-controller.ts";
import { deploymentController } from "./controllers/deployment-controller.ts";
import { deviceTaintEvictionController } from "./controllers/device-taint-eviction-controller.ts";
import { staleDisruptionController } from "./controllers/disruption/stale-disruptions.ts";
import { disruptionController } from "./controllers/disruption-controller.ts";
import { endpointsController } from "./controllers/endpoints-controller.ts";
import { endpointSliceController } from "./controllers/endpointslice-controller.ts";
import { endpointSliceMirroringController } from "./controllers/endpointslice-mirroring-controller.ts";
import { ephemeralVolumeController } from "./controllers/ephemeral-volume-controller.ts";
import { garbageCollectorController } from "./controllers/garbage-collector-controller.ts";
import {
  type AutoscalerOptions,
  horizontalPodAutoscalerController,
} from "./controllers/horizontal-pod-autoscaler-controller.ts";
import { jobController } from "./controllers/job-controller.ts";
import { servingTrustBundleController } from "./controllers/kube-apiserver-serving-clustertrustbundle-publisher-controller.ts";
import { legacyServiceAccountTokenCleanerController } from "./controllers/legacy-serviceaccount-token-cleaner-controller.ts";
import { localVolumeProvisioner } from "./controllers/local-volume-provisioner.ts";
import { namespaceController } from "./controllers/namespace-controller.ts";
import { nodeIpamController } from "./controllers/node-ipam-controller.ts";
import { type NodeLifecycleOptions, nodeLifecycleController } from "./controllers/node-lifecycle-controller.ts";
import { persistentVolumeBinderController } from "./controllers/persistentvolume-binder-controller.ts";
import { persistentVolumeExpanderController } from "./controllers/persistentvolume-expander-controller.ts";
import { persistentVolumeProtectionController } from "./controllers/persistentvolume-protection-controller.ts";
import { persistentVolumeClaimProtectionController } from "./controllers/persistentvolumeclaim-protection-controller.ts";
import {
  type PodGarbageCollectorOptions,
  podGarbageCollectorController,
} from "./controllers/pod-garbage-collector-controller.ts";
import { replicaSetController } from "./controllers/replicaset-controller.ts";
import { replicationControllerController } from "./controllers/replicationcontroller-controller.ts";
import { resourceClaimController } from "./controllers/resourceclaim-controller.ts";
import { resourceQuotaController } from "./controllers/resourcequota-controller.ts";
import { rootCaCertificatePublisherController } from "./controllers/root-ca-certificate-publisher-controller.ts";
import { serviceCidrController } from "./controllers/service-cidr-controller.ts";
import { serviceAccountController } from "./controllers/serviceaccount-controller.ts";
import {
  type IssueAccountToken,
  serviceAccountTokenController,
} from "./controllers/serviceaccount-token-controller.ts";
import { statefulSetController } from "./controllers/statefulset-controller.ts";
import { taintEvictionController } from "./controllers/taint-eviction-controller.ts";
import { tokenCleanerController } from "./controllers/token-cleaner-controller.ts";
import { ttlAfterFinishedController } from "./controllers/ttl-after-finished-controller.ts";
import { ttlController } from "./controllers/ttl-controller.ts";
import { validatingAdmissionPolicyStatusController } from "./controllers/validatingadmissionpolicy-status-controller.ts";
import { volumeAttributesClassProtectionController } from "./controllers/volumeattributesclass-protection-controller.ts";
import type { LocalVolumeFolders } from "./local-volume-folders.ts";
import type { Discover } from "./served-resources.ts";

export interface ControllerManagerOptions extends NodeLifecycleOptions, PodGarbageCollectorOptions, AutoscalerOptions {
  /** What the API serves at the moment. Asked anew whenever custom resources change. */
  discover: Discover;
  /** PEM bundle published as `kube-root-ca.crt` in every Namespace. Without it that controller is off. */
  rootCa?: () => string;
  /** ClusterTrustBundles are served. Default: they are not. */
  hasTrustBundles?: boolean;
  /** The cluster's authority. Without it the signing controller is off. */
  signCertificate?: SignCertificate;
  /** Signs tokens of ServiceAccounts. Without it, or without `rootCa`, the controller of token Secrets is off. */
  issueAccountToken?: IssueAccountToken;
  /** All nodes' pods. Without it Nodes get no ranges. */
  clusterCIDR?: string;
  /** The disk of the local provisioner. Without it that controller is off. */
  localVolumes?: LocalVolumeFolders;
}

/** Fresh controllers: some keep state of their own between looks. */
export function controllerCatalog(options: ControllerManagerOptions): AnyController[] {
  return [
    deploymentController,
    replicaSetController,
    clusterRoleAggregationController,
    validatingAdmissionPolicyStatusController,
    resourceQuotaController(options.discover),
    disruptionController(options.discover),
    staleDisruptionController,
    ttlAfterFinishedController,
    statefulSetController,
    replicationControllerController,
    jobController,
    daemonSetController,
    cronJobController,
    endpointSliceController,
    endpointSliceMirroringController,
    endpointsController,
    namespaceController(options.discover),
    serviceAccountController,
    ...(options.rootCa ? [rootCaCertificatePublisherController(options.rootCa)] : []),
    ...(options.rootCa && options.hasTrustBundles ? [servingTrustBundleController(options.rootCa)] : []),
    ...(options.rootCa && options.issueAccountToken
      ? [serviceAccountTokenController(options.issueAccountToken, options.rootCa)]
      : []),
    legacyServiceAccountTokenCleanerController,
    bootstrapSignerController,
    tokenCleanerController,
    ttlController(),
    serviceCidrController,
    clusterIpAddresses,
    garbageCollectorController(options.discover),
    nodeLifecycleController(options),
    ...(options.clusterCIDR ? [nodeIpamController(options.clusterCIDR)] : []),
    taintEvictionController(),
    deviceTaintEvictionController(),
    podGarbageCollectorController(options),
    horizontalPodAutoscalerController(options),
    persistentVolumeBinderController,
    attachDetachController,
    persistentVolumeExpanderController,
    persistentVolumeProtectionController,
    persistentVolumeClaimProtectionController,
    volumeAttributesClassProtectionController,
    ephemeralVolumeController,
    resourceClaimController,
    certificateApprovingController,
    certificateCleanerController,
    ...(options.signCertificate ? [certificateSigningController(options.signCertificate)] : []),
    ...(options.localVolumes ? [localVolumeProvisioner(options.localVolumes)] : []),
  ];
}

/**
 * The controllers that a `--controllers` value asks for: `*` all, `name` on, `-name` off; older short names too. Throws on a name that
 * upstream does not know either, and on one turned on that is not here.
 */
export function selectControllers(
  catalog: readonly AnyController[],
  wanted: readonly string[] = ["*"],
): AnyController[] {
  const present = new Set(catalog.map(({ name }) => name));
  const known = new Set([...present, ...upstreamNames]);
  const asked = wanted.map((text) => {
    const isOff = text.startsWith("-");
    const name = isOff ? text.slice(1) : text;
    return { isOff, name: olderNames[name] ?? name };
  });
  const unknown = asked.map(({ name }) => name).filter((name) => name !== "*" && !known.has(name));
  if (unknown.length > 0) {
    throw new Error(`unknown controllers: ${unknown.join(", ")}; known are ${[...known].sort().join(", ")}`);
  }
  const on = new Set(asked.filter(({ isOff }) => !isOff).map(({ name }) => name));
  const absent = [...on].filter((name) => name !== "*" && !present.has(name));
  if (absent.length > 0) throw new Error(`controllers that are not part of this cluster: ${absent.join(", ")}`);
  // What is said first of a controller holds.
  return catalog.filter(({ name }) => {
    const said = asked.find((one) => one.name === name);
    return said ? !said.isOff : on.has("*");
  });
}
