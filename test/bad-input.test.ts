/** What a user can get wrong about the command, and what can happen to it: a clear message, and nothing lost. */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "../src/base/node/find-program.ts";
import { eventually, whyNoCluster } from "../src/testing/cluster-fixture.ts";
import { type MachineState, machineState, newSince } from "../src/testing/leftovers.ts";
import { freePorts } from "../src/testing/registry.ts";

const command = resolve("dist/bin/pinnace.mjs");
const name = `b${process.pid}`;

interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

describe.skipIf(whyNoCluster() !== undefined)("bad input", () => {
  let home: string;
  let before: MachineState;

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "pinnace-bad-"));
    before = machineState();
  });
  afterEach(async () => {
    // Most of what is refused leaves nothing; afterAll looks whether it is so.
    if (existsSync(join(home, "clusters", name))) await pinnace("down", "--name", name);
  });
  afterAll(() => {
    rmSync(home, { recursive: true, force: true });
    expect(newSince(before, machineState(), [name, home])).toEqual({});
  });

  const environment = (more: Record<string, string> = {}) => ({
    ...process.env,
    PINNACE_HOME: home,
    KUBECONFIG: join(home, "kubeconfig"),
    ...more,
  });
  const runWith = (more: Record<string, string>, args: readonly string[]) =>
    runProgram(process.execPath, [command, ...args], more);
  const runProgram = (program: string, args: readonly string[], more: Record<string, string> = {}): Promise<Outcome> =>
    new Promise((done) => {
      execFile(program, args, { env: environment(more), timeout: 60_000 }, (error, stdout, stderr) =>
        done({ exitCode: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
      );
    });
  const pinnace = (...args: string[]) => runWith({}, args);
  const upOne = () => pinnace("up", "--name", name, "--nodes", "1");
  const start = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [command, ...args], { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  const kubectl = (...args: string[]) =>
    execFileSync("kubectl", args, { env: environment(), encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const configFile = (text: string) => {
    const file = join(home, "cluster.yaml");
    writeFileSync(file, `apiVersion: pinnace.local/v1alpha1\nkind: Cluster\n${text}`);
    return file;
  };
  const statusOf = async (cluster = name) =>
    JSON.parse((await pinnace("status", "-o", "json", "--name", cluster)).stdout);
  const isUsable = async () => {
    expect((await statusOf()).state).toBe("up");
    expect(kubectl("get", "nodes", "-o", "name").trim().split("\n").length).toBe((await statusOf()).nodes.length);
  };

  test.each([
    [["up", "--nmae", "x"], /unknown option '--nmae'/],
    [["upp"], /unknown command 'upp'/],
    [["up", "--nodes", "many"], /expected a whole number/],
    [["up", "--name", "../../etc"], /1 to 20 lower-case letters/],
    [["up", "--name", name, "--roles", "kubelett"], /unknown roles: "kubelett"; known are apiserver, /],
    [["up", "--name", name, "--roles", "kubelet"], /"apiserver" must be among/],
    [["up", "--name", name, "--config", "/nowhere.yaml"], /\/nowhere\.yaml cannot be read: ENOENT/],
    [["status", "--name", "nobody"], /there is no cluster "nobody"/],
    [["logs", "--name", "nobody"], /there is no cluster "nobody"/],
    [["kubeconfig", "--name", "nobody"], /there is no cluster "nobody"/],
    [["image", "load", "/nowhere.tar"], /there is no file \/nowhere\.tar/],
  ])("%j is refused in a sentence", async (args, message) => {
    const { exitCode, stderr } = await pinnace(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(exitCode).toBe(1);
    expect(existsSync(join(home, "clusters", name))).toBe(false);
  });

  test("a mistake in the configuration file is shown with its line", async () => {
    const { exitCode, stderr } = await pinnace("up", "--name", name, "--config", configFile("nodez: []\n"));
    expect(stderr).toContain('cluster.yaml:3: nodez: unknown field; did you mean "nodes"?');
    expect(exitCode).toBe(1);
  });

  test("down of nothing says so", async () => {
    expect(await pinnace("down", "--name", "nobody")).toMatchObject({
      exitCode: 0,
      stdout: 'There was no cluster "nobody".\n',
    });
  });

  test("a LAN or a port that is taken is refused before anything is made", async () => {
    const own = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
    if (own) {
      const lan = `${own.split(".").slice(0, 3).join(".")}.0/24`;
      const { stderr } = await pinnace("up", "--name", name, "--config", configFile(`network: { lan: ${lan} }\n`));
      expect(stderr).toMatch(/overlaps .*, a network of this machine \(\w+\); choose another network\.lan/);
    }
    const [port = 0] = await freePorts(1);
    const other = createServer().listen(port, "127.0.0.1");
    try {
      const { stderr } = await pinnace("up", "--name", name, "--config", configFile(`apiServer: { port: ${port} }\n`));
      expect(stderr).toContain(`apiServer.port ${port} is in use by another program`);
    } finally {
      other.close();
    }
    expect(existsSync(join(home, "clusters", name))).toBe(false);
  });

  test("two commands at the same moment work one after the other", async () => {
    const outcomes = await Promise.all([upOne(), upOne()]);
    expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(outcomes.map(({ stdout }) => stdout).join()).toMatch(/already up \(process \d+\)/);
    await isUsable();
  });

  test("a port taken while the server was dead is named, and nothing is lost", async () => {
    const [port = 0] = await freePorts(1);
    await pinnace("up", "--name", name, "--nodes", "1", "--config", configFile(`apiServer: { port: ${port} }\n`));
    kubectl("create", "configmap", "kept");
    process.kill((await statusOf()).server.pid, "SIGKILL");
    const other = await new Promise<ReturnType<typeof createServer>>((listening) => {
      const server = createServer().on("error", () => setTimeout(() => server.listen(port, "127.0.0.1"), 10));
      server.listen(port, "127.0.0.1", () => listening(server));
    });
    const { exitCode, stderr } = await pinnace("up", "--name", name);
    other.close();
    expect(stderr).toMatch(new RegExp(`^pinnace: port ${port} on 127\\.0\\.0\\.1 is in use by another program; .*\n$`));
    expect(exitCode).toBe(1);
    expect((await statusOf()).state).toBe("stopped");
    expect((await pinnace("up", "--name", name)).exitCode).toBe(0);
    expect(kubectl("get", "configmap", "kept", "-o", "name")).toBe("configmap/kept\n");
  });

  test.each(["planned", "starting", "serving"])("an up killed when %s is finished by the next", async (moment) => {
    const up = start("up", "--name", name, "--nodes", "1");
    let said = "";
    up.stdout?.on("data", (text) => (said += text));
    const file = { planned: "plan.json", starting: "server.json", serving: "plan.json" }[moment]!;
    await eventually(
      async () =>
        existsSync(join(home, "clusters", name, file)) && (moment !== "serving" || said.includes("API server")),
      (isThere) => expect(isThere).toBe(true),
    );
    up.kill("SIGKILL");
    expect(await pinnace("up", "--name", name)).toMatchObject({ exitCode: 0 });
    await isUsable();
  });

  test("a server that hangs while starting does not hang its up", async () => {
    const up = start("up", "--name", name, "--nodes", "1", "--timeout", "1");
    let said = "";
    up.stderr?.on("data", (text) => (said += text));
    const file = join(home, "clusters", name, "server.json");
    await eventually(
      async () => JSON.parse(readFileSync(file, "utf8")).pid as number,
      (pid) => process.kill(pid, "SIGSTOP"),
    );
    expect(await new Promise((ended) => up.once("exit", ended))).toBe(1);
    expect(said).toMatch(/the server has not answered for 3 s .*; its log, .* ends with:/);
    expect(existsSync(join(home, "clusters", name))).toBe(false);
  });

  test("a down killed half way is finished by the next up", async () => {
    await upOne();
    kubectl("create", "configmap", "gone");
    const down = start("down", "--name", name);
    await eventually(
      async () => existsSync(join(home, "clusters", name, "going-down")),
      (isThere) => expect(isThere).toBe(true),
    );
    down.kill("SIGKILL");
    const { exitCode, stdout } = await pinnace("up", "--name", name);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("did not finish; finishing it first");
    await isUsable();
    expect(() => kubectl("get", "configmap", "gone")).toThrow("not found");
  });

  test("clusters side by side do not meet", async () => {
    const second = `${name}-2`;
    const outcomes = await Promise.all([
      pinnace("up", "--name", name, "--nodes", "2"),
      pinnace("up", "--name", second, "--nodes", "1"),
    ]);
    expect(outcomes.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(kubectl("--context", `pinnace-${name}`, "get", "nodes", "-o", "name")).toBe(
      "node/control-plane\nnode/worker-1\n",
    );
    expect(kubectl("--context", `pinnace-${second}`, "get", "nodes", "-o", "name")).toBe("node/control-plane\n");
    const { network } = JSON.parse(readFileSync(join(home, "clusters", name, "plan.json"), "utf8"));
    const taken = await pinnace(
      "up",
      "--name",
      `${name}-3`,
      "--config",
      configFile(`network: { lan: ${network.lan} }\n`),
    );
    expect(taken.stderr).toContain(`the LAN of cluster "${name}"`);
    expect((await pinnace("down", "--all")).stdout).toContain(`Cluster "${second}" is gone.`);
    expect(readdirSync(join(home, "clusters"))).toEqual([]);
  });

  test("a full disk is named, and frees itself by down", async () => {
    const disk = join(home, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
    try {
      writeFileSync(join(disk, "ballast"), Buffer.alloc(4_050_000));
      const { exitCode, stderr } = await runWith({ PINNACE_HOME: disk }, ["up", "--name", name, "--timeout", "5"]);
      expect(stderr).toMatch(/no space left on .*: free some/);
      expect(exitCode).toBe(1);
      expect((await runWith({ PINNACE_HOME: disk }, ["down", "--name", name])).exitCode).toBe(0);
    } finally {
      execFileSync("umount", ["-l", disk]);
    }
  });

  test("the server in the foreground ends with Ctrl-C, and its log can be followed", async () => {
    const server = start("server", "--name", name, "--nodes", "1");
    await eventually(statusOf, ({ state }) => expect(state).toBe("up"));
    expect((await pinnace("server", "--name", name)).stderr).toMatch(/already run by process \d+/);
    server.kill("SIGINT");
    expect(await new Promise((ended) => server.once("exit", ended))).toBe(0);
    expect((await statusOf()).state).toBe("stopped");
    await pinnace("up", "--name", name);
    const logs = start("logs", "-f", "--tail", "1", "--name", name);
    let said = "";
    logs.stdout?.on("data", (text) => (said += text));
    await eventually(
      async () => said,
      (text) => expect(text).toContain('"level"'),
    );
    logs.kill();
  });

  test("simulated nodes run pods by themselves, beside real ones too", async () => {
    const nodes = "nodes:\n- name: control-plane\n- { name: pretend, kind: simulated, labels: { kind: pretend } }\n";
    await pinnace("up", "--name", name, "--config", configFile(nodes));
    const overrides = (kind: string) => JSON.stringify({ spec: { nodeSelector: { kind } } });
    kubectl("run", "pretends", "--image=nowhere.invalid/any:1", `--overrides=${overrides("pretend")}`);
    kubectl("wait", "--for=condition=Ready", "pod/pretends", "--timeout=20s");
    expect(kubectl("get", "pod", "pretends", "-o", "jsonpath={.spec.nodeName}")).toBe("pretend");
    expect(() => kubectl("exec", "pretends", "--", "true")).toThrow(/simulated/);
  });

  test("where programs are missing nodes are simulated, and the command says why", async () => {
    // Hidden in a view of the file system that only these commands have.
    const hidden = [findProgram("crun"), findProgram("runc")].flatMap((file) => file ?? []);
    const script = `${hidden.map((file) => `mount --bind /dev/null ${file}`).join(" && ")} && exec "$@"`;
    const hiddenRun = (...args: string[]) =>
      runProgram("unshare", ["-m", "sh", "-c", script, "sh", process.execPath, command, ...args]);
    const doctor = await hiddenRun("doctor");
    expect(doctor.stdout).toMatch(/✗ crun or runc +runs containers\n {4}→ .*install.* crun\n/);
    expect(doctor.exitCode).toBe(1);
    const real = configFile("nodes:\n- { name: a, kind: local }\n");
    expect((await hiddenRun("up", "--name", name, "--config", real)).stderr).toContain(
      '"pinnace doctor" says what it lacks',
    );
    const { stdout, exitCode } = await hiddenRun("up", "--name", name);
    expect(stdout).toMatch(/Nodes will be simulated, .* because this machine lacks crun or runc:\n {2}crun or runc: /);
    expect(exitCode).toBe(0);
    expect((await statusOf()).nodes.map(({ kind }: { kind: string }) => kind)).toEqual(Array(3).fill("simulated"));
    kubectl("create", "deployment", "web", "--image=nginx");
    kubectl("rollout", "status", "deployment/web", "--timeout=20s");
  });

  test("an nft that is too old is named with its version, and nothing is made with it", async () => {
    const old = join(home, "old-nft");
    writeFileSync(old, '#!/bin/sh\necho "nftables v0.9.8 (E.D.S.)"\n', { mode: 0o755 });
    const script = `mount --bind ${old} ${findProgram("nft")} && exec "$@"`;
    const doctor = await runProgram("unshare", ["-m", "sh", "-c", script, "sh", process.execPath, command, "doctor"]);
    expect(doctor.stdout).toMatch(
      /✗ nft +programs Service traffic into the kernel\n {4}→ \S+ is 0\.9\.8, and 1\.0\.1 is needed: /,
    );
    expect(doctor.exitCode).toBe(1);
  });
});
