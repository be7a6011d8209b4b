/**
 * Objects as upstream prints them inside error messages: under the names of its internal types, in their order, with null for what
 * is absent. Users see this form in "may not change fields" messages, and scripts match on it.
 */
import type { PodSpec, SecurityContext } from "../../api/core/v1.ts";
import { withEmptiesOf } from "../../apimachinery/given-empties.ts";
import { type InternalStructs, internalPrinter } from "../internal-printer.ts";

/**
 * One line a struct: field names in order, each with what stands for absence.
 * `name` "" · `name#` 0 · `name?` false · `name*` null · `name=json` where the JSON name does not follow from the other.
 * `name:T` an embedded struct · `name:*T` null or a struct · `name:[]T` null or a list of structs.
 */
const structs: InternalStructs = {
  SecurityContext:
    "Capabilities:*Capabilities Privileged* SELinuxOptions:*SELinuxOptions WindowsOptions* RunAsUser* RunAsGroup* RunAsNonRoot* ReadOnlyRootFilesystem* AllowPrivilegeEscalation* ProcMount* SeccompProfile:*Profile AppArmorProfile:*Profile",
  Capabilities: "Add* Drop*",
  SELinuxOptions: "User Role Type Level",
  Profile: "Type LocalhostProfile*",
  Toleration: "Key Operator Value Effect TolerationSeconds*",
  Taint: "Key Value Effect TimeAdded*",

  PodSpec:
    "Volumes:[]Volume InitContainers:[]Container Containers:[]Container EphemeralContainers:[]EphemeralContainer RestartPolicy TerminationGracePeriodSeconds* ActiveDeadlineSeconds* DNSPolicy NodeSelector* ServiceAccountName AutomountServiceAccountToken* NodeName SecurityContext:PodSecurityContext ImagePullSecrets:[]LocalObjectReference Hostname Subdomain SetHostnameAsFQDN* Affinity:*Affinity SchedulerName Tolerations:[]Toleration HostAliases:[]HostAlias PriorityClassName Priority* PreemptionPolicy* DNSConfig:*PodDNSConfig ReadinessGates:[]PodReadinessGate RuntimeClassName* Overhead* EnableServiceLinks* TopologySpreadConstraints:[]TopologySpreadConstraint OS:*Named SchedulingGates:[]Named ResourceClaims:[]PodResourceClaim Resources:*ResourceRequirements HostnameOverride* SchedulingGroup*",
  PodSecurityContext:
    "HostNetwork? HostPID? HostIPC? ShareProcessNamespace* HostUsers* SELinuxOptions:*SELinuxOptions WindowsOptions* RunAsUser* RunAsGroup* RunAsNonRoot* SupplementalGroups* SupplementalGroupsPolicy* FSGroup* FSGroupChangePolicy* Sysctls:[]NameValue SeccompProfile:*Profile AppArmorProfile:*Profile SELinuxChangePolicy*",
  NameValue: "Name Value",
  Named: "Name",
  LocalObjectReference: "Name",
  HostAlias: "IP Hostnames*",
  PodDNSConfig: "Nameservers* Searches* Options:[]PodDNSConfigOption",
  PodDNSConfigOption: "Name Value*",
  PodReadinessGate: "ConditionType",
  PodResourceClaim: "Name ResourceClaimName* ResourceClaimTemplateName*",
  TopologySpreadConstraint:
    "MaxSkew# TopologyKey WhenUnsatisfiable LabelSelector* MinDomains* NodeAffinityPolicy* NodeTaintsPolicy* MatchLabelKeys*",
  Affinity: "NodeAffinity:*NodeAffinity PodAffinity:*PodAffinity PodAntiAffinity:*PodAffinity",
  NodeAffinity:
    "RequiredDuringSchedulingIgnoredDuringExecution:*NodeSelector PreferredDuringSchedulingIgnoredDuringExecution:[]PreferredSchedulingTerm",
  NodeSelector: "NodeSelectorTerms:[]NodeSelectorTerm",
  NodeSelectorTerm: "MatchExpressions:[]NodeSelectorRequirement MatchFields:[]NodeSelectorRequirement",
  NodeSelectorRequirement: "Key Operator Values*",
  PreferredSchedulingTerm: "Weight# Preference:NodeSelectorTerm",
  PodAffinity:
    "RequiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm PreferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm",
  WeightedPodAffinityTerm: "Weight# PodAffinityTerm:PodAffinityTerm",
  PodAffinityTerm: "LabelSelector* Namespaces* TopologyKey NamespaceSelector* MatchLabelKeys* MismatchLabelKeys*",

  Container:
    "Name Image Command* Args* WorkingDir Ports:[]ContainerPort EnvFrom:[]EnvFromSource Env:[]EnvVar Resources:ResourceRequirements ResizePolicy:[]ContainerResizePolicy RestartPolicy* RestartPolicyRules* VolumeMounts:[]VolumeMount VolumeDevices:[]VolumeDevice LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath TerminationMessagePolicy ImagePullPolicy SecurityContext:*SecurityContext Stdin? StdinOnce? TTY?",
  EphemeralContainer:
    "Name Image Command* Args* WorkingDir Ports:[]ContainerPort EnvFrom:[]EnvFromSource Env:[]EnvVar Resources:ResourceRequirements ResizePolicy:[]ContainerResizePolicy RestartPolicy* RestartPolicyRules* VolumeMounts:[]VolumeMount VolumeDevices:[]VolumeDevice LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath TerminationMessagePolicy ImagePullPolicy SecurityContext:*SecurityContext Stdin? StdinOnce? TTY? TargetContainerName",
  ContainerPort: "Name HostPort# ContainerPort# Protocol HostIP",
  EnvFromSource: "Prefix ConfigMapRef:*OptionalName SecretRef:*OptionalName",
  OptionalName: "Name Optional*",
  EnvVar: "Name Value ValueFrom:*EnvVarSource",
  EnvVarSource:
    "FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector ConfigMapKeyRef:*KeySelector SecretKeyRef:*KeySelector FileKeyRef*",
  ObjectFieldSelector: "APIVersion FieldPath",
  ResourceFieldSelector: "ContainerName Resource Divisor#",
  KeySelector: "Name Key Optional*",
  ResourceRequirements: "Limits* Requests* Claims:[]ResourceClaim",
  ResourceClaim: "Name Request",
  ContainerResizePolicy: "ResourceName RestartPolicy",
  VolumeMount: "Name ReadOnly? RecursiveReadOnly* MountPath SubPath MountPropagation* SubPathExpr",
  VolumeDevice: "Name DevicePath",
  Probe:
    "Exec:*ExecAction HTTPGet:*HTTPGetAction TCPSocket:*TCPSocketAction GRPC:*GRPCAction InitialDelaySeconds# TimeoutSeconds# PeriodSeconds# SuccessThreshold# FailureThreshold# TerminationGracePeriodSeconds*",
  Lifecycle: "PostStart:*LifecycleHandler PreStop:*LifecycleHandler StopSignal*",
  LifecycleHandler: "Exec:*ExecAction HTTPGet:*HTTPGetAction TCPSocket:*TCPSocketAction Sleep:*SleepAction",
  ExecAction: "Command*",
  HTTPGetAction: "Path Port# Host Scheme HTTPHeaders:[]NameValue",
  TCPSocketAction: "Port# Host",
  GRPCAction: "Port# Service*",
  SleepAction: "Seconds#",

  Volume:
    "Name HostPath:*HostPath EmptyDir:*EmptyDir GCEPersistentDisk* AWSElasticBlockStore* GitRepo* Secret:*SecretVolume NFS:*NFS ISCSI* Glusterfs* PersistentVolumeClaim:*ClaimVolume RBD* Quobyte* FlexVolume* Cinder* CephFS=cephfs* Flocker* DownwardAPI:*DownwardVolume FC* AzureFile* ConfigMap:*ConfigMapVolume VsphereVolume* AzureDisk* PhotonPersistentDisk* Projected:*ProjectedVolume PortworxVolume* ScaleIO* StorageOS=storageos* CSI* Ephemeral* Image*",
  HostPath: "Path Type*",
  EmptyDir: "Medium SizeLimit*",
  SecretVolume: "SecretName Items:[]KeyToPath DefaultMode* Optional*",
  ConfigMapVolume: "Name Items:[]KeyToPath DefaultMode* Optional*",
  KeyToPath: "Key Path Mode*",
  NFS: "Server Path ReadOnly?",
  ClaimVolume: "ClaimName ReadOnly?",
  DownwardVolume: "Items:[]DownwardFile DefaultMode*",
  DownwardFile: "Path FieldRef:*ObjectFieldSelector ResourceFieldRef:*ResourceFieldSelector Mode*",
  ProjectedVolume: "Sources:[]Projection DefaultMode*",
  Projection:
    "Secret:*SecretProjection DownwardAPI:*DownwardProjection ConfigMap:*ConfigMapProjection ServiceAccountToken:*TokenProjection ClusterTrustBundle* PodCertificate*",
  SecretProjection: "Name Items:[]KeyToPath Optional*",
  ConfigMapProjection: "Name Items:[]KeyToPath Optional*",
  DownwardProjection: "Items:[]DownwardFile",
  TokenProjection: "Audience ExpirationSeconds# Path",

  PersistentVolumeSource:
    "GCEPersistentDisk* AWSElasticBlockStore* HostPath:*HostPath Glusterfs* NFS:*NFS RBD* Quobyte* ISCSI* FlexVolume* Cinder* CephFS=cephfs* FC* Flocker* AzureFile* VsphereVolume* AzureDisk* PhotonPersistentDisk* PortworxVolume* ScaleIO* Local:*LocalVolume StorageOS=storageos* CSI:*CSIVolume",
  ObjectReference: "Kind Namespace Name UID=uid APIVersion ResourceVersion FieldPath",
  EventSource: "Component Host",

  LocalVolume: "Path FSType*",
  CSIVolume:
    "Driver VolumeHandle ReadOnly? FSType VolumeAttributes* ControllerPublishSecretRef:*SecretReference NodeStageSecretRef:*SecretReference NodePublishSecretRef:*SecretReference ControllerExpandSecretRef:*SecretReference NodeExpandSecretRef:*SecretReference",
  SecretReference: "Name Namespace",
  VolumeNodeAffinity: "Required:*NodeSelector",

  PersistentVolumeClaimSpec:
    "AccessModes* Selector* Resources:VolumeResources VolumeName StorageClassName* VolumeMode* DataSource* DataSourceRef* VolumeAttributesClassName*",
  VolumeResources: "Limits* Requests*",
};

export const internalForm = internalPrinter(structs);

export const internalSecurityContext = (context: SecurityContext) => internalForm("SecurityContext", context);

/** Upstream keeps the host's namespaces in the internal security context. */
export function internalPodSpec(spec: PodSpec): unknown {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers, securityContext } = spec;
  const hostFields = { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers };
  const inside = withEmptiesOf({ ...hostFields, ...securityContext }, securityContext ?? {});
  return internalForm("PodSpec", withEmptiesOf({ ...spec, securityContext: inside }, spec));
}
