/** A program embeds clusters: `import { startCluster } from "pinnace"`. */
import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { importLibrary, type Library, libraryPath } from "../src/testing/built-library.ts";
import { eventually, whyNoCluster } from "../src/testing/cluster-fixture.ts";
import { machineState, newSince } from "../src/testing/leftovers.ts";

const run = promisify(execFile);
const needsRealNodes = whyNoCluster();
const describeReal = describe.skipIf(needsRealNodes !== undefined);
const because = needsRealNodes ? ` (skipped: ${needsRealNodes})` : "";

let library: Library;
type Cluster = Awaited<ReturnType<Library["startCluster"]>>;

beforeAll(async () => {
  library = await importLibrary();
});

const echo = (replicas: number, image = "pinnace.local/echo:1") => ({
  metadata: { name: "echo", namespace: "default" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "echo" } },
    template: {
      metadata: { labels: { app: "echo" } },
      spec: { containers: [{ name: "echo", image, ports: [{ containerPort: 8080 }] }] },
    },
  },
});

async function readyPods({ client }: Cluster, count: number) {
  const { items } = await eventually(
    () => client.list(library.Pods, { namespace: "default", labelSelector: "app=echo" }),
    ({ items }) =>
      expect(
        items.filter((pod) =>
          pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
        ),
      ).toHaveLength(count),
  );
  return items;
}

/** Looks before and after: whatever carries the cluster's name or lies in its folder must be gone. */
async function leavingNothing(start: () => Promise<Cluster>, use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const before = machineState();
  const cluster = await start();
  const home = resolve(dirname(cluster.kubeconfigFile), "../..");
  try {
    await use(cluster);
  } finally {
    await cluster.stop();
  }
  expect(newSince(before, machineState(), [cluster.name, home])).toEqual({});
  expect(existsSync(home)).toBe(false);
}

describe("simulated nodes", () => {
  test("a Deployment spreads over two nodes, for the in-process client and for kubectl alike", () =>
    leavingNothing(
      () => library.startCluster({ nodes: 3, simulated: true }),
      async (cluster) => {
        expect(cluster.nodes.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
          "control-plane simulated",
          "worker-1 simulated",
          "worker-2 simulated",
        ]);
        await cluster.client.create(library.Deployments, echo(4));
        const pods = await readyPods(cluster, 4);
        expect(new Set(pods.map((pod) => pod.spec.nodeName))).toEqual(new Set(["worker-1", "worker-2"]));
        const args = ["--kubeconfig", cluster.kubeconfigFile, "get", "deployment", "echo", "--no-headers"];
        expect((await run("kubectl", args)).stdout).toMatch(/^echo +4\/4 /);
      },
    ));

  test("a cluster of one node runs pods on it", () =>
    leavingNothing(
      () => library.startCluster({ nodes: 1, simulated: true }),
      async (cluster) => {
        await cluster.client.create(library.Deployments, echo(1));
        expect((await readyPods(cluster, 1))[0]?.spec.nodeName).toBe("control-plane");
      },
    ));

  test("several clusters run side by side and know nothing of one another", async () => {
    const names = ["side-a", "side-b", "side-c"];
    const clusters = await Promise.all(
      names.map((name) => library.startCluster({ name, nodes: 2, simulated: true, store: "lmdb" })),
    );
    try {
      await clusters[0]!.client.create(library.Deployments, echo(1));
      const found = await Promise.all(clusters.map(({ client }) => client.list(library.Deployments)));
      expect(found.map(({ items }) => items.length)).toEqual([1, 0, 0]);
      await expect(library.startCluster({ name: "side-b", simulated: true })).rejects.toThrow(
        'this process runs a cluster "side-b" already; stop it first, or choose another name',
      );
      await clusters[1]!.stop();
      const again = await library.startCluster({ name: "side-b", nodes: 0 });
      await again.stop();
    } finally {
      await Promise.all(clusters.map((cluster) => cluster.stop()));
    }
  });

  test("a cluster that was kept comes back with its objects", async () => {
    const home = mkdtempSync(join(tmpdir(), "pinnace-test-"));
    try {
      const options = { home, name: "kept", nodes: 2, simulated: true };
      const first = await library.startCluster(options);
      await first.client.create(library.Deployments, echo(2));
      await readyPods(first, 2);
      await first.stop({ keep: true });
      const second = await library.startCluster(options);
      expect(second.kubeconfig).toBe(first.kubeconfig);
      await readyPods(second, 2);
      await second.stop();
      expect(existsSync(join(home, "clusters", "kept"))).toBe(false);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  test("options that cannot be met are refused with what would be right", async () => {
    const network = { podCIDR: "10.96.128.0/17" };
    await expect(library.startCluster({ simulated: true, config: { network } })).rejects.toThrow(
      "startCluster: network.podCIDR: 10.96.128.0/17 overlaps the serviceCIDR 10.96.0.0/16 (the default); choose a range that does not",
    );
    await expect(library.startCluster({ name: "No Name" })).rejects.toThrow(
      'startCluster: name: "No Name" is not valid: use 1 to 20 lower-case letters, digits and inner hyphens, such as "lab-1"',
    );
  });

  test("a program ends by itself once its cluster has stopped", async () => {
    const program = `
      import { startCluster } from ${JSON.stringify(libraryPath)};
      const cluster = await startCluster({ nodes: 2, simulated: true });
      await cluster.stop();
      console.log("stopped");
    `;
    const { stdout, stderr } = await run(process.execPath, ["--input-type=module", "--eval", program], {
      timeout: 20_000,
    });
    expect({ stdout, stderr }).toEqual({ stdout: "stopped\n", stderr: "" });
  });
});

describeReal(`real nodes${because}`, () => {
  test("a Service answers on the nodes' addresses, from pods in containers", () =>
    leavingNothing(
      () => library.startCluster({ nodes: 2, simulated: false }),
      async (cluster) => {
        await cluster.client.create(library.Deployments, echo(2));
        await cluster.client.create(library.Services, {
          metadata: { name: "echo", namespace: "default" },
          spec: {
            type: "NodePort",
            selector: { app: "echo" },
            ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }],
          },
        });
        const names = (await readyPods(cluster, 2)).map((pod) => `Hello, ${pod.metadata.name}`).sort();
        const answers = new Set<string>();
        const ask = async () => {
          const response = await fetch(`http://${cluster.nodes[1]!.address}:30080/`, {
            headers: { connection: "close" },
          });
          answers.add((await response.text()).trim().split("\n")[0]!);
          return [...answers].sort();
        };
        await eventually(ask, (seen) => expect(seen).toEqual(names));
      },
    ));

  test("two clusters with real nodes share the machine", () =>
    leavingNothing(
      () => library.startCluster({ nodes: 1, simulated: false }),
      (one) =>
        leavingNothing(
          () => library.startCluster({ nodes: 1, simulated: false }),
          async (other) => {
            expect(one.nodes[0]!.address).not.toBe(other.nodes[0]!.address);
            for (const cluster of [one, other]) {
              await cluster.client.create(library.Deployments, echo(1));
              await readyPods(cluster, 1);
            }
          },
        ),
    ));

  test.each([0, 40, 80, 160])("a cluster may be stopped %i ms after its pods were asked for", (delayMs) =>
    leavingNothing(
      () => library.startCluster({ nodes: 1, simulated: false }),
      async (cluster) => {
        await cluster.client.create(library.Deployments, echo(4));
        await new Promise((done) => setTimeout(done, delayMs));
      },
    ),
  );

  test("containers go on while a kept cluster is away", async () => {
    const home = mkdtempSync(join(tmpdir(), "pinnace-test-"));
    try {
      const options = { home, name: "kept-real", nodes: 1, simulated: false };
      const containers = async (cluster: Cluster) =>
        (await readyPods(cluster, 2)).map((pod) => pod.status?.containerStatuses?.[0]?.containerID).sort();
      const first = await library.startCluster(options);
      await first.client.create(library.Deployments, echo(2));
      const before = await containers(first);
      await first.stop({ keep: true });
      const second = await library.startCluster(options);
      expect(await containers(second)).toEqual(before);
      await second.stop();
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  test("what a killed program left is taken away when the next one starts a cluster", async () => {
    const before = machineState();
    const name = `killed-${process.pid}`;
    const program = `
      import { startCluster } from ${JSON.stringify(libraryPath)};
      const cluster = await startCluster({ name: ${JSON.stringify(name)}, nodes: 1, simulated: false });
      console.log(cluster.kubeconfigFile);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const kubeconfig = await new Promise<string>((done) =>
      child.stdout.once("data", (data) => done(String(data).trim())),
    );
    child.kill("SIGKILL");
    await new Promise((done) => child.once("exit", done));
    expect(newSince(before, machineState(), [name])).not.toEqual({});
    const next = await library.startCluster({ nodes: 0 });
    await next.stop();
    expect(newSince(before, machineState(), [name])).toEqual({});
    expect(existsSync(kubeconfig)).toBe(false);
  });
});

test("the declarations hold for a program in strict TypeScript", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pinnace-types-"));
  try {
    await run(process.execPath, ["scripts/build-types.mjs"]);
    const installed = join(folder, "node_modules", "pinnace");
    mkdirSync(installed, { recursive: true });
    cpSync("package.json", join(installed, "package.json"));
    for (const part of ["index.d.ts", "types"])
      cpSync(`dist/${part}`, join(installed, "dist", part), { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "program.ts"), typedProgram);
    const options = [
      "--noEmit",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2023",
      "--lib",
      "es2023,esnext.disposable",
    ];
    // Programs for Node have its types.
    options.push("--types", "node", "--typeRoots", resolve("node_modules/@types"));
    const compiler = resolve("node_modules/typescript/bin/tsc");
    const compiled = run(process.execPath, [compiler, ...options, "program.ts"], { cwd: folder });
    await expect(compiled.catch((error) => error.stdout)).resolves.toMatchObject({ stdout: "" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const typedProgram = `
import { type Client, type corev1, Deployments, isNotFound, Pods, startCluster, type WatchEvent } from "pinnace";

await using cluster = await startCluster({ nodes: 2, config: { network: { podCIDR: "10.9.0.0/16" } } });
const client: Client = cluster.client;
const pod = await client.create(Pods, {
  metadata: { name: "a", namespace: "default" },
  spec: { containers: [{ name: "a", image: "a" }] },
});
export const phase: string | undefined = pod.status?.phase;
const { items } = await client.list(Deployments, { namespace: "default" });
export const replicas: number | undefined = items[0]?.spec.replicas;
const seen: WatchEvent<corev1.Pod>[] = [];
const handle = await client.watch(Pods, {}, (events) => seen.push(...events));
await handle.closed.catch((error) => isNotFound(error));
// @ts-expect-error A pod has containers.
await client.create(Pods, { metadata: { name: "b" }, spec: {} });
// @ts-expect-error There is no such option.
await startCluster({ nodez: 1 });
`;
