/**
 * What the documents on Deployments cannot show: the order of events under Recreate and a full surge, a client that never goes
 * unanswered, and a registry's own images, broken and repaired.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeCluster, eventually, type TestCluster } from "../../src/testing/cluster-fixture.ts";
import {
  canRunRegistry,
  freePorts,
  push,
  startRegistry,
  type TestRegistry,
  writeImage,
} from "../../src/testing/registry.ts";

const [registryPort = 0] = await freePorts(1);
const config = `
nodes:
- name: control-plane
- name: worker-1
- name: worker-2
images:
  mirrors:
    docker.io: ["http://127.0.0.1:${registryPort}"]
  substitutions:
    "nginx:*": pinnace.local/nginx:1
    "busybox:*": pinnace.local/busybox:1
`;

interface NginxOptions {
  image: string;
  replicas?: number;
  /** YAML of spec.strategy, in flow style. */
  strategy?: string;
  preStopSeconds?: number;
  /** Counts as ready when it answers, not when its process runs: nginx needs a moment until it listens. */
  isProbed?: boolean;
}

function nginx({ image, replicas = 3, strategy, preStopSeconds, isProbed }: NginxOptions): string {
  const probe = "{ httpGet: { path: /, port: 80 }, periodSeconds: 1 }";
  const preStop = `{ preStop: { exec: { command: ["/bin/sh", "-c", "sleep ${preStopSeconds}"] } } }`;
  return `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx-deployment
  labels:
    app: nginx
spec:
  replicas: ${replicas}${strategy ? `\n  strategy: ${strategy}` : ""}
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      containers:
      - name: nginx
        image: ${image}
        ports:
        - containerPort: 80${preStopSeconds ? `\n        lifecycle: ${preStop}` : ""}${isProbed ? `\n        readinessProbe: ${probe}` : ""}
`;
}

const helloServer = (tag: string) => `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello-server
  labels:
    app: hello-server
spec:
  replicas: 3
  selector:
    matchLabels:
      app: hello-server
  template:
    metadata:
      labels:
        app: hello-server
    spec:
      containers:
      - name: hello-server
        image: blux2/hello-server:${tag}
        ports:
        - containerPort: 8080
`;

interface Row {
  [column: string]: string;
}

/** What `kubectl get` prints, by its column titles. */
function rows(table: string): Row[] {
  const [titles = "", ...lines] = table.trimEnd().split("\n");
  const names = titles.split(/ {2,}/).map((title) => title.trim());
  return lines.map((line) =>
    Object.fromEntries(
      line
        .trim()
        .split(/ {2,}/)
        .map((cell, i) => [names[i], cell]),
    ),
  );
}

describe.skipIf(!canRunRegistry)("with a registry", () => {
  describeCluster("the Deployment lab", { config }, (cluster) => {
    const folder = mkdtempSync(join(tmpdir(), "pinnace-registry-"));
    const children: ChildProcess[] = [];
    let registry: TestRegistry;

    beforeAll(async () => {
      registry = await startRegistry(join(folder, "registry"), registryPort);
      for (const [tag, greeting] of [
        ["1.0", "Hello, world!"],
        ["1.2", "Hello, world! Let's learn Kubernetes!"],
      ] as const) {
        const layout = join(folder, tag);
        await writeImage(
          layout,
          greeting,
          "trap 'exit 0' TERM; cp /greeting /tmp/index.html; busybox httpd -f -p 8080 -h /tmp & wait",
        );
        push(layout, `${registry.address}/blux2/hello-server:${tag}`);
      }
    });
    afterAll(() => {
      for (const child of children) child.kill();
      registry?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const pods = async (app: string) => rows(await cluster.kubectl`get pod -l ${`app=${app}`}`);
    const replicaSets = async (app: string) => rows(await cluster.kubectl`get replicaset -l ${`app=${app}`}`);
    const answerOf = async (target: string) => {
      const forward = spawn("kubectl", ["port-forward", target, ":8080"], {
        env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
      });
      children.push(forward);
      let said = "";
      forward.stdout.on("data", (chunk) => (said += chunk));
      const port = await eventually(
        async () => /127\.0\.0\.1:(\d+) -> 8080/.exec(said)?.[1],
        (found) => expect(found).toBeDefined(),
      );
      const text = await (await fetch(`http://127.0.0.1:${port}/`)).text();
      forward.kill();
      return text;
    };

    test("Recreate ends ten pods before it starts ten others, as the watch shows", async () => {
      const recreate = { replicas: 10, strategy: "{ type: Recreate }", preStopSeconds: 3 };
      await cluster.apply(nginx({ ...recreate, image: "nginx:1.24.0" }));
      await cluster.kubectl`rollout status deployment/nginx-deployment --timeout=60s`;
      const old = (await pods("nginx")).map(({ NAME = "" }) => NAME);
      expect(old).toHaveLength(10);
      const seen = watchPods(cluster, children);
      await eventually(
        async () => seen().length,
        (count) => expect(count).toBeGreaterThanOrEqual(10),
      );
      await cluster.apply(nginx({ ...recreate, image: "nginx:1.25.3" }));
      await cluster.kubectl`rollout status deployment/nginx-deployment --timeout=90s`;
      const lines = await eventually(
        async () => seen(),
        (list) =>
          expect(list.filter(({ name, text }) => !old.includes(name) && text === "1/1 Running")).toHaveLength(10),
      );
      const inOrder = (wanted: string[], texts: string[]) => {
        let next = 0;
        for (const text of texts) if (text === wanted[next]) next++;
        expect(next, `${wanted} in ${texts}`).toBe(wanted.length);
      };
      const textsOf = (name: string) => lines.filter((line) => line.name === name).map(({ text }) => text);
      for (const name of old) inOrder(["1/1 Running", "1/1 Terminating", "0/1 Completed"], textsOf(name));
      const fresh = [...new Set(lines.map(({ name }) => name))].filter((name) => !old.includes(name));
      expect(fresh).toHaveLength(10);
      for (const name of fresh) inOrder(["0/1 Pending", "0/1 ContainerCreating", "1/1 Running"], textsOf(name));
      const firstFresh = lines.findIndex(({ name }) => fresh.includes(name));
      const completed = new Set(
        lines
          .slice(0, firstFresh)
          .filter(({ text }) => text === "0/1 Completed")
          .map(({ name }) => name),
      );
      expect([...completed].sort(), "old pods that had ended before the first new one came").toEqual(old.sort());
    }, 240_000);

    test("a surge of 100 % doubles the pods for a while", async () => {
      const seen = watchPods(cluster, children);
      await eventually(
        async () => seen().length,
        (count) => expect(count).toBeGreaterThanOrEqual(10),
      );
      const strategy = '{ type: RollingUpdate, rollingUpdate: { maxSurge: "100%", maxUnavailable: 0 } }';
      await cluster.apply(nginx({ image: "nginx:1.24.0", replicas: 10, strategy, preStopSeconds: 1 }));
      await cluster.kubectl`rollout status deployment/nginx-deployment --timeout=60s`;
      const lines = seen();
      const firstTerminating = lines.findIndex(({ text }) => text.includes("Terminating"));
      const alive = new Set(lines.slice(0, firstTerminating).map(({ name }) => name));
      expect(alive.size).toBe(20);
    }, 240_000);

    test("who asks the Service without pause gets every answer during a rolling update that keeps all available", async () => {
      const strategy = "{ type: RollingUpdate, rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }";
      // Long enough for the word of its end to have reached every proxy, on a busy machine as well.
      const update = { replicas: 3, strategy, preStopSeconds: 2, isProbed: true };
      await cluster.apply(nginx({ ...update, image: "nginx:1.24.0" }));
      await cluster.kubectl`rollout status deployment/nginx-deployment --timeout=60s`;
      await cluster.kubectl`expose deployment nginx-deployment --type=NodePort --port=80`;
      const port = await cluster.kubectl`get service nginx-deployment -o ${"jsonpath={.spec.ports[0].nodePort}"}`;
      const address = await cluster.kubectl`get node worker-1 -o ${"jsonpath={.status.addresses[0].address}"}`;
      const ask = () => statusOf(`http://${address}:${port}/`);
      await eventually(ask, (status) => expect(status).toBe(200));

      let isOver = false;
      const failures: string[] = [];
      let answers = 0;
      const asking = [1, 2].map(async () => {
        while (!isOver) {
          const status = await ask().catch((error: Error) => error.message);
          if (status === 200) answers++;
          else failures.push(String(status));
        }
      });
      await cluster.apply(nginx({ ...update, image: "nginx:1.25.3" }));
      await cluster.kubectl`rollout status deployment/nginx-deployment --timeout=60s`;
      await eventually(
        () => pods("nginx"),
        (list) => expect(list).toHaveLength(3),
      );
      isOver = true;
      await Promise.all(asking);
      expect(failures).toEqual([]);
      expect(answers).toBeGreaterThan(50);
      await cluster.kubectl`delete deployment,service nginx-deployment --wait=false`;
    });

    test("a deleted pod of a Deployment is replaced by a younger one", async () => {
      expect(await cluster.apply(helloServer("1.0"))).toBe("deployment.apps/hello-server created\n");
      await cluster.kubectl`rollout status deployment/hello-server --timeout=60s`;
      const before = (await pods("hello-server")).map(({ NAME = "" }) => NAME);
      const output = await cluster.kubectl`delete pod ${before[0]}`;
      expect(output).toContain(`pod "${before[0]}" deleted`);
      const after = await eventually(
        () => pods("hello-server"),
        (list) => expect(list.map(({ READY }) => READY)).toEqual(["1/1", "1/1", "1/1"]),
      );
      const names = after.map(({ NAME }) => NAME);
      expect(names.filter((name) => before.includes(name!))).toHaveLength(2);
      expect(await answerOf("deployment/hello-server")).toBe("Hello, world!");
    });

    test("a rollout whose image does not exist stays where it is, and what ran before keeps serving", async () => {
      expect(await cluster.apply(helloServer("1.3"))).toBe("deployment.apps/hello-server configured\n");
      const list = await eventually(
        () => pods("hello-server"),
        (all) => expect(all.map(({ STATUS }) => STATUS).join()).toMatch(/ErrImagePull|ImagePullBackOff/),
      );
      expect(list.map(({ READY }) => READY).sort()).toEqual(["0/1", "1/1", "1/1", "1/1"]);
      const [deployment] = rows(await cluster.kubectl`get deployment hello-server`);
      expect(deployment).toMatchObject({ READY: "3/3", "UP-TO-DATE": "1", AVAILABLE: "3" });
      const sizes = (await replicaSets("hello-server")).map(
        (row) => `${row["DESIRED"]} ${row["CURRENT"]} ${row["READY"]}`,
      );
      expect(sizes.sort()).toEqual(["1 1 0", "3 3 3"]);
      expect(await answerOf("deployment/hello-server")).toBe("Hello, world!");

      const stuck = list.find(({ READY }) => READY === "0/1")!["NAME"]!;
      const description = await eventually(
        () => cluster.kubectl`describe pod ${stuck}`,
        (text) => expect(text).toMatch(/Normal +BackOff +.* kubelet +Back-off pulling image "blux2\/hello-server:1.3"/),
      );
      expect(description).toMatch(/Warning +Failed +.* kubelet +Error: ImagePullBackOff/);
      expect(description).toMatch(/Failed to pull image "blux2\/hello-server:1\.3": /);
    });

    test("kubectl edit repairs it; three ReplicaSets tell the story", async () => {
      const editor = join(folder, "editor.sh");
      writeFileSync(editor, '#!/bin/sh\nsed -i "s/hello-server:1.3/hello-server:1.2/" "$1"\n', { mode: 0o755 });
      const child = spawn("kubectl", ["edit", "deployment", "hello-server"], {
        env: { ...process.env, KUBECONFIG: cluster.kubeconfig, KUBE_EDITOR: editor },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let said = "";
      child.stdout.on("data", (chunk) => (said += chunk));
      await new Promise((resolve) => child.on("close", resolve));
      expect(said).toBe("deployment.apps/hello-server edited\n");
      await cluster.kubectl`rollout status deployment/hello-server --timeout=60s`;
      await eventually(
        () => replicaSets("hello-server"),
        (all) =>
          expect(all.map((row) => `${row["DESIRED"]} ${row["CURRENT"]} ${row["READY"]}`).sort()).toEqual([
            "0 0 0",
            "0 0 0",
            "3 3 3",
          ]),
      );
      expect(await answerOf("deployment/hello-server")).toBe("Hello, world! Let's learn Kubernetes!");
      expect(await cluster.kubectl`delete deployment hello-server`).toContain('deployment.apps "hello-server" deleted');
    });
  });
});

/** The status code, over a connection of its own. */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode)).on("error", reject);
    })
      .on("timeout", () => reject(new Error("timed out")))
      .on("error", reject);
  });
}

/** What `kubectl get pod --watch` has printed so far: `{ name, text: "1/1 Running" }` per line. */
function watchPods(cluster: TestCluster, children: ChildProcess[]): () => { name: string; text: string }[] {
  const child = spawn("kubectl", ["get", "pod", "--watch"], {
    env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
  });
  children.push(child);
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  return () =>
    output
      .slice(0, output.lastIndexOf("\n") + 1)
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("NAME"))
      .map((line) => {
        const [name = "", ready = "", status = ""] = line.split(/ +/);
        return { name, text: `${ready} ${status}` };
      });
}
