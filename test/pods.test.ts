/** What users do with pods all day: look inside, follow, forward, break, scale. */
import { type ChildProcess, spawn } from "node:child_process";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { describeCluster, eventually, type TestCluster } from "../src/testing/cluster-fixture.ts";

interface KubeConfig {
  clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
  users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
}

const echo = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: echo
spec:
  replicas: 2
  selector:
    matchLabels: { app: echo }
  template:
    metadata:
      labels: { app: echo }
    spec:
      containers:
      - name: echo
        image: pinnace.local/echo:1
        ports:
        - containerPort: 8080
---
apiVersion: v1
kind: Service
metadata:
  name: echo
spec:
  selector: { app: echo }
  ports:
  - port: 80
    targetPort: 8080
`;

const reader = `
apiVersion: v1
kind: Pod
metadata:
  name: reader
spec:
  containers:
  - name: reader
    image: busybox
    imagePullPolicy: IfNotPresent
    stdin: true
    command: [sh, -c, "while read line; do echo got $line; done"]
`;

describeCluster("pods", {}, (cluster) => {
  const names = async () =>
    (await cluster.kubectl`get pods -l app=echo -o ${"jsonpath={.items[*].metadata.name}"}`).split(" ").filter(Boolean);

  test("a pod deleted is replaced", async () => {
    await cluster.apply(echo);
    await cluster.kubectl`rollout status deployment/echo --timeout=60s`;
    const before = await names();
    await cluster.kubectl`delete pod ${before[0]}`;
    await cluster.kubectl`wait --for=jsonpath={.status.readyReplicas}=2 deployment/echo --timeout=30s`;
    const after = await eventually(names, (pods) => expect(pods).toHaveLength(2));
    expect(after).not.toContain(before[0]);
  });

  test("a scaled Deployment follows", async () => {
    await cluster.kubectl`scale deployment/echo --replicas=5`;
    await cluster.kubectl`rollout status deployment/echo --timeout=60s`;
    expect(await names()).toHaveLength(5);
    await cluster.kubectl`scale deployment/echo --replicas=2`;
    await eventually(names, (pods) => expect(pods).toHaveLength(2));
  });

  test("a container that ends restarts with back-off", async () => {
    await cluster.kubectl`run crasher --image=busybox --restart=Always -- sh -c ${"echo once; exit 3"}`;
    await eventually(
      () => cluster.kubectl`get pod crasher`,
      (text) => expect(text).toMatch(/CrashLoopBackOff/),
    );
    const state = "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}";
    expect(await cluster.kubectl`get pod crasher -o ${state}`).toBe("3");
    expect(await cluster.kubectl`logs crasher`).toBe("once\n");
    await cluster.kubectl`delete pod crasher --now`;
  });

  test("logs -f follows what a pod says", async () => {
    const script = "i=0; while sleep 0.2; do i=$((i+1)); echo line $i; done";
    await cluster.kubectl`run talker --image=busybox --restart=Never -- sh -c ${script}`;
    await cluster.kubectl`wait --for=condition=Ready pod/talker --timeout=60s`;
    const follower = startKubectl(cluster, ["logs", "-f", "talker"]);
    await eventually(
      async () => follower.output(),
      (text) => expect(text).toContain("line 5\n"),
    );
    follower.stop();
  });

  test("browsers follow it over a WebSocket", async () => {
    const config = JSON.parse(await cluster.kubectl`config view --raw -o json`) as KubeConfig;
    const { cluster: at } = config.clusters[0]!;
    const { user } = config.users[0]!;
    const bytes = (text: string) => Buffer.from(text, "base64");
    const path = "/api/v1/namespaces/default/pods/talker/log?container=talker&follow=true";
    const socket = new WebSocket(new URL(path, at.server.replace("https", "wss")), ["binary.k8s.io"], {
      ca: bytes(at["certificate-authority-data"]),
      cert: bytes(user["client-certificate-data"]),
      key: bytes(user["client-key-data"]),
    });
    let said = "";
    socket.on("message", (data) => {
      said += String(data);
      if (said.includes("line 6\n")) socket.close();
    });
    await new Promise((resolve, reject) => socket.once("close", resolve).once("error", reject));
    expect(said).toMatch(/^line 1\nline 2\n(.*\n)*line 6\n/);
    await cluster.kubectl`delete pod talker --now --wait=false`;
  });

  test("exec passes input, output and the exit code", async () => {
    const [pod = ""] = await names();
    const echoed = await cluster.kubectlRaw(["exec", "-i", pod, "--", "cat"], "through the pipe\n");
    expect(echoed.stdout).toBe("through the pipe\n");
    expect((await cluster.kubectlRaw(["exec", pod, "--", "sh", "-c", "exit 7"])).exitCode).toBe(7);
  });

  test("exec -it gives a terminal", async () => {
    const [pod = ""] = await names();
    // script(1) gives kubectl the terminal that it asks for.
    const text = await cluster.host(
      "script",
      "-qec",
      `kubectl --kubeconfig ${cluster.kubeconfig} exec -it ${pod} -- sh -c 'test -t 0 && echo is a terminal'`,
      "/dev/null",
    );
    expect(text).toContain("is a terminal");
  });

  test("attach joins a running container's input and output", async () => {
    await cluster.apply(reader);
    await cluster.kubectl`wait --for=condition=Ready pod/reader --timeout=60s`;
    const attached = startKubectl(cluster, ["attach", "-i", "reader"]);
    await eventually(
      async () => {
        attached.child.stdin?.write("hello\n");
        return attached.output();
      },
      (text) => expect(text).toContain("got hello"),
    );
    attached.stop();
    await cluster.kubectl`delete pod reader --now`;
  });

  test.each([["pod"], ["deployment"], ["service"]])("port-forward to a %s carries requests", async (kind) => {
    const target = kind === "pod" ? `pod/${(await names())[0]}` : `${kind}/echo`;
    const forward = startKubectl(cluster, ["port-forward", target, kind === "service" ? ":80" : ":8080"]);
    const port = await eventually(
      async () => /127\.0\.0\.1:(\d+)/.exec(forward.output())?.[1] ?? "",
      (text) => expect(text).not.toBe(""),
    );
    for (let i = 0; i < 3; i++) expect(await cluster.host("curl", "-s", `http://127.0.0.1:${port}`)).toContain("echo-");
    forward.stop();
  });

  test("a Service's name resolves in a pod, short and in full", async () => {
    const script = "wget -q -O - http://echo && wget -q -O - http://echo.default.svc.cluster.local";
    const output = await cluster.kubectlRaw([
      "run",
      "asks",
      "--rm",
      "-i",
      "--image=busybox",
      "--restart=Never",
      "--",
      "sh",
      "-c",
      script,
    ]);
    // Where the pod ends before kubectl has attached, kubectl prints its log, perhaps behind what it had heard already.
    expect(output.stdout.match(/echo-\w+-\w+/g)?.length).toBeGreaterThanOrEqual(2);
  });

  test("a Service without endpoints refuses connections at once", async () => {
    await cluster.kubectl`create service clusterip nobody --tcp=80`;
    const script = "wget -q -O - http://nobody";
    const output = await cluster.kubectlRaw([
      "run",
      "refused",
      "--rm",
      "-i",
      "--image=busybox",
      "--restart=Never",
      "--",
      "sh",
      "-c",
      script,
    ]);
    expect(output.stdout + output.stderr).toContain("Connection refused");
  });
});

function startKubectl(cluster: TestCluster, args: readonly string[]) {
  const child: ChildProcess = spawn("kubectl", ["--kubeconfig", cluster.kubeconfig, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let text = "";
  child.stdout?.on("data", (chunk) => (text += chunk));
  child.stderr?.on("data", (chunk) => (text += chunk));
  return { child, output: () => text, stop: () => void child.kill() };
}
