/** What a cluster is asked to be (the configuration file), and what it then is (every default decided). */
import type { Taint } from "../../api/core/v1.ts";
import type { AdmissionSelection } from "../../apiserver-plugins/admission/catalog.ts";
import type { AuditPolicy } from "../../apiserver-plugins/audit/policy.ts";
import type { AuthenticationConfiguration } from "../../apiserver-plugins/authentication/authentication-configuration.ts";
import type { StaticToken } from "../../apiserver-plugins/authentication/static-tokens.ts";
import type { AuthorizationConfiguration } from "../../apiserver-plugins/authorization/authorization-configuration.ts";
import type { ShutdownSettings } from "../../kubelet/node-shutdown.ts";
import type { FeatureSwitches } from "../../resources/feature-switches.ts";
import type { ExtenderConfig } from "../../scheduler/extender.ts";
import type { ProfileConfig } from "../../scheduler/profile-config.ts";

/** The configuration file, as parsed. Documented field by field in schema/cluster-v1alpha1.schema.json. */
export interface ClusterConfig {
  apiVersion: "pinnace.local/v1alpha1";
  kind: "Cluster";
  name?: string;
  nodes?: NodeConfig[];
  /** What runs the containers of local nodes that do not say it themselves. Default: pinnace. */
  containerRuntime?: ContainerRuntimeName;
  network?: {
    lan?: string;
    podCIDR?: string;
    serviceCIDR?: string;
    nodePortRange?: string;
    dnsDomain?: string;
    /** Default: IPv4 alone. With both, pods, Services and nodes have an address of each. */
    ipFamilies?: ("IPv4" | "IPv6")[];
    /** CNI plugins make the pods' network in place of the built-in one. */
    cni?: Partial<CniConfig>;
    /** The ranges of IPv6, where both families are wanted. */
    ipv6?: { lan?: string; podCIDR?: string; serviceCIDR?: string };
  };
  apiServer?: Partial<ApiServerConfig>;
  /** What is off unless it is turned on, as upstream's `--feature-gates`. */
  featureGates?: FeatureSwitches["featureGates"];
  images?: ImagesConfig;
  ingress?: IngressProvider;
  kubelet?: KubeletConfig;
  leaderElection?: LeaderElectionConfig;
  loadBalancer?: LoadBalancerProvider;
  /** Versions and resources that are served only when asked for, as kube-apiserver's `--runtime-config`. */
  runtimeConfig?: FeatureSwitches["runtimeConfig"];
  scheduler?: SchedulerConfig;
  store?: StoreConfig;
  /** The folder with the certificates of another server of this cluster, which shares its store: `pki` in that one's folder. */
  certificates?: string;
  /** How long the cluster's own certificates are valid: a Go duration. They are renewed before. Default: 8760h. */
  certificateValidityPeriod?: string;
  /** How long the cluster's authorities are valid; they are replaced before, too. Default: 87600h. */
  caCertificateValidityPeriod?: string;
}

/** The part of a KubeletConfiguration that is heeded. Durations as Go writes them. */
export interface KubeletConfig {
  /** How long `pinnace down` lets pods end by themselves. Default: 0s, not at all. */
  shutdownGracePeriod?: string;
  /** The part of it that is kept for critical pods. */
  shutdownGracePeriodCriticalPods?: string;
  shutdownGracePeriodByPodPriority?: { priority: number; shutdownGracePeriodSeconds: number }[];
  /** Kernel parameters that pods may set besides the safe ones; a `*` at the end stands for any rest. Default: none. */
  allowedUnsafeSysctls?: string[];
  /** Whether nodes answer `/logs/?query=`. Default: false. */
  enableSystemLogQuery?: boolean;
}

/** How soon another server takes over from one that is gone, by the names of upstream's LeaderElectionConfiguration. Go durations. */
export interface LeaderElectionConfig {
  /** Others take over when a Lease was not renewed for so long. Default: 15s. */
  leaseDuration?: string;
  /** Who could not renew for so long gives up. Default: 10s. */
  renewDeadline?: string;
  /** Between two attempts. Default: 2s. */
  retryPeriod?: string;
}

/** Where the state is kept. */
export interface StoreConfig {
  /** Default: lmdb, a file in the cluster's folder. `memory` forgets with its server; `etcd` may be shared by several servers. */
  engine: StoreEngine;
  /** Of etcd: `https://10.0.0.5:2379`; tried in turn. */
  endpoints?: string[];
  /** Files in PEM, for etcd over TLS: whom to trust, and who the server is to etcd. */
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

export type StoreEngine = "lmdb" | "memory" | "etcd";

export interface ApiServerConfig {
  address: string;
  port: number;
  audit?: AuditConfig;
  authentication?: AuthenticationConfig;
  /** Upstream's AuthorizationConfiguration. Default: Node, then RBAC. */
  authorization?: AuthorizationConfiguration;
  /** In its place: a file with one, read again when it changes. */
  authorizationFile?: string;
  /** Which admission plugins are on, beside and instead of those by default. */
  admission?: AdmissionSelection;
  encryption?: {
    /** The path of a file with upstream's EncryptionConfiguration; its keys are kept nowhere else. */
    configuration: string;
    /** Looks at the file again once a minute. Default: false. */
    automaticReload?: boolean;
  };
}

/** How clients prove who they are, beyond certificates and ServiceAccounts' tokens. */
export interface AuthenticationConfig {
  requestHeader?: RequestHeaderConfig;
  /** Upstream's AuthenticationConfiguration. */
  configuration?: AuthenticationConfiguration;
  /** In its place: a file with one, read again when it changes. */
  configurationFile?: string;
  tokens?: StaticToken[];
  webhook?: {
    /** A file's path. */
    kubeconfig: string;
    /** Default 120. */
    cacheTTLSeconds?: number;
  };
}

/** Proxies that say for whom they ask (upstream: `--requestheader-*`). The cluster's own front proxy is always one of them. */
export interface RequestHeaderConfig {
  /** PEM: who signs proxies' certificates. */
  clientCAFile?: string;
  /** Common names of proxies. Empty: whoever has a certificate of that authority. */
  allowedNames?: string[];
  /** Default X-Remote-User, X-Remote-Uid, X-Remote-Group; the first that is there counts, of groups all. */
  usernameHeaders?: string[];
  uidHeaders?: string[];
  groupHeaders?: string[];
  /** Default X-Remote-Extra-. */
  extraHeadersPrefixes?: string[];
}

/** What requests are recorded, and where. */
export interface AuditConfig {
  /** Upstream's audit.k8s.io/v1 Policy. */
  policy: AuditPolicy;
  /** Default: `audit.log` in the cluster's folder. */
  path?: string;
  /** Default 100. */
  maxSizeMegabytes?: number;
  /** Files that were put aside and are kept. Default 5. */
  maxBackups?: number;
  /** Where else events go: a kubeconfig file's path. */
  webhook?: { kubeconfig: string };
}

/** The part of a KubeSchedulerConfiguration that is heeded. */
export interface SchedulerConfig {
  profiles?: ProfileConfig[];
  percentageOfNodesToScore?: number;
  podInitialBackoffSeconds?: number;
  podMaxBackoffSeconds?: number;
  extenders?: ExtenderConfig[];
}

export interface NodeConfig {
  name: string;
  role?: NodeRole;
  kind?: NodeKind;
  containerRuntime?: ContainerRuntimeName;
  address?: string;
  podCIDR?: string;
  labels?: Record<string, string>;
  taints?: Pick<Taint, "key" | "value" | "effect">[];
}

export type NodeRole = "control-plane" | "worker";
export type NodeKind = "local" | "simulated";
/** The built-in one (conmon with crun or runc), or a containerd of the node's own, by the CRI. */
export type ContainerRuntimeName = "pinnace" | "containerd";
export type LoadBalancerProvider = "none" | "metallb" | "cloud";

export type IngressProvider = "nginx" | "none";

export interface ImagesConfig {
  mirrors?: Record<string, string[]>;
  registries?: Record<string, RegistrySettings>;
  substitutions?: Record<string, string>;
}

export interface RegistrySettings {
  username?: string;
  password?: string;
  /** Speak HTTP, or HTTPS with any certificate. */
  insecure?: boolean;
}

/** Where CNI's configurations and plugins are. */
export interface CniConfig {
  /** A folder of this name and a node's name in it comes first for that node. */
  confDir: string;
  binDirs: string[];
}

/** The second family's side of a cluster's network: as its namesakes of IPv4. */
export interface Ipv6Ranges {
  lan: string;
  hostAddress: string;
  podCIDR: string;
  serviceCIDR: string;
}

/** A cluster with nothing left to decide. Written to its state folder, so that it comes back the same. */
export interface ClusterPlan extends FeatureSwitches {
  name: string;
  nodes: NodePlan[];
  network: {
    /** `172.30.0.0/24`. */
    lan: string;
    /** This machine's own address on the LAN. */
    hostAddress: string;
    podCIDR: string;
    serviceCIDR: string;
    /** First and last port. */
    nodePortRange: [number, number];
    dnsDomain: string;
    /** Of the kube-dns Service. */
    dnsAddress: string;
    /** Of the kubernetes Service: the first address of the service range. */
    kubernetesAddress: string;
    /** Absent in a cluster of IPv4 alone. */
    ipv6?: Ipv6Ranges;
    /** Absent: the built-in network. */
    cni?: CniConfig;
  };
  apiServer: ApiServerConfig;
  images: Required<ImagesConfig>;
  /** Absent in plans made before there was a choice: nginx. */
  ingress?: IngressProvider;
  loadBalancer: LoadBalancerProvider;
  /** Absent: pods end at once when the cluster does. */
  shutdown?: ShutdownSettings;
  /** Absent: pods may set the safe ones only. */
  allowedUnsafeSysctls?: string[];
  enableSystemLogQuery?: boolean;
  /** Absent: one default-scheduler. */
  scheduler?: SchedulerConfig;
  /** Absent: upstream's durations. */
  leaderElection?: { leaseDurationMs: number; renewDeadlineMs: number; retryPeriodMs: number };
  /** Absent: lmdb. */
  store?: StoreConfig;
  /** Absent: authorities of its own. */
  certificates?: string;
  /** Absent: a year. */
  certificateValiditySeconds?: number;
  /** Absent: ten years. */
  caCertificateValiditySeconds?: number;
}

export interface NodePlan {
  name: string;
  role: NodeRole;
  kind: NodeKind;
  /** Absent: the built-in one. */
  containerRuntime?: "containerd";
  address: string;
  podCIDR: string;
  /** Where the cluster has both families. */
  ipv6?: { address: string; podCIDR: string };
  labels: Record<string, string>;
  taints: Pick<Taint, "key" | "value" | "effect">[];
}

export const controlPlaneTaint = { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" } as const;
