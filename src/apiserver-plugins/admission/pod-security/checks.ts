/** The Pod Security Standards as one table: each check says what it forbids, from which minor version on, and in upstream's words. */
import type { Container, EphemeralContainer, PodSpec } from "../../../api/core/v1.ts";
import type { ObjectMeta } from "../../../api/meta/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import type { LevelVersion } from "./level.ts";

export interface CheckedPod {
  metadata: DeepReadonly<Pick<ObjectMeta, "annotations">>;
  spec: DeepReadonly<PodSpec>;
}

export interface Violation {
  reason: string;
  detail: string;
}

type AnyContainer = DeepReadonly<Container> | DeepReadonly<EphemeralContainer>;

interface Check {
  level: "baseline" | "restricted";
  /** The first minor version that has it. */
  since: number;
  /** Checks of the restricted level that say more than a baseline one take its place. */
  replaces?: string;
  /** `minor` is the version that is asked for; Infinity for the latest. */
  find(pod: CheckedPod, minor: number): Violation | undefined;
}

/** Empty: the pod may run at this level. */
export function violations(pod: CheckedPod, { level, minor = Number.POSITIVE_INFINITY }: LevelVersion): Violation[] {
  if (level === "privileged") return [];
  const wanted = Object.entries(checks).filter(([, check]) => {
    return check.since <= minor && (check.level === "baseline" || level === "restricted");
  });
  const replaced = new Set(wanted.map(([, check]) => check.replaces));
  return wanted.flatMap(([name, check]) => (replaced.has(name) ? [] : (check.find(pod, minor) ?? [])));
}

function containersOf({ spec }: CheckedPod): AnyContainer[] {
  return [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
}

const names = (containers: readonly { readonly name: string }[]) => containers.map(({ name }) => name);
const quoted = (values: readonly string[]) => values.map((value) => JSON.stringify(value)).join(", ");
const unique = (values: readonly string[]) => [...new Set(values)].sort();
const plural = (one: string, many: string, count: number) => (count === 1 ? one : many);
const containersText = (list: readonly string[]) => `${plural("container", "containers", list.length)} ${quoted(list)}`;

/** `pod and containers "a", "b"`. */
function settersText(pod: boolean, containers: readonly string[]): string {
  return [...(pod ? ["pod"] : []), ...(containers.length ? [containersText(containers)] : [])].join(" and ");
}

const defaultCapabilities = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);

/** Sysctls that touch nobody else, by the version that let them in. */
const safeSysctls: Readonly<Record<string, number>> = {
  "kernel.shm_rmid_forced": 0,
  "net.ipv4.ip_local_port_range": 0,
  "net.ipv4.tcp_syncookies": 0,
  "net.ipv4.ping_group_range": 0,
  "net.ipv4.ip_unprivileged_port_start": 0,
  "net.ipv4.ip_local_reserved_ports": 27,
  "net.ipv4.tcp_keepalive_time": 29,
  "net.ipv4.tcp_fin_timeout": 29,
  "net.ipv4.tcp_keepalive_intvl": 29,
  "net.ipv4.tcp_keepalive_probes": 29,
  "net.ipv4.tcp_rmem": 32,
  "net.ipv4.tcp_wmem": 32,
};

const seLinuxTypes: Readonly<Record<string, number>> = {
  "": 0,
  container_t: 0,
  container_init_t: 0,
  container_kvm_t: 0,
  container_engine_t: 31,
};

const restrictedVolumeTypes = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

const isWindows = ({ spec }: CheckedPod) => spec.os?.name === "windows";
/** Root of a user namespace of its own is nobody outside. */
const isRelaxed = ({ spec }: CheckedPod, minor: number) => minor >= 35 && spec.hostUsers === false;

/** In upstream's order of reports. */
const checks: Readonly<Record<string, Check>> = {
  appArmorProfile: {
    level: "baseline",
    since: 0,
    find(pod) {
      const bad = (type: string | undefined) => type !== undefined && type !== "RuntimeDefault" && type !== "Localhost";
      const podType = pod.spec.securityContext?.appArmorProfile?.type;
      const containers = containersOf(pod).filter(({ securityContext }) => bad(securityContext?.appArmorProfile?.type));
      const annotations = Object.entries(pod.metadata.annotations ?? {}).filter(
        ([key, value]) =>
          key.startsWith("container.apparmor.security.beta.kubernetes.io/") &&
          value !== "" &&
          value !== "runtime/default" &&
          !value.startsWith("localhost/"),
      );
      if (!bad(podType) && containers.length === 0 && annotations.length === 0) return undefined;
      const values = [
        ...unique([
          ...(bad(podType) ? [podType!] : []),
          ...containers.map((c) => c.securityContext!.appArmorProfile!.type),
        ]),
        ...annotations.map(annotationText).sort(),
      ];
      const setters = [
        ...[settersText(bad(podType), names(containers))].filter(Boolean),
        ...(annotations.length ? [plural("annotation", "annotations", annotations.length)] : []),
      ];
      return {
        reason: plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.length),
        // Quotes within quotes are as upstream writes them.
        detail: `${setters.join(" and ")} must not set AppArmor profile type to ${values.map((value) => `"${value}"`).join(", ")}`,
      };
    },
  },
  capabilities_baseline: {
    level: "baseline",
    since: 0,
    find(pod) {
      const added = (c: AnyContainer) =>
        (c.securityContext?.capabilities?.add ?? []).filter((one) => !defaultCapabilities.has(one));
      const bad = containersOf(pod).filter((container) => added(container).length > 0);
      if (bad.length === 0) return undefined;
      const capabilities = unique(bad.flatMap(added));
      return {
        reason: "non-default capabilities",
        detail: `${containersText(names(bad))} must not include ${quoted(capabilities)} in securityContext.capabilities.add`,
      };
    },
  },
  hostNamespaces: {
    level: "baseline",
    since: 0,
    find({ spec }) {
      const set = (["hostNetwork", "hostPID", "hostIPC"] as const).filter((name) => spec[name]);
      if (set.length === 0) return undefined;
      return { reason: "host namespaces", detail: set.map((name) => `${name}=true`).join(", ") };
    },
  },
  hostPathVolumes: {
    level: "baseline",
    since: 0,
    find({ spec }) {
      const bad = names((spec.volumes ?? []).filter(({ hostPath }) => hostPath));
      if (bad.length === 0) return undefined;
      return { reason: "hostPath volumes", detail: `${plural("volume", "volumes", bad.length)} ${quoted(bad)}` };
    },
  },
  hostPorts: {
    level: "baseline",
    since: 0,
    find(pod) {
      const portsOf = (c: AnyContainer) => (c.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [hostPort] : []));
      const bad = containersOf(pod).filter((container) => portsOf(container).length > 0);
      if (bad.length === 0) return undefined;
      const ports = [...new Set(bad.flatMap(portsOf))].map(String).sort();
      return {
        reason: "hostPort",
        detail: `${containersText(names(bad))} ${plural("uses", "use", bad.length)} ${plural("hostPort", "hostPorts", ports.length)} ${ports.join(", ")}`,
      };
    },
  },
  hostProbesAndHostLifecycle: {
    level: "baseline",
    since: 34,
    find(pod) {
      const hostsOf = (c: AnyContainer) => {
        const handlers = [
          c.livenessProbe,
          c.readinessProbe,
          c.startupProbe,
          c.lifecycle?.postStart,
          c.lifecycle?.preStop,
        ];
        const hosts = handlers.flatMap((one) => {
          const tcp = (one as { tcpSocket?: { host?: string } } | undefined)?.tcpSocket?.host;
          return [one?.httpGet?.host, tcp];
        });
        return hosts.filter((host): host is string => !!host);
      };
      const bad = containersOf(pod).filter((container) => hostsOf(container).length > 0);
      if (bad.length === 0) return undefined;
      const hosts = unique(bad.flatMap(hostsOf));
      return {
        reason: "probe or lifecycle host",
        detail: `${containersText(unique(names(bad)))} ${plural("uses", "use", bad.length)} probe or lifecycle ${plural("host", "hosts", hosts.length)} ${quoted(hosts)}`,
      };
    },
  },
  privileged: {
    level: "baseline",
    since: 0,
    find(pod) {
      const bad = names(containersOf(pod).filter(({ securityContext }) => securityContext?.privileged));
      if (bad.length === 0) return undefined;
      return { reason: "privileged", detail: `${containersText(bad)} must not set securityContext.privileged=true` };
    },
  },
  procMount: {
    level: "baseline",
    since: 0,
    find: (pod, minor) => (isRelaxed(pod, minor) ? undefined : unmaskedProc(pod)),
  },
  seLinuxOptions: {
    level: "baseline",
    since: 0,
    find(pod, minor) {
      type Options = DeepReadonly<{ type?: string; user?: string; role?: string }> | undefined;
      const badType = (options: Options) => {
        const since = seLinuxTypes[options?.type ?? ""];
        return since === undefined || since > minor;
      };
      const bad = (options: Options) => !!options && (badType(options) || !!options.user || !!options.role);
      const podOptions = pod.spec.securityContext?.seLinuxOptions;
      const containers = containersOf(pod).filter(({ securityContext }) => bad(securityContext?.seLinuxOptions));
      if (!bad(podOptions) && containers.length === 0) return undefined;
      const all = [
        ...(bad(podOptions) ? [podOptions] : []),
        ...containers.map((c) => c.securityContext?.seLinuxOptions),
      ];
      const types = unique(all.filter(badType).map((options) => options?.type ?? ""));
      const data = [
        ...(types.length ? [`${plural("type", "types", types.length)} ${quoted(types)}`] : []),
        ...(all.some((options) => options?.user) ? ["user may not be set"] : []),
        ...(all.some((options) => options?.role) ? ["role may not be set"] : []),
      ];
      const setters = settersText(bad(podOptions), names(containers));
      return {
        reason: "seLinuxOptions",
        detail: `${setters} set forbidden securityContext.seLinuxOptions: ${data.join("; ")}`,
      };
    },
  },
  seccompProfile_baseline: {
    level: "baseline",
    since: 0,
    find: (pod, minor) => (minor < 19 ? forbiddenSeccompAnnotations(pod) : forbiddenSeccomp(pod)),
  },
  sysctls: {
    level: "baseline",
    since: 0,
    find({ spec }, minor) {
      const bad = (spec.securityContext?.sysctls ?? []).filter(({ name }) => {
        const since = Object.hasOwn(safeSysctls, name) ? safeSysctls[name]! : Number.POSITIVE_INFINITY;
        return since > minor || since === Number.POSITIVE_INFINITY;
      });
      if (bad.length === 0) return undefined;
      return { reason: "forbidden sysctls", detail: names(bad).join(", ") };
    },
  },
  windowsHostProcess: {
    level: "baseline",
    since: 0,
    find(pod) {
      const inPod = pod.spec.securityContext?.windowsOptions?.hostProcess === true;
      const bad = names(
        containersOf(pod).filter(({ securityContext }) => securityContext?.windowsOptions?.hostProcess),
      );
      if (!inPod && bad.length === 0) return undefined;
      return {
        reason: "hostProcess",
        detail: `${settersText(inPod, bad)} must not set securityContext.windowsOptions.hostProcess=true`,
      };
    },
  },
  allowPrivilegeEscalation: {
    level: "restricted",
    since: 8,
    find(pod, minor) {
      if (minor >= 25 && isWindows(pod)) return undefined;
      const bad = names(
        containersOf(pod).filter(({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false),
      );
      if (bad.length === 0) return undefined;
      return {
        reason: "allowPrivilegeEscalation != false",
        detail: `${containersText(bad)} must set securityContext.allowPrivilegeEscalation=false`,
      };
    },
  },
  capabilities_restricted: {
    level: "restricted",
    since: 22,
    replaces: "capabilities_baseline",
    find(pod, minor) {
      if (minor >= 25 && isWindows(pod)) return undefined;
      const keeping = names(containersOf(pod).filter((c) => !c.securityContext?.capabilities?.drop?.includes("ALL")));
      const added = (c: AnyContainer) =>
        (c.securityContext?.capabilities?.add ?? []).filter((one) => one !== "NET_BIND_SERVICE");
      const adding = containersOf(pod).filter((c) => added(c).length > 0);
      const details: string[] = [];
      if (keeping.length) details.push(`${containersText(keeping)} must set securityContext.capabilities.drop=["ALL"]`);
      if (adding.length) {
        details.push(
          `${containersText(names(adding))} must not include ${quoted(unique(adding.flatMap(added)))} in securityContext.capabilities.add`,
        );
      }
      return details.length ? { reason: "unrestricted capabilities", detail: details.join("; ") } : undefined;
    },
  },
  procMount_restricted: { level: "restricted", since: 35, replaces: "procMount", find: unmaskedProc },
  restrictedVolumes: {
    level: "restricted",
    since: 0,
    replaces: "hostPathVolumes",
    find({ spec }) {
      const typeOf = (volume: object) => Object.keys(volume).find((key) => key !== "name") ?? "unknown";
      const bad = (spec.volumes ?? []).filter((volume) => !restrictedVolumeTypes.has(typeOf(volume)));
      if (bad.length === 0) return undefined;
      const types = unique(bad.map(typeOf));
      return {
        reason: "restricted volume types",
        detail: `${plural("volume", "volumes", bad.length)} ${quoted(names(bad))} ${plural("uses", "use", bad.length)} restricted volume ${plural("type", "types", types.length)} ${quoted(types)}`,
      };
    },
  },
  runAsNonRoot: {
    level: "restricted",
    since: 0,
    find(pod, minor) {
      if (isRelaxed(pod, minor)) return undefined;
      const inPod = pod.spec.securityContext?.runAsNonRoot;
      const containers = containersOf(pod);
      const explicit = names(containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === false));
      const implicit = names(containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === undefined));
      if (explicit.length > 0 || inPod === false) {
        return {
          reason: "runAsNonRoot != true",
          detail: `${settersText(inPod === false, explicit)} must not set securityContext.runAsNonRoot=false`,
        };
      }
      // A pod that says true answers for those that say nothing.
      if (inPod || implicit.length === 0) return undefined;
      return {
        reason: "runAsNonRoot != true",
        detail: `pod or ${containersText(implicit)} must set securityContext.runAsNonRoot=true`,
      };
    },
  },
  runAsUser: {
    level: "restricted",
    since: 23,
    find(pod, minor) {
      if (isRelaxed(pod, minor)) return undefined;
      const inPod = pod.spec.securityContext?.runAsUser === 0;
      const bad = names(containersOf(pod).filter(({ securityContext }) => securityContext?.runAsUser === 0));
      if (!inPod && bad.length === 0) return undefined;
      return { reason: "runAsUser=0", detail: `${settersText(inPod, bad)} must not set runAsUser=0` };
    },
  },
  seccompProfile_restricted: {
    level: "restricted",
    since: 19,
    replaces: "seccompProfile_baseline",
    find(pod, minor) {
      if (minor >= 25 && isWindows(pod)) return undefined;
      const forbidden = forbiddenSeccomp(pod);
      if (forbidden) return forbidden;
      if (pod.spec.securityContext?.seccompProfile?.type) return undefined;
      const missing = names(containersOf(pod).filter(({ securityContext }) => !securityContext?.seccompProfile?.type));
      if (missing.length === 0) return undefined;
      return {
        reason: "seccompProfile",
        detail: `pod or ${containersText(missing)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
      };
    },
  },
};

function unmaskedProc(pod: CheckedPod): Violation | undefined {
  const bad = containersOf(pod).filter(({ securityContext }) => {
    const mount = securityContext?.procMount;
    return mount !== undefined && mount !== "Default";
  });
  if (bad.length === 0) return undefined;
  const mounts = unique(bad.map(({ securityContext }) => securityContext!.procMount!));
  return {
    reason: "procMount",
    detail: `${containersText(names(bad))} must not set securityContext.procMount to ${quoted(mounts)}`,
  };
}

const annotationText = ([key, value]: readonly [string, string]) => `${key}=${JSON.stringify(value)}`;

/** Before there was a field for it. */
function forbiddenSeccompAnnotations(pod: CheckedPod): Violation | undefined {
  const { annotations = {} } = pod.metadata;
  const keys = [seccompAnnotations.pod, ...names(containersOf(pod)).map((name) => seccompAnnotations.container + name)];
  const bad = keys.flatMap((key): [string, string][] => {
    const value = annotations[key];
    const isFine = value === undefined || /^(?:(?:runtime|docker)\/default$|localhost\/)/.test(value);
    return isFine ? [] : [[key, value]];
  });
  if (bad.length === 0) return undefined;
  const texts = unique(bad.map(annotationText));
  return {
    reason: "seccompProfile",
    detail: `forbidden ${plural("annotation", "annotations", texts.length)} ${texts.join(", ")}`,
  };
}

export const seccompAnnotations = {
  pod: "seccomp.security.alpha.kubernetes.io/pod",
  container: "container.seccomp.security.alpha.kubernetes.io/",
} as const;

function forbiddenSeccomp(pod: CheckedPod): Violation | undefined {
  const bad = (type: string | undefined) => type !== undefined && type !== "RuntimeDefault" && type !== "Localhost";
  const podType = pod.spec.securityContext?.seccompProfile?.type;
  const containers = containersOf(pod).filter(({ securityContext }) => bad(securityContext?.seccompProfile?.type));
  if (!bad(podType) && containers.length === 0) return undefined;
  const types = unique([
    ...(bad(podType) ? [podType!] : []),
    ...containers.map((c) => c.securityContext!.seccompProfile!.type),
  ]);
  return {
    reason: "seccompProfile",
    detail: `${settersText(bad(podType), names(containers))} must not set securityContext.seccompProfile.type to ${quoted(types)}`,
  };
}
