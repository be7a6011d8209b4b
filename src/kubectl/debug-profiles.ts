/** What `debug --profile` gives the debugging container and its pod. Pure. */
import type { Unstructured } from "./api.ts";

export type DebugStyle = "ephemeral" | "copy" | "node";

export interface Container {
  name: string;
  image?: string;
  securityContext?: Record<string, unknown>;
  [field: string]: unknown;
}

interface PodSpec {
  containers: Container[];
  volumes?: object[];
  [field: string]: unknown;
}

/** What of the original stays in a copy. */
export interface Kept {
  labels: boolean;
  annotations: boolean;
  liveness: boolean;
  readiness: boolean;
  startup: boolean;
  initContainers: boolean;
}

interface Profile {
  securityContext(style: DebugStyle): Record<string, unknown> | undefined;
  /** On a node: its namespaces, and its file system at /host. */
  hostNamespaces: boolean;
  hostRoot: boolean;
  /** A copy is stripped of what would disturb debugging, and its containers see each other. */
  tidiesCopies: boolean;
}

const adding = (...add: string[]) => ({ capabilities: { add } });

const profiles: Readonly<Record<string, Profile>> = {
  legacy: { securityContext: () => undefined, hostNamespaces: true, hostRoot: true, tidiesCopies: false },
  general: {
    securityContext: (style) => (style === "node" ? undefined : adding("SYS_PTRACE")),
    hostNamespaces: true,
    hostRoot: true,
    tidiesCopies: true,
  },
  baseline: { securityContext: () => undefined, hostNamespaces: false, hostRoot: false, tidiesCopies: true },
  restricted: {
    securityContext: () => ({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    }),
    hostNamespaces: false,
    hostRoot: false,
    tidiesCopies: true,
  },
  netadmin: {
    securityContext: () => adding("NET_ADMIN", "NET_RAW"),
    hostNamespaces: true,
    hostRoot: false,
    tidiesCopies: true,
  },
  sysadmin: {
    securityContext: () => ({ privileged: true }),
    hostNamespaces: true,
    hostRoot: true,
    tidiesCopies: true,
  },
};

/** Undefined: there is no such profile. */
export const profileNamed = (name: string): Profile | undefined => profiles[name];

/** The debugging container as the profile wants it. */
export function withProfile(container: Container, profile: Profile, style: DebugStyle): Container {
  const securityContext = profile.securityContext(style);
  return securityContext ? { ...container, securityContext } : container;
}

/** A pod on a node, with as much of the node as the profile gives. */
export function nodePod(
  place: { name: string; namespace: string },
  node: string,
  container: Container,
  profile: Profile,
): Unstructured {
  const root = { volumeMounts: [{ mountPath: "/host", name: "host-root" }] };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: place,
    spec: {
      containers: [{ ...withProfile(container, profile, "node"), ...(profile.hostRoot ? root : {}) }],
      ...(profile.hostNamespaces ? { hostIPC: true, hostNetwork: true, hostPID: true } : {}),
      nodeName: node,
      restartPolicy: "Never",
      tolerations: [{ operator: "Exists" }],
      ...(profile.hostRoot ? { volumes: [{ name: "host-root", hostPath: { path: "/" } }] } : {}),
    },
  };
}

/** A copy of a pod before the debugging container goes into it. */
export function copyOf(
  pod: Unstructured,
  name: string,
  profile: Profile,
  kept: Kept,
  { isOnSameNode }: { isOnSameNode: boolean },
): Unstructured {
  const { labels, annotations, namespace } = pod.metadata;
  const keepsAnnotations = kept.annotations || !profile.tidiesCopies;
  const { ephemeralContainers: _gone, nodeName, initContainers, ...spec } = pod["spec"] as PodSpec;
  const probes = [
    ...(kept.liveness ? [] : ["livenessProbe"]),
    ...(kept.readiness ? [] : ["readinessProbe"]),
    ...(kept.startup ? [] : ["startupProbe"]),
  ];
  const withoutProbes = (container: Container) =>
    Object.fromEntries(Object.entries(container).filter(([field]) => !probes.includes(field))) as Container;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      ...(keepsAnnotations && annotations ? { annotations } : {}),
      ...(kept.labels && labels ? { labels } : {}),
    },
    spec: {
      ...spec,
      ...(profile.tidiesCopies ? { shareProcessNamespace: spec["shareProcessNamespace"] ?? true } : {}),
      ...(initContainers && kept.initContainers ? { initContainers } : {}),
      ...(isOnSameNode && nodeName ? { nodeName } : {}),
      containers: profile.tidiesCopies ? spec.containers.map(withoutProbes) : spec.containers,
    },
  };
}
