/** Which capabilities a container gets: containerd's default set, changed as its securityContext says. */
import { RuntimeError, type SecurityContext } from "../container-runtime.ts";

/** Pure. Names come back with CAP_, in a stable order. "All" means all that this machine lets us give: `available`. */
export function containerCapabilities(security: SecurityContext | undefined, available: ReadonlySet<string>): string[] {
  const everything = everyCapability.filter((name) => available.has(prefixed(name)));
  if (security?.privileged) return everything.map(prefixed);
  const granted = new Set(defaultCapabilities);
  const drop = (security?.capabilities?.drop ?? []).map(bare);
  const add = (security?.capabilities?.add ?? []).map(bare);
  for (const name of [...drop, ...add]) {
    if (name !== "ALL" && !everyCapability.includes(name)) {
      throw new RuntimeError("InvalidArgument", `unknown capability "${prefixed(name)}"`);
    }
  }
  // As upstream orders it: ALL before single names, adding before dropping.
  if (add.includes("ALL")) for (const name of everything) granted.add(name);
  if (drop.includes("ALL")) granted.clear();
  for (const name of add) if (name !== "ALL") granted.add(name);
  for (const name of drop) granted.delete(name);
  return everyCapability.filter((name) => granted.has(name)).map(prefixed);
}

function bare(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, "");
}

function prefixed(name: string): string {
  return `CAP_${name}`;
}

const defaultCapabilities =
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split(
    " ",
  );

/** By their numbers in the kernel, from 0. */
const everyCapability = (
  "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
  "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
  "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
  "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split(" ");

/** The capabilities that this process has, from the text of /proc/self/status. Pure. */
export function parseEffectiveCapabilities(status: string): Set<string> {
  const mask = BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(status)?.[1] ?? "0"}`);
  return new Set(everyCapability.filter((_, bit) => (mask >> BigInt(bit)) & 1n).map(prefixed));
}
