import { expect, test } from "vitest";
import { type BundleInputs, compileBundle, processArgs } from "./bundle.ts";
import { containerCapabilities, parseEffectiveCapabilities } from "./capabilities.ts";
import { parseCgroupMounts } from "./cgroups.ts";
import { startFailure } from "./launch.ts";
import { parseLogLine } from "./log-follower.ts";
import { isShared } from "./machine.ts";
import { signalNumber } from "./processes.ts";
import { defaultSeccompProfile } from "./seccomp-default.ts";
import { homeOf, resolveUser } from "./users.ts";

const all = new Set(["CAP_SYS_RESOURCE", "CAP_CHOWN", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);

function inputs(overrides: Partial<BundleInputs> = {}): BundleInputs {
  return {
    config: {
      name: "web",
      attempt: 0,
      imageId: "sha256:1",
      imageName: "web",
      command: ["web"],
      mounts: [
        { hostPath: "/pods/1/volumes/data", containerPath: "/data" },
        { hostPath: "/pods/1/hosts", containerPath: "/etc/hosts", readOnly: true },
        { hostPath: "/pods/1/volumes/data/sub", containerPath: "/data/sub/deeper", propagation: "HostToContainer" },
      ],
      resources: {
        cpuShares: 512,
        memoryLimitBytes: 1000,
        cpuQuotaMicroseconds: 50_000,
        cpuPeriodMicroseconds: 100_000,
        oomScoreAdj: -997,
      },
      env: [{ name: "A", value: "from the spec" }],
    },
    sandbox: {
      pod: { name: "web-0", namespace: "default", uid: "u" },
      attempt: 0,
      hostname: "web-0",
      cgroupParent: "/p",
    },
    image: { env: ["A=from the image", "B=2"], entrypoint: ["/entry"], cmd: ["serve"], workingDir: "/srv" },
    user: { uid: 1000, gid: 1000, additionalGids: [1000] },
    home: "/home/web",
    rootfs: "/c/rootfs",
    cgroupPath: "/p/c",
    cgroupKind: "v2",
    namespaces: { network: "/run/netns/x", ipc: "/s/ipc", uts: "/s/uts" },
    shm: "/s/shm",
    sandboxFiles: [
      { hostPath: "/s/resolv.conf", containerPath: "/etc/resolv.conf" },
      { hostPath: "/s/hosts", containerPath: "/etc/hosts" },
    ],
    openFilesLimit: 1024,
    availableCapabilities: all,
    ...overrides,
  };
}

test("a bundle says what the container is", () => {
  const bundle = compileBundle(inputs()) as unknown as {
    process: {
      env: string[];
      args: string[];
      cwd: string;
      capabilities: Record<string, string[]>;
      oomScoreAdj: number;
    };
    linux: {
      namespaces: object[];
      resources: object;
      seccomp?: object;
      rootfsPropagation?: string;
      maskedPaths?: string[];
    };
    mounts: { destination: string; source: string; options: string[] }[];
  };
  expect(bundle.process).toMatchObject({
    args: ["web"],
    cwd: "/srv",
    env: [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOSTNAME=web-0",
      "A=from the spec",
      "B=2",
      "HOME=/home/web",
    ],
    oomScoreAdj: -997,
  });
  // Only root keeps its capabilities.
  expect(bundle.process.capabilities["effective"]).toEqual([]);
  expect(bundle.mounts.slice(-4).map((mount) => [mount.destination, mount.source, mount.options])).toEqual([
    ["/data", "/pods/1/volumes/data", ["rbind", "rprivate", "rw"]],
    ["/etc/hosts", "/pods/1/hosts", ["rbind", "rprivate", "ro"]],
    ["/etc/resolv.conf", "/s/resolv.conf", ["rbind", "rprivate", "rw"]],
    ["/data/sub/deeper", "/pods/1/volumes/data/sub", ["rbind", "rslave", "rw"]],
  ]);
  expect(bundle.linux.namespaces).toEqual([
    { type: "mount" },
    { type: "network", path: "/run/netns/x" },
    { type: "ipc", path: "/s/ipc" },
    { type: "uts", path: "/s/uts" },
    { type: "pid" },
    { type: "cgroup" },
  ]);
  expect(bundle.linux.resources).toMatchObject({
    cpu: { shares: 512, quota: 50_000, period: 100_000 },
    memory: { limit: 1000, swap: 1000 },
    devices: [{ allow: false, access: "rwm" }],
  });
  expect(bundle.linux.rootfsPropagation).toBe("rslave");
  expect(bundle.linux.seccomp).toBeUndefined();
  expect(bundle.linux.maskedPaths).toContain("/proc/kcore");
});

test("a privileged container sees and may do what the machine's root does", () => {
  const base = inputs();
  const bundle = compileBundle({
    ...base,
    user: { uid: 0, gid: 0, additionalGids: [] },
    config: { ...base.config, security: { privileged: true, seccomp: { type: "RuntimeDefault" } } },
  }) as unknown as {
    process: { capabilities: { effective: string[] } };
    linux: Record<string, unknown>;
    mounts: { destination: string; options: string[] }[];
  };
  expect(bundle.process.capabilities.effective.sort()).toEqual([...all].sort());
  expect(bundle.linux).not.toHaveProperty("maskedPaths");
  expect(bundle.linux["seccomp"]).toBeUndefined();
  expect(bundle.mounts.find((mount) => mount.destination === "/sys")!.options).toContain("rw");
});

test("without CAP_SYS_RESOURCE no process is made safer from the OOM killer", () => {
  const bundle = compileBundle(inputs({ availableCapabilities: new Set() })) as unknown as {
    process: { oomScoreAdj: number };
  };
  expect(bundle.process.oomScoreAdj).toBe(0);
});

test.each([
  [{}, ["/entry", "serve"]],
  [{ command: ["c"] }, ["c"]],
  [{ args: ["a"] }, ["/entry", "a"]],
  [{ command: ["c"], args: ["a"] }, ["c", "a"]],
])("of %o and the image's ENTRYPOINT and CMD comes %o", (spec, expected) => {
  const config = { ...inputs().config, command: undefined, ...spec };
  expect(processArgs(config, { entrypoint: ["/entry"], cmd: ["serve"] })).toEqual(expected);
});

test("capabilities: dropping ALL and adding some leaves these; unknown names are refused", () => {
  const of = (capabilities: { add?: string[]; drop?: string[] }) => containerCapabilities({ capabilities }, all);
  expect(of({ drop: ["ALL"], add: ["NET_BIND_SERVICE"] })).toEqual(["CAP_NET_BIND_SERVICE"]);
  expect(of({ add: ["CAP_SYS_TIME"], drop: ["chown"] })).toEqual(expect.arrayContaining(["CAP_SYS_TIME", "CAP_KILL"]));
  expect(of({ drop: ["chown"] })).not.toContain("CAP_CHOWN");
  expect(() => of({ add: ["FLY"] })).toThrow('unknown capability "CAP_FLY"');
  expect([...parseEffectiveCapabilities("Name:\tx\nCapEff:\t0000000000000401\n")]).toEqual([
    "CAP_CHOWN",
    "CAP_NET_BIND_SERVICE",
  ]);
});

test("the default seccomp profile opens with capabilities", () => {
  const refusedOf = (...capabilities: string[]) => defaultSeccompProfile(new Set(capabilities)).syscalls![0]!.names;
  expect(refusedOf()).toEqual(
    expect.arrayContaining(["mount", "unshare", "bpf", "keyctl", "io_uring_setup", "reboot"]),
  );
  expect(refusedOf("CAP_SYS_ADMIN")).not.toContain("mount");
  expect(refusedOf("CAP_BPF")).not.toContain("bpf");
  expect(refusedOf("CAP_SYS_ADMIN")).toContain("keyctl");
});

const passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:100:101:web:/srv:/bin/false\n";
const group = "root:x:0:\nweb:x:101:\nlogs:x:7:web,other\n";

test.each([
  [undefined, undefined, { uid: 0, gid: 0, additionalGids: [0] }],
  ["web", undefined, { uid: 100, gid: 101, additionalGids: [7, 101] }],
  ["web:logs", undefined, { uid: 100, gid: 7, additionalGids: [7] }],
  ["4711", undefined, { uid: 4711, gid: 0, additionalGids: [0] }],
  ["4711:4712", undefined, { uid: 4711, gid: 4712, additionalGids: [4712] }],
  ["web", { runAsUser: 5 }, { uid: 5, gid: 0, additionalGids: [0] }],
  ["web", { runAsGroup: 9, supplementalGroups: [3] }, { uid: 100, gid: 9, additionalGids: [3, 7, 9] }],
  ["web", { supplementalGroupsPolicy: "Strict" }, { uid: 100, gid: 101, additionalGids: [101] }],
] as const)("the image's user %s with %o runs as %o", (imageUser, security, expected) => {
  expect(resolveUser(imageUser, security, passwd, group)).toEqual(expected);
});

test("unknown users and groups are refused; homes are found", () => {
  expect(() => resolveUser("nobody", undefined, passwd, group)).toThrow(
    "unable to find user nobody: no matching entries in passwd file",
  );
  expect(() => resolveUser("web:nothing", undefined, passwd, group)).toThrow("unable to find group nothing");
  expect([homeOf(100, passwd), homeOf(4711, passwd)]).toEqual(["/srv", undefined]);
});

test("cgroup mounts of the three kinds are told apart", () => {
  const line = (mountPoint: string, type: string, options: string) =>
    `32 31 0:29 / ${mountPoint} rw,relatime shared:9 - ${type} ${type} ${options}`;
  const v1 = [
    line("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
    line("/sys/fs/cgroup/systemd", "cgroup", "rw,name=systemd"),
  ];
  expect(parseCgroupMounts(v1.join("\n"))).toMatchObject({
    kind: "v1",
    controllers: new Map([
      ["cpu", "/sys/fs/cgroup/cpu,cpuacct"],
      ["cpuacct", "/sys/fs/cgroup/cpu,cpuacct"],
    ]),
    hierarchies: ["/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/systemd"],
  });
  const unified = line("/sys/fs/cgroup/unified", "cgroup2", "rw");
  expect(parseCgroupMounts([...v1, unified].join("\n"))).toMatchObject({
    kind: "hybrid",
    unified: "/sys/fs/cgroup/unified",
  });
  expect(parseCgroupMounts(line("/sys/fs/cgroup", "cgroup2", "rw"))).toEqual({ kind: "v2", root: "/sys/fs/cgroup" });
  expect(parseCgroupMounts("22 27 0:21 / /proc rw - proc proc rw")).toBeUndefined();
});

test("a folder is shared when the innermost mount above it is", () => {
  const mountinfo = [
    "27 1 254:0 / / rw - ext4 /dev/vda rw",
    "30 27 254:0 /state /var/state rw shared:5 - ext4 /dev/vda rw",
    "31 30 0:9 / /var/state/private rw - tmpfs tmpfs rw",
  ].join("\n");
  expect(
    ["/var", "/var/state", "/var/state/a/b", "/var/state/private/x", "/var/stateful"].map((folder) =>
      isShared(folder, mountinfo),
    ),
  ).toEqual([false, true, true, false, false]);
});

test("log entries give back the bytes that were written", () => {
  const bytesOf = (line: string) => {
    const chunk = parseLogLine(Buffer.from(line));
    return chunk && [chunk.stream, chunk.bytes.toString()];
  };
  const time = "2026-11-21T03:48:29.191978601+00:00";
  expect(
    [
      `${time} stdout F hello  world`,
      `${time} stderr P half`,
      `${time} stdout F `,
      `${time} stdout F`,
      "garbage",
      `${time} stdin F x`,
    ].map(bytesOf),
  ).toEqual([
    ["stdout", "hello  world\n"],
    ["stderr", "half"],
    ["stdout", "\n"],
    ["stdout", "\n"],
    undefined,
    undefined,
  ]);
});

test("what the runtimes complain of is told in known words", () => {
  expect(startFailure("executable file `foo` not found in $PATH: No such file or directory\n")).toBe(
    'OCI runtime create failed: unable to start container process: exec: "foo": executable file not found in $PATH: unknown',
  );
  expect(
    startFailure(
      'time="2026" level=error msg="runc create failed: unable to start container process: exec: \\"foo\\": executable file not found in $PATH"',
    ),
  ).toBe(
    'OCI runtime create failed: unable to start container process: exec: "foo": executable file not found in $PATH: unknown',
  );
  expect(startFailure("mount `/x` to `/y`: No such file or directory")).toBe(
    "OCI runtime create failed: mount `/x` to `/y`: No such file or directory: unknown",
  );
});

test("signals by any of their names", () => {
  expect(["SIGTERM", "TERM", "term", "15", "SIGRTMIN+3", "SIGRTMAX-1"].map(signalNumber)).toEqual([
    15, 15, 15, 15, 37, 63,
  ]);
  expect(() => signalNumber("SIGNONSENSE")).toThrow('unknown signal "SIGNONSENSE"');
});
