/**
 * What every container runtime must do, as tests against real containers. An implementation calls this once with a fixture.
 * The tests share one open runtime, and each group takes away what it made; the last one asserts that nothing stays behind.
 */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  ContainerConfig,
  ContainerId,
  ContainerRuntime,
  ContainerStatus,
  SandboxConfig,
  SandboxId,
  TerminalSize,
} from "./container-runtime.ts";

export interface RuntimeFixture {
  /** A folder for logs and volumes, visible to containers. */
  folder: string;
  /** An image with busybox's commands, no ENTRYPOINT, `CMD ["sh"]` and users in /etc/passwd. */
  imageId: string;
  /** A new runtime object over the same state, as a restarted server has. Not opened yet. */
  runtime(): ContainerRuntime;
  /** A network namespace for a pod, with loopback up. Undefined where the runtime makes pods' networks. */
  networkNamespace(): string | undefined;
  cgroupParent: string;
  /** False where the machine gives containers no memory limits. */
  limitsMemory: boolean;
  execsWithTerminal: boolean;
  /** False when `exec` waits until every child has closed its output, as runc does. */
  leavesBackgroundChildren: boolean;
  /** How many pods the machine can make at the same time without much ado. */
  podsAtOnce: number;
  /** Mounts, processes, cgroups and files that the runtime left behind. */
  leftovers(): string[];
  dispose(): Promise<void>;
}

export function describeContainerRuntime(name: string, makeFixture: () => Promise<RuntimeFixture>): void {
  describe(name, () => {
    let fixture: RuntimeFixture;
    let runtime: ContainerRuntime;
    const sandboxes: SandboxId[] = [];
    /** Where containers run whose pod does not matter. */
    let groupsPod: Promise<SandboxId> | undefined;
    let counter = 0;

    beforeAll(async () => {
      fixture = await makeFixture();
      runtime = fixture.runtime();
      await runtime.open();
    }, 60_000);

    afterAll(async () => {
      await runtime.close();
      const leftovers = fixture.leftovers();
      await fixture.dispose();
      expect(leftovers).toEqual([]);
    });

    /** Tests that may run side by side, and what takes away the pods that they made. */
    function group(name: string, tests: () => void): void {
      describe(name, () => {
        tests();
        afterAll(async () => {
          groupsPod = undefined;
          await Promise.all(sandboxes.splice(0).map((id) => runtime.removeSandbox(id)));
        }, 30_000);
      });
    }

    async function sandbox(overrides: Partial<SandboxConfig> = {}): Promise<SandboxId> {
      const uid = `uid-${++counter}`;
      const id = await runtime.createSandbox({
        pod: { name: `pod-${counter}`, namespace: "default", uid },
        attempt: 0,
        hostname: `pod-${counter}`,
        cgroupParent: `${fixture.cgroupParent}/${uid}`,
        ...overrides,
      });
      sandboxes.push(id);
      return id;
    }

    function containerConfig(script: string, overrides: Partial<ContainerConfig> = {}): ContainerConfig {
      return {
        name: "main",
        // Runtimes take a name and attempt once in a pod.
        attempt: ++counter,
        imageId: fixture.imageId,
        imageName: "test",
        command: ["sh", "-c", script],
        logPath: join(fixture.folder, `log-${++counter}`),
        ...overrides,
      };
    }

    /** Starts a container, in the pod that the group shares unless another is named. */
    async function run(
      script: string,
      overrides: Partial<ContainerConfig> = {},
      pod?: SandboxId,
    ): Promise<ContainerId> {
      groupsPod ??= pod ? undefined : sandbox();
      const id = await runtime.createContainer(pod ?? (await groupsPod!), containerConfig(script, overrides));
      await runtime.startContainer(id);
      return id;
    }

    const logOf = (id: ContainerId) =>
      readFileSync(runtime.containerStatus(id)!.config.logPath!, "utf8").trimEnd().split("\n");
    const wordsOf = (id: ContainerId) => logOf(id).map((line) => line.split(" ").slice(3).join(" "));
    const sh = async (id: ContainerId, script: string) => {
      const result = await runtime.execSync(id, ["sh", "-c", script], { timeoutMs: 10_000 });
      expect(result.stderr.toString()).toBe("");
      return result.stdout.toString().trim();
    };
    const exitOf = async (id: ContainerId) => {
      const { state } = await runtime.waitForExit(id, AbortSignal.timeout(15_000));
      if (state.kind !== "exited") throw new Error(`not exited: ${state.kind}`);
      return state;
    };

    group("running", () => {
      test.concurrent("a container's output is logged as CRI has it, stream by stream, with partial lines marked", async () => {
        const id = await run("echo out; echo err >&2; printf unfinished");
        await exitOf(id);
        const lines = logOf(id).map((line) => line.replace(/^\S+/, "<time>"));
        expect(lines.toSorted()).toEqual(["<time> stderr F err", "<time> stdout F out", "<time> stdout P unfinished"]);
        // Some write the zeros at the end of a fraction, some do not.
        expect(logOf(id)[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d) /);
      });

      test.concurrent("exit codes and their reasons are kept, with the times of start and end", async () => {
        const before = Date.now();
        const fine = await run("true");
        const failed = await run("exit 7");
        expect(await exitOf(fine)).toMatchObject({ exitCode: 0, reason: "Completed" });
        const state = await exitOf(failed);
        expect(state).toMatchObject({ exitCode: 7, reason: "Error" });
        expect(state.startedAtMs).toBeGreaterThanOrEqual(before - 10);
        // Containerd notes the start of a short life after its end.
        expect(state.finishedAtMs).toBeGreaterThanOrEqual(before - 10);
        expect(state.finishedAtMs).toBeLessThanOrEqual(Date.now() + 10);
      });

      test.concurrent("each exit is announced once, to every listener", async () => {
        const seen: ContainerStatus[] = [];
        using _listener = runtime.onContainerExit((status) => void seen.push(status));
        const id = await run("exit 3");
        const final = await runtime.waitForExit(id);
        expect(seen.filter((status) => status.id === id)).toEqual([final]);
        expect(runtime.containerStatus(id)).toEqual(final);
      });

      test.concurrent("the image's command runs unless command or args replace it", async () => {
        const pod = await sandbox();
        const id = await runtime.createContainer(pod, {
          ...containerConfig(""),
          command: undefined,
          args: ["sh", "-c", "echo by args"],
        });
        await runtime.startContainer(id);
        await exitOf(id);
        expect(wordsOf(id)).toEqual(["by args"]);
      });

      test.concurrent("a container has its environment, working folder, host name and name servers", async () => {
        const pod = await sandbox({
          hostname: "web-0",
          dns: {
            servers: ["10.96.0.10"],
            searches: ["default.svc.cluster.local", "svc.cluster.local"],
            options: ["ndots:5"],
          },
        });
        const id = await run(
          'echo "$GREETING $HOSTNAME"; pwd; hostname; cat /etc/hostname /etc/resolv.conf',
          { env: [{ name: "GREETING", value: "good day = fine" }], workingDir: "/made/for/this" },
          pod,
        );
        await exitOf(id);
        expect(wordsOf(id)).toEqual([
          "good day = fine web-0",
          "/made/for/this",
          "web-0",
          "web-0",
          "search default.svc.cluster.local svc.cluster.local",
          "nameserver 10.96.0.10",
          "options ndots:5",
        ]);
      });

      test.concurrent("a command that does not exist is a StartError in the words that users know", async () => {
        const pod = await sandbox();
        const id = await runtime.createContainer(pod, { ...containerConfig(""), command: ["no-such-command"] });
        await expect(runtime.startContainer(id)).rejects.toThrow(
          'exec: "no-such-command": executable file not found in $PATH',
        );
        expect(runtime.containerStatus(id)?.state).toMatchObject({
          kind: "exited",
          exitCode: 128,
          reason: "StartError",
        });
        await runtime.removeContainer(id);
        const absolute = await runtime.createContainer(pod, { ...containerConfig(""), command: ["/bin/missing"] });
        await expect(runtime.startContainer(absolute)).rejects.toThrow(
          'exec: "/bin/missing": stat /bin/missing: no such file or directory',
        );
      });

      test.concurrent("what is unknown is refused as NotFound, and removing it succeeds", async () => {
        const unknown = "f".repeat(64) as ContainerId;
        await expect(runtime.startContainer(unknown)).rejects.toMatchObject({ reason: "NotFound" });
        await expect(runtime.execSync(unknown, ["true"], { timeoutMs: 0 })).rejects.toMatchObject({
          reason: "NotFound",
        });
        expect(runtime.containerStatus(unknown)).toBeUndefined();
        await runtime.removeContainer(unknown);
        await runtime.removeSandbox("f".repeat(64) as SandboxId);
      });

      test.concurrent("a container cannot be started twice, nor entered when it is over", async () => {
        const id = await run("true");
        await expect(runtime.startContainer(id)).rejects.toMatchObject({ reason: "FailedPrecondition" });
        await exitOf(id);
        await expect(runtime.execSync(id, ["true"], { timeoutMs: 0 })).rejects.toMatchObject({
          reason: "FailedPrecondition",
        });
      });

      test.concurrent("twelve containers start at the same time", async () => {
        const pods = await Promise.all(Array.from({ length: fixture.podsAtOnce }, () => sandbox()));
        const ids = await Promise.all(
          Array.from({ length: 12 }, (_, i) => run(`exit ${i}`, {}, pods[i % pods.length])),
        );
        const codes = await Promise.all(ids.map(async (id) => (await exitOf(id)).exitCode));
        expect(codes).toEqual(Array.from({ length: 12 }, (_, i) => i));
      });
    });

    group("stopping", () => {
      test.concurrent("a container that heeds SIGTERM ends at once, with its own exit code", async () => {
        const id = await run("trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
        await until(() => wordsOf(id).includes("ready"));
        const before = Date.now();
        await runtime.stopContainer(id, { gracePeriodSeconds: 20 });
        expect(Date.now() - before).toBeLessThan(3000);
        expect(await exitOf(id)).toMatchObject({ exitCode: 5 });
        await runtime.stopContainer(id, { gracePeriodSeconds: 20 });
      });

      test.concurrent("one that does not is killed when its grace period is over", async () => {
        const id = await run("trap '' TERM; while :; do sleep 0.05; done");
        const before = Date.now();
        await runtime.stopContainer(id, { gracePeriodSeconds: 1 });
        expect(Date.now() - before).toBeGreaterThanOrEqual(990);
        expect(await exitOf(id)).toMatchObject({ exitCode: 137, reason: "Error" });
      });

      test.concurrent("a later stop with a shorter grace period wins", async () => {
        const id = await run("trap '' TERM; while :; do sleep 0.05; done");
        const first = runtime.stopContainer(id, { gracePeriodSeconds: 60 });
        await runtime.stopContainer(id, { gracePeriodSeconds: 0 });
        await first;
        expect(await exitOf(id)).toMatchObject({ exitCode: 137 });
      });

      test.concurrent("a pod removed while its container starts is gone afterwards", async () => {
        const pod = await sandbox();
        const id = await runtime.createContainer(pod, containerConfig("sleep 1000"));
        const starting = runtime.startContainer(id);
        await runtime.removeSandbox(pod);
        await starting;
        expect(runtime.containerStatus(id)).toBeUndefined();
        expect(runtime.listSandboxes().map((each) => each.id)).not.toContain(pod);
      });

      test.concurrent("the stop signal can be chosen", async () => {
        const id = await run("trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done", { stopSignal: "SIGUSR1" });
        await until(() => wordsOf(id).includes("ready"));
        await runtime.stopContainer(id, { gracePeriodSeconds: 20 });
        expect(await exitOf(id)).toMatchObject({ exitCode: 9 });
      });

      test.concurrent("stopping a sandbox kills what runs in it; nothing can be created in it any more", async () => {
        const pod = await sandbox();
        const ids = [await run("sleep 1000", {}, pod), await run("sleep 1000", { name: "other" }, pod)];
        await runtime.stopSandbox(pod);
        for (const id of ids)
          expect(runtime.containerStatus(id)?.state).toMatchObject({ kind: "exited", exitCode: 137 });
        expect(runtime.sandboxStatus(pod)?.state).toBe("stopped");
        await expect(runtime.createContainer(pod, containerConfig("true"))).rejects.toMatchObject({
          reason: "FailedPrecondition",
        });
      });
    });

    group("execSync", () => {
      test.concurrent("gives back output and exit code", async () => {
        const id = await run("sleep 1000");
        const result = await runtime.execSync(id, ["sh", "-c", "echo out; echo err >&2; exit 4"], {
          timeoutMs: 10_000,
        });
        expect({ ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() }).toEqual({
          exitCode: 4,
          stdout: "out\n",
          stderr: "err\n",
        });
      });

      test.concurrent("has the container's environment, but not its standard input", async () => {
        const id = await run("sleep 1000", { env: [{ name: "COLOUR", value: "green" }] });
        expect(await sh(id, "echo $COLOUR; cat")).toBe("green");
      });

      test.concurrent("runs as the container's own user, where the container works", async () => {
        const id = await run("sleep 1000", {
          security: { runAsUser: 1234, runAsGroup: 99, capabilities: { drop: ["ALL"] } },
          workingDir: "/tmp",
        });
        expect(await sh(id, "id -u; id -g; pwd; grep CapBnd /proc/self/status")).toBe(
          "1234\n99\n/tmp\nCapBnd:\t0000000000000000",
        );
      });

      test.concurrent("a command that takes too long is killed", async () => {
        const id = await run("sleep 1000");
        const attempt = runtime.execSync(id, ["sleep", "777"], { timeoutMs: 300 });
        await expect(attempt).rejects.toMatchObject({ reason: "DeadlineExceeded" });
        await until(async () => !(await sh(id, "ps")).includes("sleep 777"));
      });

      test.concurrent("output beyond the limit is dropped, and the command still ends", async () => {
        const id = await run("sleep 1000");
        const result = await runtime.execSync(id, ["sh", "-c", "yes | head -c 5000000"], {
          timeoutMs: 10_000,
          maximumOutputBytes: 1000,
        });
        expect(result).toMatchObject({ exitCode: 0 });
        expect(result.stdout.length).toBe(1000);
      });

      test.concurrent("a child that stays in the background does not hold the answer back", async ({ skip }) => {
        if (!fixture.leavesBackgroundChildren) skip();
        const id = await run("sleep 1000");
        const before = Date.now();
        const result = await runtime.execSync(id, ["sh", "-c", "sleep 500 & echo done"], { timeoutMs: 10_000 });
        expect(result.stdout.toString()).toBe("done\n");
        expect(Date.now() - before).toBeLessThan(5000);
      });

      test.concurrent("a command that does not exist is a StartError", async () => {
        const id = await run("sleep 1000");
        await expect(runtime.execSync(id, ["no-such-command"], { timeoutMs: 10_000 })).rejects.toThrow(
          'exec: "no-such-command": executable file not found in $PATH',
        );
      });
    });

    group("exec with streams", () => {
      test.concurrent("input goes in, its end is seen, output and errors come out apart, and the exit code with them", async () => {
        const id = await run("sleep 1000");
        const { streams, stdout, stderr } = pipes();
        const exit = runtime.exec(id, { command: ["sh", "-c", "cat; echo err >&2; exit 6"], tty: false, ...streams });
        streams.stdin.write("one\n");
        streams.stdin.end("two\n");
        expect([await exit, await stdout, await stderr]).toEqual([6, "one\ntwo\n", "err\n"]);
      });

      test.concurrent("a megabyte each way arrives whole, however slowly it is read", async () => {
        const id = await run("sleep 1000");
        const stdin = new PassThrough();
        const stdout = new PassThrough({ highWaterMark: 1024 });
        const exit = runtime.exec(id, { command: ["cat"], tty: false, stdin, stdout });
        const sent = Buffer.alloc(1 << 20, "0123456789abcdef");
        stdin.end(sent);
        const received: Buffer[] = [];
        for await (const chunk of stdout) {
          received.push(chunk as Buffer);
          if (received.length % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        }
        expect(await exit).toBe(0);
        expect(Buffer.concat(received).equals(sent)).toBe(true);
      });

      test.concurrent("a terminal echoes, has the size it is given, and follows its changes", async ({ skip }) => {
        if (!fixture.execsWithTerminal) skip();
        const id = await run("sleep 1000");
        const { streams, stdout, shown } = pipes();
        const sizes = new Sizes();
        const exit = runtime.exec(id, { command: ["sh"], tty: true, ...streams, stderr: undefined, resize: sizes });
        sizes.push({ columns: 101, rows: 31 });
        // A size reaches the terminal a moment after it was given.
        const untilSize = (size: string) => `until [ "$(stty size)" = "${size}" ]; do sleep 0.02; done`;
        streams.stdin.write(`${untilSize("31 101")}; test -t 0 && stty size\n`);
        await until(() => shown.stdout.includes("\n31 101"));
        sizes.push({ columns: 90, rows: 20 });
        streams.stdin.write(`${untilSize("20 90")}; stty size; exit 3\n`);
        expect(await exit).toBe(3);
        expect((await stdout).replaceAll("\r", "")).toMatch(/test -t 0[\s\S]*\n31 101\n[\s\S]*\n20 90\n/);
      });

      test.concurrent("a session that is broken off kills its command", async () => {
        const id = await run("sleep 1000");
        const over = new AbortController();
        const { streams } = pipes();
        const exit = runtime.exec(id, { command: ["sleep", "555"], tty: false, ...streams, signal: over.signal });
        await until(async () => (await sh(id, "ps")).includes("sleep 555"));
        over.abort(new Error("the client went"));
        await expect(exit).rejects.toThrow("the client went");
        await until(async () => !(await sh(id, "ps")).includes("sleep 555"));
      });
    });

    group("attach", () => {
      test.concurrent("joins the container's own streams; leaving leaves it running", async () => {
        const id = await run('while read line; do echo "got $line"; echo "saw $line" >&2; done', { stdin: true });
        const { streams, stdout, stderr, shown } = pipes();
        const over = new AbortController();
        const attached = runtime.attach(id, { ...streams, signal: over.signal });
        streams.stdin.write("hello\n");
        await until(() => shown.stdout.includes("got hello") && shown.stderr.includes("saw hello"));
        over.abort();
        await attached;
        expect([await stdout, await stderr]).toEqual(["got hello\n", "saw hello\n"]);
        expect(runtime.containerStatus(id)?.state.kind).toBe("running");
        const again = pipes();
        const overAgain = new AbortController();
        const attachedAgain = runtime.attach(id, { ...again.streams, signal: overAgain.signal });
        again.streams.stdin.write("again\n");
        await until(() => again.shown.stdout.includes("got again"));
        overAgain.abort();
        await attachedAgain;
        expect(await again.stdout).toBe("got again\n");
      });

      test.concurrent("what was printed before is for the first client of an interactive container only", async () => {
        const service = await run("echo before; while :; do echo tick; sleep 0.05; done", { stdin: true });
        await until(() => wordsOf(service).includes("tick"));
        const { streams, stdout } = pipes();
        await runtime.attach(service, {
          ...streams,
          stdin: undefined,
          fromStart: true,
          signal: AbortSignal.timeout(300),
        });
        expect(await stdout).toMatch(/^(tick\n)+$/);
      });

      test.concurrent("an interactive container that is over before its client comes gives it its whole output, once", async () => {
        const id = await run("echo all; echo of it >&2", { stdin: true, stdinOnce: true });
        await exitOf(id);
        const { streams, stdout, stderr } = pipes();
        await runtime.attach(id, { ...streams, fromStart: true });
        expect([await stdout, await stderr]).toEqual(["all\n", "of it\n"]);
        await expect(runtime.attach(id, { ...pipes().streams, fromStart: true })).rejects.toThrow("is not running");
      });

      test.concurrent("stdinOnce closes the container's input with the first client's", async () => {
        const id = await run("cat; echo the end", { stdin: true, stdinOnce: true });
        const { streams, stdout } = pipes();
        const attached = runtime.attach(id, streams);
        streams.stdin.end("only this\n");
        await attached;
        expect(await stdout).toBe("only this\nthe end\n");
        expect(await exitOf(id)).toMatchObject({ exitCode: 0 });
      });

      test.concurrent("without stdinOnce a client whose input ends is let go, and the container goes on reading", async () => {
        const id = await run("cat; echo the end", { stdin: true });
        for (const line of ["one", "two"]) {
          const { streams } = pipes();
          const attached = runtime.attach(id, streams);
          streams.stdin.end(`${line}\n`);
          await attached;
          await until(() => logOf(id).join("").includes(line));
        }
        expect(logOf(id).join("")).not.toContain("the end");
        expect(runtime.containerStatus(id)?.state).toMatchObject({ kind: "running" });
      });

      test.concurrent("a terminal is shared: echo, size, and what was printed before the client came", async () => {
        const id = await run("echo welcome; sh", { stdin: true, stdinOnce: true, tty: true });
        await until(() => logOf(id).join("").includes("welcome"));
        const { streams, stdout } = pipes();
        const sizes = new Sizes();
        const attached = runtime.attach(id, { ...streams, stderr: undefined, resize: sizes, fromStart: true });
        sizes.push({ columns: 77, rows: 11 });
        streams.stdin.write('until [ "$(stty size)" = "11 77" ]; do sleep 0.02; done; stty size; exit 4\n');
        await attached;
        const seen = (await stdout).replaceAll("\r", "");
        expect(seen).toMatch(/^welcome\n[\s\S]*\n11 77\n/);
        expect(await exitOf(id)).toMatchObject({ exitCode: 4 });
      });
    });

    group("limits", () => {
      test.concurrent("a container over its memory limit is OOMKilled", async ({ skip }) => {
        if (!fixture.limitsMemory) skip();
        const id = await run("tail /dev/zero", { resources: { memoryLimitBytes: 16 << 20 } });
        expect(await exitOf(id)).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
      });

      test.concurrent("usage can be read, and limits changed while it runs", async ({ skip }) => {
        if (!fixture.limitsMemory) skip();
        const pod = await sandbox({ resources: { memoryLimitBytes: 128 << 20, cpuShares: 512 } });
        const id = await run(
          "while :; do sleep 0.05; done",
          { resources: { memoryLimitBytes: 64 << 20, cpuShares: 256 } },
          pod,
        );
        await until(async () => ((await runtime.containerStats(id))?.cpu.usageNanoseconds ?? 0) > 0);
        const stats = await runtime.containerStats(id);
        expect(stats?.memory.usageBytes).toBeGreaterThan(0);
        expect(stats?.processes).toBeGreaterThanOrEqual(1);
        expect((await runtime.sandboxStats(pod))?.memory.usageBytes).toBeGreaterThan(0);
        await runtime.updateResources(id, { memoryLimitBytes: 96 << 20 });
        await runtime.updateResources(id, { memoryLimitBytes: 32 << 20 });
        await runtime.stopContainer(id, { gracePeriodSeconds: 0 });
        expect(await runtime.containerStats(id)).toBeUndefined();
      });
    });

    group("security", () => {
      test.concurrent("users and groups come from the image, or from the securityContext", async () => {
        const pod = await sandbox();
        const who = async (security: ContainerConfig["security"]) => {
          const id = await run("id", { security }, pod);
          await exitOf(id);
          return wordsOf(id)[0];
        };
        expect(await who(undefined)).toMatch(/^uid=0\(root\) gid=0\(root\)/);
        expect(await who({ runAsUser: 1234, runAsGroup: 99, supplementalGroups: [7, 8] })).toBe(
          "uid=1234 gid=99 groups=7,8,99",
        );
        expect(await who({ runAsUserName: "tester" })).toMatch(/^uid=1000\(tester\) gid=1000\(tester\)/);
        await expect(who({ runAsUserName: "nobody-here" })).rejects.toThrow("unable to find user nobody-here");
      });

      test.concurrent("a read-only root cannot be written to; without it each container writes into its own layer", async () => {
        const pod = await sandbox();
        const readOnly = await run("touch /x || echo refused", { security: { readOnlyRootFilesystem: true } }, pod);
        await exitOf(readOnly);
        expect(wordsOf(readOnly)).toContain("refused");
        const writer = await run("echo mine > /x; sleep 1000", {}, pod);
        const other = await run("sleep 1000", { name: "other" }, pod);
        await until(async () => (await sh(writer, "cat /x || true")) === "mine");
        expect(await sh(other, "ls / | grep -c '^x$' || true")).toBe("0");
      });

      test.concurrent("capabilities are upstream's default, changed as asked; only privileged ones have all", async () => {
        const pod = await sandbox({ privileged: true });
        const effective = async (security: ContainerConfig["security"]) => {
          const id = await run("grep CapEff /proc/self/status", { security }, pod);
          await exitOf(id);
          return wordsOf(id)[0]!.split("\t")[1];
        };
        expect(await effective(undefined)).toBe("00000000a80425fb");
        expect(await effective({ capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] } })).toBe(
          "0000000000000400",
        );
        expect(await effective({ runAsUser: 1000 })).toBe("0000000000000000");
        expect(await effective({ privileged: true })).toBe(
          readFileSync("/proc/self/status", "utf8").match(/CapEff:\t(\S+)/)![1],
        );
      });

      test.concurrent("RuntimeDefault's seccomp profile lets programs run and refuses new namespaces", async () => {
        const id = await run("echo fine; unshare -U true 2>/dev/null || echo refused", {
          security: { seccomp: { type: "RuntimeDefault" } },
        });
        await exitOf(id);
        expect(wordsOf(id)).toEqual(["fine", "refused"]);
      });

      test.concurrent("nothing of this process leaks into a container: no descriptor, no environment", async () => {
        process.env["CONFORMANCE_SECRET"] = "leaked";
        try {
          const id = await run("ls -l /proc/1/fd; env | grep -c SECRET");
          await exitOf(id);
          const descriptors = wordsOf(id).flatMap((line) => / (\d+) -> /.exec(line)?.[1] ?? []);
          expect(descriptors).toEqual(["0", "1", "2"]);
          expect(wordsOf(id).at(-1)).toBe("0");
        } finally {
          delete process.env["CONFORMANCE_SECRET"];
        }
      });
    });

    group("sharing within a pod", () => {
      test.concurrent("volumes are mounted where they should be, writable or not", async () => {
        const folder = join(fixture.folder, `volume-${++counter}`);
        mkdirSync(folder);
        writeFileSync(join(folder, "file"), "content\n");
        const id = await run("cat /data/file; touch /data/new || echo refused; touch /ro/new || echo refused", {
          mounts: [
            { hostPath: folder, containerPath: "/data" },
            { hostPath: folder, containerPath: "/ro", readOnly: true },
            { hostPath: join(folder, "file"), containerPath: "/etc/one-file", readOnly: true },
          ],
        });
        await exitOf(id);
        expect(wordsOf(id).filter((line) => !line.startsWith("touch:"))).toEqual(["content", "refused"]);
        expect(readFileSync(join(folder, "new"), "utf8")).toBe("");
      });

      test.concurrent("where one container has a folder mounted, another of the same image can have a file", async () => {
        const folder = join(fixture.folder, `volume-${++counter}`);
        mkdirSync(folder);
        writeFileSync(join(folder, "file"), "content\n");
        const at = (hostPath: string) => ({ mounts: [{ hostPath, containerPath: "/place" }] });
        const ids = [await run("cat /place/file", at(folder)), await run("cat /place", at(join(folder, "file")))];
        for (const id of ids) {
          await exitOf(id);
          expect(wordsOf(id)).toEqual(["content"]);
        }
      });

      test.concurrent("containers of a pod share /dev/shm and network, not processes; other pods share nothing", async () => {
        const pod = await sandbox({ ...networkOf(fixture) });
        const first = await run("echo shared > /dev/shm/note; sleep 1000", {}, pod);
        const second = await run("sleep 1000", { name: "second" }, pod);
        const stranger = await run("sleep 1000", {}, await sandbox());
        await until(async () => (await sh(second, "cat /dev/shm/note || true")) === "shared");
        expect(await sh(stranger, "ls /dev/shm")).toBe("");
        for (const kind of ["net", "ipc", "uts"]) {
          const link = `readlink /proc/1/ns/${kind}`;
          expect(await sh(first, link)).toBe(await sh(second, link));
          if (kind !== "net") expect(await sh(first, link)).not.toBe(await sh(stranger, link));
        }
        expect(await sh(first, "readlink /proc/1/ns/pid")).not.toBe(await sh(second, "readlink /proc/1/ns/pid"));
      });

      test.concurrent("with shareProcessNamespace they see each other's processes", async () => {
        const pod = await sandbox({ namespaces: { pid: "pod" } });
        const first = await run("sleep 1111", {}, pod);
        const second = await run("sleep 2222", { name: "second" }, pod);
        expect(await sh(first, "ps")).toContain("sleep 2222");
        expect(await sh(second, "ps")).toContain("sleep 1111");
        await runtime.stopContainer(first, { gracePeriodSeconds: 0 });
        expect(runtime.containerStatus(second)?.state.kind).toBe("running");
      });

      test.concurrent("a connection to a port reaches what listens on the pod's localhost, and is refused where nothing does", async () => {
        const pod = await sandbox({ ...networkOf(fixture) });
        await run("nc -l -p 7777 -e echo reached", {}, pod);
        let answer = "";
        await until(async () => {
          const socket = await runtime.connectToPort(pod, 7777).catch(() => undefined);
          if (!socket) return false;
          answer = await text(socket);
          return true;
        });
        expect(answer).toBe("reached\n");
        await expect(runtime.connectToPort(pod, 7778)).rejects.toMatchObject({ code: "ECONNREFUSED" });
      });
    });

    group("a user namespace of the pod's own", () => {
      test("its users are others on the machine, its files and volumes are its own, and it is found again", async (context) => {
        if (!runtime.features.userNamespaces) return context.skip();
        const networkNamespacePath = fixture.networkNamespace();
        const pod = await sandbox({
          ...(networkNamespacePath ? { networkNamespacePath } : {}),
          namespaces: { user: "pod" },
          sysctls: { "net.ipv4.ip_local_port_range": "2000 3000", "kernel.shm_rmid_forced": "1" },
        });
        const volume = join(fixture.folder, "users-volume");
        mkdirSync(volume, { mode: 0o700 });
        writeFileSync(join(volume, "mine"), "of root\n", { mode: 0o600 });
        const file = join(fixture.folder, "users-file");
        writeFileSync(file, "one\n", { mode: 0o600 });
        const mounts = [
          { hostPath: volume, containerPath: "/volume" },
          { hostPath: file, containerPath: "/etc/file" },
        ];
        const id = await run("echo up; sleep 1000", { mounts }, pod);
        const map = (await sh(id, "cat /proc/self/uid_map /proc/self/gid_map")).split(/\s+/).filter(Boolean);
        const first = Number(map[1]);
        expect(map).toEqual(["0", `${first}`, "65536", "0", `${first}`, "65536"]);
        expect(first).toBeGreaterThanOrEqual(65_536);
        expect(await sh(id, "id -u; hostname; stat -Lc '%u %a' / /bin/sh /volume /volume/mine /etc/file")).toBe(
          `0\n${runtime.sandboxStatus(pod)!.config.hostname}\n0 755\n0 755\n0 700\n0 600\n0 600`,
        );
        expect(
          await sh(id, "cat /volume/mine /etc/file; echo two > /volume/new; touch /written; chown 5:6 /written"),
        ).toBe("of root\none");
        // On the machine the volume's new file is root's again, and the process nobody's.
        expect(statSync(join(volume, "new")).uid).toBe(0);
        const { state } = runtime.containerStatus(id)!;
        if (state.kind !== "running") throw new Error("not running");
        expect(statSync(`/proc/${state.pid}`).uid).toBe(first);
        expect(
          await sh(
            id,
            "stat -c '%u %g' /written; cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced",
          ),
        ).toBe("5 6\n2000\t3000\n1");
        // What root may do in its own namespaces it may do; the machine's are out of its reach.
        expect(
          await sh(
            id,
            "{ echo 8 > /proc/sys/kernel/panic; } 2>/dev/null || echo refused; touch /dev/shm/x && echo shm",
          ),
        ).toBe("refused\nshm");
        const other = await run("sleep 1000", { name: "other" }, pod);
        expect((await sh(other, "cat /proc/self/uid_map")).split(/\s+/).filter(Boolean)[1]).toBe(`${first}`);
        const unlike = await run("sleep 1000", {}, await sandbox({ namespaces: { user: "pod" } }));
        expect((await sh(unlike, "cat /proc/self/uid_map")).split(/\s+/).filter(Boolean)[1]).not.toBe(`${first}`);
        await runtime.close();
        runtime = fixture.runtime();
        await runtime.open();
        expect(runtime.sandboxStatus(pod)?.state).toBe("ready");
        expect(await sh(id, "id -u")).toBe("0");
      });
    });

    group("logs", () => {
      test.concurrent("a rotated log goes on in a new file", async () => {
        const id = await run("while :; do echo tick; sleep 0.02; done");
        const path = runtime.containerStatus(id)!.config.logPath!;
        await until(() => readFileSync(path, "utf8").includes("tick"));
        renameSync(path, `${path}.1`);
        await runtime.reopenLog(id);
        await until(() => {
          try {
            return readFileSync(path, "utf8").includes("tick");
          } catch {
            return false;
          }
        });
      });
    });

    group("a restarted server", () => {
      /** As SIGKILL would: the old object does nothing more. */
      async function restart(): Promise<void> {
        await runtime.close();
        runtime = fixture.runtime();
        await runtime.open();
      }

      test("finds its containers running, knows them by their labels, and hears of their end", async () => {
        const pod = await sandbox({ labels: { app: "web" }, annotations: { note: "kept" } });
        const id = await run(
          "trap 'exit 8' TERM; echo ready; while :; do sleep 0.05; done",
          { labels: { tier: "front" }, attempt: 3 },
          pod,
        );
        await until(() => wordsOf(id).includes("ready"));
        const before = runtime.containerStatus(id)!;
        await restart();
        expect(runtime.containerStatus(id)).toEqual(before);
        expect(runtime.sandboxStatus(pod)).toMatchObject({
          state: "ready",
          config: { labels: { app: "web" }, annotations: { note: "kept" }, pod: { uid: before.podUid } },
        });
        expect(
          runtime.listContainers({ podUid: before.podUid }).map((each) => [each.config.name, each.config.attempt]),
        ).toEqual([["main", 3]]);
        expect(await sh(id, "echo still here")).toBe("still here");
        const seen: ContainerStatus[] = [];
        using _listener = runtime.onContainerExit((status) => void seen.push(status));
        await runtime.stopContainer(id, { gracePeriodSeconds: 20 });
        expect(seen.map((status) => status.state)).toMatchObject([{ kind: "exited", exitCode: 8 }]);
      });

      test("learns how containers ended while it was away, and forgets none that had ended before", async () => {
        const ended = await run("exit 11");
        await exitOf(ended);
        const ending = await run("sleep 0.4; exit 12");
        await runtime.close();
        await new Promise((resolve) => setTimeout(resolve, 800));
        runtime = fixture.runtime();
        await runtime.open();
        expect(runtime.containerStatus(ended)?.state).toMatchObject({ exitCode: 11 });
        expect(await exitOf(ending)).toMatchObject({ exitCode: 12, reason: "Error" });
      });

      test("can start another container in a pod that it found", async () => {
        const pod = await sandbox({ hostname: "kept" });
        const first = await run("echo note > /dev/shm/note; sleep 1000", {}, pod);
        await until(async () => (await sh(first, "cat /dev/shm/note || true")) === "note");
        await restart();
        const second = await run("hostname; cat /dev/shm/note", { name: "second" }, pod);
        await exitOf(second);
        expect(wordsOf(second)).toEqual(["kept", "note"]);
      });
    });
  });
}

function networkOf(fixture: RuntimeFixture): Pick<SandboxConfig, "networkNamespacePath"> {
  const networkNamespacePath = fixture.networkNamespace();
  return networkNamespacePath === undefined ? {} : { networkNamespacePath };
}

/** Standard streams as the kubelet's streaming server has them. */
function pipes() {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  /** What has come so far. */
  const shown = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    streams[name].on("data", (chunk) => {
      shown[name] += chunk;
    });
  }
  return { streams, stdout: text(streams.stdout), stderr: text(streams.stderr), shown };
}

class Sizes implements AsyncIterable<TerminalSize> {
  readonly #queue: TerminalSize[] = [];
  #wake: (() => void) | undefined;

  push(size: TerminalSize): void {
    this.#queue.push(size);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      const next = this.#queue.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** The log and the process table cannot be waited for. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`still not true after 10 s: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
