/** Which kernel parameters a pod may have a value of its own of (upstream's pkg/kubelet/sysctl). Pure. */
import type { PodObject } from "./pod-state.ts";

/** Kernel parameters that a pod may set, besides the safe ones: names, or beginnings of names. */
export interface SysctlAllowlist {
  names: ReadonlySet<string>;
  prefixes: readonly string[];
}

/** A name with dots between its parts: a slash that stands where a dot stands otherwise is a dot in an interface's name. */
export function normalizedSysctl(name: string): string {
  const first = /[./]/.exec(name)?.[0];
  return first === "/" ? swapped(name) : name;
}

/** Below /proc/sys. */
export function sysctlPath(name: string): string {
  return swapped(normalizedSysctl(name));
}

function swapped(name: string): string {
  return name.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/"));
}

/** Of `allowedUnsafeSysctls`. Throws an Error in upstream's words where a pattern is malformed, or nobody keeps what it names apart. */
export function parseSysctlPatterns(patterns: readonly string[]): SysctlAllowlist {
  const parsed = patterns.map((pattern) => {
    if (pattern.length > maximumLength || !wellFormed.test(pattern))
      throw new Error(
        `sysctl ${JSON.stringify(pattern)} must have at most ${maximumLength} characters and match regex ${wellFormed.source}`,
      );
    const [name = "", ...rest] = normalizedSysctl(pattern).split("*");
    if (!namespaceOf(name)) throw new Error(`the sysctls ${JSON.stringify(name)} are not known to be namespaced`);
    return { name, isPrefix: rest.length > 0 };
  });
  return {
    names: new Set(parsed.filter(({ isPrefix }) => !isPrefix).map(({ name }) => name)),
    prefixes: parsed.filter(({ isPrefix }) => isPrefix).map(({ name }) => name),
  };
}

const maximumLength = 253;

const wellFormed = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]$/;

/** Why a pod that asks for kernel parameters is not taken. */
export function sysctlRefusal(
  { spec }: PodObject,
  allowed: SysctlAllowlist = { names: new Set(), prefixes: [] },
): { reason: string; message: string } | undefined {
  for (const { name: asked } of spec.securityContext?.sysctls ?? []) {
    const name = normalizedSysctl(asked);
    const refuse = (why: string) => ({
      reason: "SysctlForbidden",
      message: `forbidden sysctl: ${JSON.stringify(name)} ${why}`,
    });
    const isAllowed =
      safeSysctls.has(name) || allowed.names.has(name) || allowed.prefixes.some((prefix) => name.startsWith(prefix));
    if (!isAllowed) return refuse("not allowlisted");
    const namespace = namespaceOf(name);
    const isShared = namespace === "Net" ? spec.hostNetwork : namespace === "IPC" && spec.hostIPC;
    if (isShared) return refuse(`not allowed with host ${namespace} enabled`);
  }
  return undefined;
}

/** Which of a pod's namespaces keeps a parameter, or those that begin so, apart. */
function namespaceOf(name: string): "IPC" | "Net" | undefined {
  if (name.startsWith("net.")) return "Net";
  const isIpc = name === "kernel.sem" || /^kernel\.(shm|msg)/.test(name) || name.startsWith("fs.mqueue.");
  return isIpc ? "IPC" : undefined;
}

/** Those whose effect stays in the pod. */
const safeSysctls: ReadonlySet<string> = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.ping_group_range",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_rmem",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.tcp_wmem",
]);
