/** What each version of the standards forbids: a case names the versions from which on and until which a pod is refused, and with which words. */
import { describe, expect, it } from "vitest";
import type { PodSpec } from "../../../api/core/v1.ts";
import { violations } from "./checks.ts";

const quiet = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
};
const c = { name: "c", image: "i", securityContext: quiet };
const spec = (over: object) => ({ containers: [c], ...over }) as unknown as PodSpec;
const inContainer = (securityContext: object, name = "c") => ({
  ...c,
  name,
  securityContext: { ...quiet, ...securityContext },
});
const container = (securityContext: object, more: object = {}) =>
  spec({ containers: [inContainer(securityContext)], ...more });
const windows = { os: { name: "windows" } };
const userns = { hostUsers: false };
const sysctl = (...names: string[]) =>
  spec({ securityContext: { sysctls: names.map((name) => ({ name, value: "1" })) } });
const annotated = (annotations: Record<string, string>) => ({ annotations, spec: spec({}) });
const latest = 36;

/** [what, the pod, level, first version that refuses it, last one, the words]. */
type Case = [
  what: string,
  pod: PodSpec | { annotations: Record<string, string>; spec: PodSpec },
  level: "baseline" | "restricted",
  from: number,
  to: number,
  words: string,
];

const never: readonly [number, number, string] = [99, 0, ""];
const seccomp = "seccomp.security.alpha.kubernetes.io/pod";
const appArmor = "container.apparmor.security.beta.kubernetes.io/c";
const must = "must not set";

const cases: Case[] = [
  ["nothing special", spec({}), "restricted", ...never],
  [
    "privileged",
    container({ privileged: true }),
    "baseline",
    0,
    latest,
    `privileged (container "c" ${must} securityContext.privileged=true)`,
  ],
  [
    "privileged, in containers of every sort",
    spec({
      initContainers: [inContainer({ privileged: true }, "i")],
      ephemeralContainers: [inContainer({ privileged: true }, "e")],
      containers: [inContainer({ privileged: true })],
    }),
    "baseline",
    0,
    latest,
    `privileged (containers "i", "c", "e" ${must} securityContext.privileged=true)`,
  ],
  [
    "the host's namespaces",
    spec({ hostIPC: true, hostPID: true, hostNetwork: true }),
    "baseline",
    0,
    latest,
    "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
  ],
  [
    "a hostPath",
    spec({ volumes: [{ name: "v", hostPath: { path: "/" } }] }),
    "baseline",
    0,
    latest,
    'hostPath volumes (volume "v")',
  ],
  [
    "a hostPath where types are restricted",
    spec({ volumes: [{ name: "v", hostPath: { path: "/" } }] }),
    "restricted",
    0,
    latest,
    'restricted volume types (volume "v" uses restricted volume type "hostPath")',
  ],
  [
    "volumes of several types",
    spec({
      volumes: [
        { name: "v", nfs: {} },
        { name: "w", iscsi: {} },
        { name: "x", emptyDir: {} },
      ],
    }),
    "restricted",
    0,
    latest,
    'restricted volume types (volumes "v", "w" use restricted volume types "iscsi", "nfs")',
  ],
  [
    "an image as a volume, whatever the version",
    spec({ volumes: [{ name: "v", image: { reference: "i" } }] }),
    "restricted",
    ...never,
  ],
  [
    "host ports, sorted as words",
    spec({ containers: [{ ...c, ports: [{ hostPort: 9090 }, { hostPort: 80 }, { hostPort: 8080 }] }] }),
    "baseline",
    0,
    latest,
    'hostPort (container "c" uses hostPorts 80, 8080, 9090)',
  ],
  [
    "capabilities beyond the usual",
    container({ capabilities: { add: ["SYS_TIME", "CHOWN", "NET_RAW"] } }),
    "baseline",
    0,
    latest,
    'non-default capabilities (container "c" must not include "NET_RAW", "SYS_TIME" in securityContext.capabilities.add)',
  ],
  [
    "capabilities beyond the usual, before there was more",
    container({ capabilities: { add: ["SYS_TIME"] } }),
    "restricted",
    0,
    21,
    'non-default capabilities (container "c" must not include "SYS_TIME" in securityContext.capabilities.add)',
  ],
  [
    "capabilities, none dropped",
    container({ capabilities: { add: ["CHOWN"] } }),
    "restricted",
    22,
    latest,
    'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add)',
  ],
  [
    "the one capability that may be added",
    container({ capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] } }),
    "restricted",
    ...never,
  ],
  [
    "capabilities on Windows",
    container({ capabilities: {} }, windows),
    "restricted",
    22,
    24,
    'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
  ],
  [
    "escalation",
    container({ allowPrivilegeEscalation: undefined }),
    "restricted",
    8,
    latest,
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
  ],
  [
    "escalation on Windows",
    container({ allowPrivilegeEscalation: true }, windows),
    "restricted",
    8,
    24,
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
  ],
  [
    "an AppArmor profile",
    spec({ securityContext: { appArmorProfile: { type: "Unconfined" } } }),
    "baseline",
    0,
    latest,
    `forbidden AppArmor profile (pod ${must} AppArmor profile type to "Unconfined")`,
  ],
  [
    "AppArmor profiles in fields and annotations",
    { annotations: { [appArmor]: "unconfined" }, spec: container({ appArmorProfile: { type: "Unconfined" } }) },
    "baseline",
    0,
    latest,
    `forbidden AppArmor profiles (container "c" and annotation ${must} AppArmor profile type to "Unconfined", "${appArmor}="unconfined"")`,
  ],
  ["an AppArmor profile of the node", annotated({ [appArmor]: "localhost/x" }), "baseline", ...never],
  [
    "SELinux",
    spec({ securityContext: { seLinuxOptions: { role: "r", user: "u" } } }),
    "baseline",
    0,
    latest,
    "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: user may not be set; role may not be set)",
  ],
  [
    "the SELinux type of engines",
    container({ seLinuxOptions: { type: "container_engine_t" } }),
    "baseline",
    0,
    30,
    'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
  ],
  [
    "seccomp by annotation",
    annotated({ [seccomp]: "unconfined" }),
    "baseline",
    0,
    18,
    `seccompProfile (forbidden annotation ${seccomp}="unconfined")`,
  ],
  [
    "seccomp by annotation of a container",
    annotated({ "container.seccomp.security.alpha.kubernetes.io/c": "x", [seccomp]: "docker/default" }),
    "restricted",
    0,
    18,
    'seccompProfile (forbidden annotation container.seccomp.security.alpha.kubernetes.io/c="x")',
  ],
  [
    "seccomp",
    container({ seccompProfile: { type: "Unconfined" } }),
    "baseline",
    19,
    latest,
    `seccompProfile (container "c" ${must} securityContext.seccompProfile.type to "Unconfined")`,
  ],
  [
    "no seccomp",
    container({ seccompProfile: undefined }),
    "restricted",
    19,
    latest,
    'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ],
  [
    "no seccomp on Windows",
    container({ seccompProfile: undefined }, windows),
    "restricted",
    19,
    24,
    'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ],
  [
    "seccomp of the pod",
    container({ seccompProfile: undefined }, { securityContext: { seccompProfile: { type: "Localhost" } } }),
    "restricted",
    ...never,
  ],
  [
    "sysctls",
    sysctl("kernel.msgmax", "net.ipv4.tcp_syncookies"),
    "baseline",
    0,
    latest,
    "forbidden sysctls (kernel.msgmax)",
  ],
  [
    "a sysctl of 1.27",
    sysctl("net.ipv4.ip_local_reserved_ports"),
    "baseline",
    0,
    26,
    "forbidden sysctls (net.ipv4.ip_local_reserved_ports)",
  ],
  [
    "sysctls of 1.29",
    sysctl("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout"),
    "baseline",
    0,
    28,
    "forbidden sysctls (net.ipv4.tcp_keepalive_time, net.ipv4.tcp_fin_timeout)",
  ],
  ["a sysctl of 1.32", sysctl("net.ipv4.tcp_rmem"), "baseline", 0, 31, "forbidden sysctls (net.ipv4.tcp_rmem)"],
  [
    "HostProcess",
    container(
      { windowsOptions: { hostProcess: true } },
      { securityContext: { windowsOptions: { hostProcess: true } } },
    ),
    "baseline",
    0,
    latest,
    `hostProcess (pod and container "c" ${must} securityContext.windowsOptions.hostProcess=true)`,
  ],
  [
    "probes of other hosts",
    spec({
      containers: [
        { ...c, name: "z", lifecycle: { preStop: { tcpSocket: { host: "b" } } } },
        { ...c, livenessProbe: { httpGet: { host: "a" } }, startupProbe: { tcpSocket: { host: "b" } } },
      ],
    }),
    "baseline",
    34,
    latest,
    'probe or lifecycle host (containers "c", "z" use probe or lifecycle hosts "a", "b")',
  ],
  [
    "all of /proc",
    container({ procMount: "Unmasked" }),
    "baseline",
    0,
    latest,
    `procMount (container "c" ${must} securityContext.procMount to "Unmasked")`,
  ],
  [
    "all of /proc with users of its own",
    container({ procMount: "Unmasked" }, userns),
    "baseline",
    0,
    34,
    `procMount (container "c" ${must} securityContext.procMount to "Unmasked")`,
  ],
  [
    "all of /proc with users of its own, restricted",
    container({ procMount: "Unmasked" }, userns),
    "restricted",
    0,
    latest,
    `procMount (container "c" ${must} securityContext.procMount to "Unmasked")`,
  ],
  [
    "root by silence",
    container({ runAsNonRoot: undefined }),
    "restricted",
    0,
    latest,
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
  ],
  [
    "root by silence with users of its own",
    container({ runAsNonRoot: undefined }, userns),
    "restricted",
    0,
    34,
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
  ],
  [
    "a pod that may be root, whose container may not",
    spec({ securityContext: { runAsNonRoot: false } }),
    "restricted",
    0,
    latest,
    `runAsNonRoot != true (pod ${must} securityContext.runAsNonRoot=false)`,
  ],
  [
    "a container that may be root",
    container({ runAsNonRoot: false }, { securityContext: { runAsNonRoot: true } }),
    "restricted",
    0,
    latest,
    `runAsNonRoot != true (container "c" ${must} securityContext.runAsNonRoot=false)`,
  ],
  [
    "root by number",
    container({ runAsUser: 0 }, { securityContext: { runAsUser: 0 } }),
    "restricted",
    23,
    latest,
    `runAsUser=0 (pod and container "c" ${must} runAsUser=0)`,
  ],
  [
    "root by number with users of its own",
    container({ runAsUser: 0 }, userns),
    "restricted",
    23,
    34,
    `runAsUser=0 (container "c" ${must} runAsUser=0)`,
  ],
];

describe("the versions of the Pod Security Standards", () => {
  it.each(cases)("%s", (_what, pod, level, from, to, words) => {
    const { annotations, spec } = "spec" in pod ? pod : { annotations: {}, spec: pod };
    const found = (minor: number | undefined) =>
      violations({ metadata: { annotations }, spec }, { level, minor }).map(
        ({ reason, detail }) => `${reason} (${detail})`,
      );
    // Restricted pods may break a baseline rule, too, in versions beside the ones that the case is about: those say other words.
    const refusals = [...Array(latest + 1).keys()].filter((minor) => found(minor).includes(words));
    const expected = [...Array(latest + 1).keys()].filter((minor) => from <= minor && minor <= to);
    expect(refusals).toEqual(expected);
    expect(found(undefined)).toEqual(found(latest));
    if (words === "") for (const minor of [0, 19, latest]) expect(found(minor)).toEqual([]);
    else if (expected.includes(latest)) expect(found(latest)).toEqual([words]);
  });
});
