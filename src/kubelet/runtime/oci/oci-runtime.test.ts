import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { silentLogger } from "../../../base/logger.ts";
import { findProgram } from "../../../base/node/find-program.ts";
import { Links } from "../../../base/node/links.ts";
import { mountTmpfs, unmountAll } from "../../../base/node/mounts.ts";
import { createNetns, deleteNetns, netnsPath } from "../../../base/node/netns.ts";
import { systemClock } from "../../../base/node/system-clock.ts";
import { systemRandom } from "../../../base/node/system-random.ts";
import { busyboxLayer } from "../busybox-layer.fixture.ts";
import { describeContainerRuntime, type RuntimeFixture } from "../container-runtime.conformance.ts";
import type { ContainerRuntime } from "../container-runtime.ts";
import { OciMachine } from "./machine.ts";
import { entersUsersLast, OciRuntime } from "./oci-runtime.ts";
import { startTicks } from "./processes.ts";

const isPossible = process.getuid?.() === 0 && findProgram("conmon") && findProgram("busybox");

for (const kind of ["crun", "runc"] as const) {
  if (isPossible && findProgram(kind)) describeContainerRuntime(`the OCI runtime with ${kind}`, () => ociFixture(kind));
  else test.skip(`the OCI runtime with ${kind} (needs root, conmon, busybox and ${kind})`, () => {});
}

async function ociFixture(
  kind: "crun" | "runc",
  startTimeoutMs?: number,
): Promise<RuntimeFixture & { runtime(): ContainerRuntime }> {
  const folder = mkdtempSync(`/var/tmp/pnt-runtime-${kind}-`);
  chmodSync(folder, 0o711); // As clusters' folders are.
  const layer = join(folder, "layer");
  busyboxLayer(layer);
  const machine = new OciMachine({
    folder,
    clock: systemClock,
    logger: silentLogger,
    runtime: kind,
    ...(startTimeoutMs ? { startTimeoutMs } : {}),
  });
  const cgroupParent = `/pnt-runtime-${process.pid}-${kind}`;
  const networks: string[] = [];
  const images = {
    rootfs: async () => ({ layers: [layer], config: { cmd: ["sh"] }, reference: "test@sha256:0" }),
    hold() {},
    release() {},
  };
  return {
    folder,
    imageId: "test",
    cgroupParent,
    limitsMemory: true,
    podsAtOnce: 12,
    leavesBackgroundChildren: kind === "crun",
    execsWithTerminal: kind === "crun",
    runtime: () =>
      new OciRuntime({
        folder: join(folder, "node"),
        machine,
        images,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      }),
    networkNamespace() {
      const name = `pnt-runtime-${process.pid}-${networks.length}`;
      createNetns(name, () => {
        const links = new Links();
        links.apply([{ kind: "up", name: "lo" }]);
        links.close();
      });
      networks.push(name);
      return netnsPath(name);
    },
    leftovers() {
      const mounts = readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(`${folder}/.run/node`));
      const files = ["containers", "sandboxes", "runtime"].flatMap((name) =>
        readdirSync(join(folder, ".run/node", name)),
      );
      const { mounts: cgroups } = machine.cgroups;
      const groups = (cgroups.kind === "v2" ? [cgroups.root] : cgroups.hierarchies).flatMap((root) => {
        try {
          return readdirSync(join(root, cgroupParent), { withFileTypes: true })
            .filter((entry) => entry.isDirectory())
            .map((entry) => entry.name);
        } catch {
          return [];
        }
      });
      files.push(...readdirSync(join(folder, "node/writable")));
      return [...mounts, ...files, ...groups, ...processesNaming(folder)];
    },
    async dispose() {
      await machine.cgroups.remove(cgroupParent);
      machine.tearDown();
      for (const name of networks) deleteNetns(name);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

test("user namespaces need a runc of 1.2 or later", () => {
  expect(["1.1.15", "1.2.0-rc.1", "1.3.6+ds1", "2.0.0", "unknown"].map(entersUsersLast)).toEqual([
    ...[false, true, true, true, false],
  ]);
});

if (isPossible && findProgram("crun")) {
  test("what was mounted on the machine while the runtime was open is in containers that mount it, and what was unmounted is not", async () => {
    const fixture = await ociFixture("crun");
    const runtime = fixture.runtime();
    const place = mkdtempSync("/var/tmp/pnt-late-");
    const link = `${fixture.folder}/link`;
    try {
      await runtime.open();
      symlinkSync(place, link);
      const sandbox = await runtime.createSandbox({
        pod: { name: "p", namespace: "default", uid: "late" },
        attempt: 0,
        hostname: "p",
        cgroupParent: `${fixture.cgroupParent}/late`,
      });
      const listed = async (name: string, ...hostPaths: string[]) => {
        const logPath = join(fixture.folder, `${name}.log`);
        const id = await runtime.createContainer(sandbox, {
          name,
          attempt: 0,
          imageId: "test",
          imageName: "test",
          command: ["sh", "-c", "ls /late* && touch /late0/by-the-container; echo listed; sleep 1000"],
          mounts: hostPaths.map((hostPath, i) => ({ hostPath, containerPath: `/late${i}` })),
          logPath,
        });
        await runtime.startContainer(id);
        await vi.waitUntil(() => readFileSync(logPath, "utf8").endsWith(" listed\n"), 5000);
        return readFileSync(logPath, "utf8")
          .replaceAll(/^.* F (listed\n)?/gm, "")
          .split(/\s+/)
          .filter(Boolean);
      };
      mountTmpfs(place, "mode=755");
      mkdirSync(join(place, "inner"));
      mountTmpfs(join(place, "inner"), "mode=755");
      writeFileSync(join(place, "inner", "file"), "");
      expect(await listed("a", place, join(place, "inner"), link)).toEqual([
        "/late0:",
        "inner",
        "/late1:",
        "file",
        "/late2:",
        "inner",
      ]);
      expect(existsSync(join(place, "by-the-container"))).toBe(true);
      unmountAll(place);
      expect(await listed("b", place, link)).toEqual(["/late0:", "/late1:"]);
      await runtime.removeSandbox(sandbox);
      expect(fixture.leftovers()).toEqual([]);
    } finally {
      unmountAll(place);
      await runtime.close();
      await fixture.dispose();
      rmSync(place, { recursive: true, force: true });
    }
  });

  test("a container whose conmon was killed ends too, and says that its exit code is unknown", async () => {
    const fixture = await ociFixture("crun");
    const runtime = fixture.runtime();
    try {
      await runtime.open();
      const sandbox = await runtime.createSandbox({
        pod: { name: "p", namespace: "default", uid: "u" },
        attempt: 0,
        hostname: "p",
        cgroupParent: `${fixture.cgroupParent}/u`,
      });
      const start = async () => {
        const id = await runtime.createContainer(sandbox, {
          name: "main",
          attempt: 0,
          imageId: "test",
          imageName: "test",
          command: ["sleep", "1000"],
        });
        await runtime.startContainer(id);
        return id;
      };
      const id = await start();
      const { state } = runtime.containerStatus(id)!;
      const conmon = Number(readFileSync(join(fixture.folder, ".run/node/containers", id, "conmon.pid"), "utf8"));
      process.kill(conmon, "SIGKILL");
      const ended = await runtime.waitForExit(id, AbortSignal.timeout(5000));
      expect(ended.state).toMatchObject({ kind: "exited", exitCode: 137, reason: "ContainerStatusUnknown" });
      expect(startTicks((state as { pid: number }).pid)).toBeUndefined();
      // The pod is not harmed: the container's next attempt runs.
      expect(runtime.containerStatus(await start())?.state.kind).toBe("running");
    } finally {
      for (const { id } of runtime.listSandboxes()) await runtime.removeSandbox(id);
      await runtime.close();
      await fixture.dispose();
    }
  });
}

if (isPossible && findProgram("crun")) {
  test("a container that ended while nobody looked has ended, though its conmon is not gone yet", async () => {
    const fixture = await ociFixture("crun");
    let runtime = fixture.runtime();
    let late: ReturnType<typeof spawn> | undefined;
    try {
      await runtime.open();
      const sandbox = await runtime.createSandbox({
        pod: { name: "p", namespace: "default", uid: "u" },
        attempt: 0,
        hostname: "p",
        cgroupParent: `${fixture.cgroupParent}/u`,
      });
      const image = { imageId: "test", imageName: "test" };
      const id = await runtime.createContainer(sandbox, {
        name: "main",
        attempt: 0,
        ...image,
        command: ["sleep", "99"],
      });
      await runtime.startContainer(id);
      // A hook that sleeps for a minute does not keep a server that is told to end.
      const hook = runtime.execSync(id, ["sleep", "777"], { timeoutMs: 0 });
      await runtime.close();
      expect(await hook).toMatchObject({ exitCode: 137 });
      const folder = join(fixture.folder, ".run/node/containers", id);
      process.kill(JSON.parse(readFileSync(join(folder, "started.json"), "utf8")).pid, "SIGKILL");
      await expect.poll(() => existsSync(join(folder, id)), { timeout: 10_000 }).toBe(true);
      await expect.poll(() => processesNaming(fixture.folder).length, { timeout: 10_000 }).toBe(0);
      // As its conmon was an instant before: it has let go of what tells of its end, and is still there.
      late = spawn("sh", ["-c", "read x", id], { stdio: ["pipe", "ignore", "ignore"] });
      writeFileSync(join(folder, "conmon.pid"), String(late.pid));
      runtime = fixture.runtime();
      await runtime.open();
      expect((await runtime.waitForExit(id, AbortSignal.timeout(5000))).state).toMatchObject({ exitCode: 137 });
    } finally {
      late?.kill("SIGKILL");
      for (const { id } of runtime.listSandboxes()) await runtime.removeSandbox(id);
      await runtime.close();
      await fixture.dispose();
    }
  });
}

if (isPossible && findProgram("crun")) {
  test("a runtime that hangs is given up, leaves nothing, and does not keep the next container from starting", async () => {
    const bin = mkdtempSync("/var/tmp/pnt-runtime-bin-");
    const hang = join(bin, "hang");
    writeFileSync(
      join(bin, "crun"),
      `#!/bin/sh\n[ -e ${hang} ] && exec sleep 1000\nexec ${findProgram("crun")} "$@"\n`,
      {
        mode: 0o755,
      },
    );
    const path = process.env["PATH"];
    process.env["PATH"] = `${bin}:${path}`;
    const fixture = await ociFixture("crun", 1000);
    const runtime = fixture.runtime();
    try {
      await runtime.open();
      const sandbox = await runtime.createSandbox({
        pod: { name: "p", namespace: "default", uid: "u" },
        attempt: 0,
        hostname: "p",
        cgroupParent: `${fixture.cgroupParent}/u`,
      });
      const create = () =>
        runtime.createContainer(sandbox, {
          name: "main",
          attempt: 0,
          imageId: "test",
          imageName: "test",
          command: ["sleep", "1000"],
        });
      writeFileSync(hang, "");
      const hung = await Promise.all([create(), create(), create()]);
      for (const each of await Promise.allSettled(hung.map((id) => runtime.startContainer(id)))) {
        expect(each).toMatchObject({ status: "rejected", reason: { reason: "StartError" } });
      }
      expect(runtime.containerStatus(hung[0]!)?.state).toMatchObject({ kind: "exited", exitCode: 128 });
      rmSync(hang);
      const id = await create();
      await runtime.startContainer(id);
      expect(runtime.containerStatus(id)?.state.kind).toBe("running");
      for (const each of hung) await runtime.removeContainer(each);
      expect(processesNaming(fixture.folder).filter((line) => hung.some((each) => line.includes(each)))).toEqual([]);
    } finally {
      process.env["PATH"] = path;
      for (const { id } of runtime.listSandboxes()) await runtime.removeSandbox(id);
      await runtime.close();
      await fixture.dispose();
      rmSync(bin, { recursive: true, force: true });
    }
  });
}

if (isPossible && findProgram("crun")) {
  test.each([
    ["crun is killed before it makes the container", "create", "kill -9 $$"],
    ["crun is killed after it has made the container", "create", 'CRUN "$@"; kill -9 $$'],
    ["crun fails without a word", "create", "exit 1"],
    ["conmon is killed before the container is made", "create", "kill -9 $PPID; sleep 1"],
    ["conmon is killed when the container is made", "create", 'CRUN "$@"; kill -9 $PPID; sleep 1'],
  ])("%s: the start fails, nothing is left, and the next one succeeds", async (_, verb, script) => {
    const bin = mkdtempSync("/var/tmp/pnt-runtime-bin-");
    const broken = join(bin, "broken");
    const crun = findProgram("crun")!;
    const body = `#!/bin/sh\ncase " $* " in *" ${verb} "*) if [ -e ${broken} ]; then ${script.replace("CRUN", crun)}; fi;; esac\nexec ${crun} "$@"\n`;
    writeFileSync(join(bin, "crun"), body, { mode: 0o755 });
    const path = process.env["PATH"];
    process.env["PATH"] = `${bin}:${path}`;
    const fixture = await ociFixture("crun", 3000);
    const runtime = fixture.runtime();
    try {
      await runtime.open();
      const sandbox = await runtime.createSandbox({
        pod: { name: "p", namespace: "default", uid: "u" },
        attempt: 0,
        hostname: "p",
        cgroupParent: `${fixture.cgroupParent}/u`,
      });
      const create = () =>
        runtime.createContainer(sandbox, {
          name: "main",
          attempt: 0,
          imageId: "test",
          imageName: "test",
          command: ["sleep", "1000"],
        });
      writeFileSync(broken, "");
      const unlucky = await create();
      await expect(runtime.startContainer(unlucky)).rejects.toMatchObject({ reason: "StartError" });
      expect(runtime.containerStatus(unlucky)?.state).toMatchObject({ kind: "exited", exitCode: 128 });
      rmSync(broken);
      const id = await create();
      await runtime.startContainer(id);
      expect(runtime.containerStatus(id)?.state.kind).toBe("running");
      await runtime.removeContainer(unlucky);
      await expect
        .poll(() => processesNaming(fixture.folder).filter((line) => line.includes(unlucky)), { timeout: 5000 })
        .toEqual([]);
    } finally {
      process.env["PATH"] = path;
      for (const { id } of runtime.listSandboxes()) await runtime.removeSandbox(id);
      await runtime.close();
      const leftovers = fixture.leftovers();
      await fixture.dispose();
      rmSync(bin, { recursive: true, force: true });
      expect(leftovers).toEqual([]);
    }
  });
}

function processesNaming(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return commandLine.includes(`${folder}/.run/node`) ? [`${pid} ${commandLine}`] : [];
      } catch {
        return [];
      }
    });
}
