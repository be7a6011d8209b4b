/** AppArmor for containers: the profile of those that name none, and which profile a container starts under. */
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { findProgram } from "../../../base/node/find-program.ts";
import { spawnProcess } from "../../../base/node/spawn-process.ts";
import { RuntimeError, type SecurityContext } from "../container-runtime.ts";

export const defaultProfileName = "pinnace-default";

/**
 * What containers may not do beyond what capabilities, seccomp and masked paths keep from them: write to the kernel's own
 * files, mount, and trace or signal who is not of their kind. The same as what containerd's default profile takes away.
 * `senders`: labels of processes outside that may signal them.
 */
export function defaultProfile(senders: readonly string[]): string {
  const name = defaultProfileName;
  return `profile ${name} flags=(attach_disconnected, mediate_deleted) {
  capability,
  file,
  network,
  umount,
  unix,

  # The machine's processes stop containers and look into them; containers only reach one another.
${senders.map((label) => `  signal (receive) peer=${label},\n`).join("")}  signal (send, receive) peer=${name},
  ptrace (tracedby, readby) peer=unconfined,
  ptrace (trace, tracedby, read, readby) peer=${name},

  deny mount,

  # In /proc only what belongs to processes is written to, and the settings that go with the pod's own shared memory.
  deny /proc/* w,
  deny /proc/{[^0-9s/],s[^y/],sy[^s/],sys[^/]}*/** w,
  deny /proc/sys/{[^k],k[^e],ke[^r]}** w,
  deny /proc/sys/kernel/{[^s],s[^h],sh[^m]}** w,
  deny /proc/{kcore,sysrq-trigger} rwklx,

  # In /sys nothing but control groups.
  deny /sys/{[^f],f[^s],fs/[^c],fs/c[^g],fs/cg[^r]}** wklx,
  deny /sys/{firmware,kernel/security,devices/virtual/powercap}/** rwklx,
}
`;
}

/** What the machine's AppArmor holds ready for containers. */
export interface AppArmorHost {
  hasDefaultProfile: boolean;
  /** Names of the profiles that the kernel has loaded. */
  loaded(): ReadonlySet<string>;
}

/**
 * Hands the kernel the default profile; one of this name that it has is replaced, for running containers as well.
 * Rejects with the parser's complaint.
 */
export async function loadDefaultProfile(): Promise<void> {
  const parser = findProgram("apparmor_parser");
  if (!parser) throw new RuntimeError("Unavailable", "missing programs: apparmor_parser");
  // Not through the parser's cache of compiled profiles: that belongs to the machine's own.
  const child = spawnProcess({
    file: parser,
    args: ["--replace", "--skip-cache"],
    fds: { 0: "pipe-in", 2: "pipe-out" },
  });
  child.writers[0]!.on("error", () => {}); // It ended early: its exit code says so.
  child.writers[0]!.end(defaultProfile(senders(readFileSync("/proc/self/attr/current", "utf8"))));
  const [complaint, end] = await Promise.all([text(child.readers[2]!), child.exited]);
  if (end.code !== 0)
    throw new RuntimeError("Unavailable", `apparmor_parser: ${complaint.trim() || `exit code ${end.code}`}`);
}

/** `ownLabel`: what this process runs under, with its mode: "unconfined", or "node (enforce)". Runtimes have profiles of their own on some machines. */
export function senders(ownLabel: string): string[] {
  const own = ownLabel
    .replace(/\0/g, "")
    .trim()
    .replace(/ \([a-z]+\)$/, "");
  return [...new Set(["unconfined", "crun", "runc", ...(own ? [JSON.stringify(own)] : [])])].filter(
    (label) => label !== '"unconfined"',
  );
}

/** Names in the kernel's list, whose lines are such as `web (enforce)`. */
export function loadedProfiles(list = readFileSync("/sys/kernel/security/apparmor/profiles", "utf8")): Set<string> {
  return new Set(list.split("\n").flatMap((line) => /^(.+) \([a-z]+\)$/.exec(line)?.[1] ?? []));
}

/**
 * The profile that a container starts under; undefined: none. As containerd: without a word it is the default, which leaves
 * privileged containers alone. `host`: absent where the kernel has no AppArmor.
 * Throws a RuntimeError of reason "InvalidArgument" when the profile asked for cannot be had.
 */
export function profileFor(
  { appArmor, privileged }: Pick<SecurityContext, "appArmor" | "privileged">,
  host: AppArmorHost | undefined,
): string | undefined {
  if (appArmor?.type === "Unconfined") return undefined;
  if (appArmor?.type === "Localhost") {
    if (!host) throw refusal("apparmor is not supported");
    if (!host.loaded().has(appArmor.profile)) throw refusal(`apparmor profile not found ${appArmor.profile}`);
    return appArmor.profile;
  }
  if (privileged) return undefined;
  if (host?.hasDefaultProfile) return defaultProfileName;
  if (appArmor) throw refusal("apparmor is not supported");
  return undefined;
}

function refusal(why: string): RuntimeError {
  return new RuntimeError(
    "InvalidArgument",
    `failed to get container spec opts: failed to generate apparmor spec opts: ${why}`,
  );
}
