/**
 * The RuntimeDefault seccomp profile. It refuses what containerd's refuses, written the other way round: everything is
 * allowed except these calls, which keeps the filter a tenth of the size and quick to compile for every container.
 */

/** The OCI runtime specification's `linux.seccomp`, as far as it is used here. */
export interface SeccompProfile {
  defaultAction: string;
  architectures?: string[];
  syscalls?: {
    names: string[];
    action: string;
    errnoRet?: number;
    args?: { index: number; value: number; valueTwo?: number; op: string }[];
  }[];
}

/** Pure. `capabilities` are those of the container, with CAP_. */
export function defaultSeccompProfile(capabilities: ReadonlySet<string>): SeccompProfile {
  const refused = [...neverNeeded];
  for (const [names, ...openers] of needCapability) {
    if (!openers.some((capability) => capabilities.has(`CAP_${capability}`))) refused.push(...names);
  }
  const syscalls: SeccompProfile["syscalls"] = [
    { names: refused, action: "SCMP_ACT_ERRNO", errnoRet: eperm },
    // Virtual machine sockets reach past the network namespace.
    {
      names: ["socket"],
      action: "SCMP_ACT_ERRNO",
      errnoRet: eperm,
      args: [{ index: 0, value: afVsock, op: "SCMP_CMP_EQ" }],
    },
  ];
  if (!capabilities.has("CAP_SYS_ADMIN")) {
    // A filter cannot look into clone3's structure; told that it does not exist, C libraries fall back to clone.
    syscalls.push({ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: enosys });
    for (const flag of namespaceFlags) {
      syscalls.push({
        names: ["clone"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: eperm,
        args: [{ index: 0, value: flag, valueTwo: flag, op: "SCMP_CMP_MASKED_EQ" }],
      });
    }
  }
  return { defaultAction: "SCMP_ACT_ALLOW", architectures, syscalls };
}

const architectures =
  process.arch === "arm64"
    ? ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    : ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];

/** Kernel keyrings, swapping, kernel images, obsolete calls, and io_uring, which passes filters by. */
const neverNeeded = [
  ..."add_key keyctl request_key kexec_load kexec_file_load swapon swapoff pivot_root userfaultfd".split(" "),
  ..."io_uring_setup io_uring_enter io_uring_register move_pages nfsservctl uselib ustat sysfs _sysctl".split(" "),
  ..."create_module get_kernel_syms query_module vm86 vm86old afs_syscall getpmsg putpmsg tuxcall security vserver".split(
    " ",
  ),
];

/** Calls, and the capabilities of which any one opens them. */
const needCapability: readonly [names: string[], ...openers: string[]][] = [
  [
    (
      "fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount open_tree " +
      "quotactl quotactl_fd setdomainname sethostname setns umount umount2 unshare"
    ).split(" "),
    "SYS_ADMIN",
  ],
  [["bpf"], "SYS_ADMIN", "BPF"],
  [["perf_event_open"], "SYS_ADMIN", "PERFMON"],
  [["syslog"], "SYS_ADMIN", "SYSLOG"],
  [["open_by_handle_at"], "DAC_READ_SEARCH"],
  [["reboot"], "SYS_BOOT"],
  [["chroot"], "SYS_CHROOT"],
  [["delete_module", "init_module", "finit_module"], "SYS_MODULE"],
  [["acct"], "SYS_PACCT"],
  [["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev"], "SYS_PTRACE"],
  [["iopl", "ioperm"], "SYS_RAWIO"],
  [["settimeofday", "stime", "clock_settime", "clock_settime64"], "SYS_TIME"],
  [["vhangup"], "SYS_TTY_CONFIG"],
  [["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"], "SYS_NICE"],
];

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const namespaceFlags = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000];
const eperm = 1;
const enosys = 38;
const afVsock = 40;
