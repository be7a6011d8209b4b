/** The server may die at any moment: pods go on, Services go on, and `up` brings the same cluster back. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const web = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      containers:
      - name: echo
        image: pinnace.local/echo:1
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
  selector: { app: web }
  ports:
  - port: 80
    targetPort: 8080
    nodePort: 30080
`;

/** Asks for the Service by its name without pause and writes down what came of it. */
const asker = `
apiVersion: v1
kind: Pod
metadata:
  name: asker
spec:
  containers:
  - name: asker
    image: busybox
    command: [sh, -c, "while :; do curl -s --max-time 5 -o /dev/null http://web && echo answered || echo failed; sleep 0.05; done"]
`;

describeCluster("a server killed with SIGKILL", {}, (cluster) => {
  const statusOf = async () => JSON.parse(await cluster.pinnace("status", "-o", "json"));

  test("leaves pods running and Services answering, and comes back to the same cluster", async () => {
    await cluster.apply(web);
    await cluster.kubectl`rollout status deployment/web --timeout=60s`;
    await cluster.kubectl`create configmap kept --from-literal=a=1`;
    const identity =
      "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{'\\n'}{end}";
    const before = await cluster.kubectl`get pods -l app=web -o ${identity}`;
    const { server, nodes } = await statusOf();
    const worker = nodes.find((node: { role: string }) => node.role === "worker").address;
    const answer = () => cluster.host("curl", "-s", "--max-time", "2", `http://${worker}:30080`);
    await eventually(answer, (text) => expect(text).toContain("web-"));

    await cluster.apply(asker);
    await eventually(
      () => cluster.kubectl`logs asker`,
      (text) => expect(text).toMatch(/answered\n$/),
    );
    const address = await cluster.kubectl`get service web -o ${"jsonpath={.spec.clusterIP}"}`;
    const dns = await cluster.kubectl`get service kube-dns -n kube-system -o ${"jsonpath={.spec.clusterIP}"}`;
    const namespace = ["ip", "netns", "exec", `pinnace-${cluster.name}.worker-1`] as const;
    const resolve = (...flags: string[]) =>
      cluster.host(...namespace, "dig", `@${dns}`, "+short", "+tries=1", ...flags, "web.default.svc.cluster.local");

    process.kill(server.pid, "SIGKILL");
    for (let i = 0; i < 10; i++) {
      expect(await answer()).toContain("web-");
      expect(await resolve()).toBe(`${address}\n`);
    }
    expect(await resolve("+tcp")).toBe(`${address}\n`);

    await cluster.pinnace("up");
    expect(await resolve()).toBe(`${address}\n`);
    expect(await cluster.kubectl`logs asker`).not.toContain("failed");
    expect(await cluster.kubectl`get configmap kept -o ${"jsonpath={.data.a}"}`).toBe("1");
    expect(await cluster.kubectl`get pods -l app=web -o ${identity}`).toBe(before);
    expect((await statusOf()).server.pid).not.toBe(server.pid);
    expect(await answer()).toContain("web-");
  });

  test("finishes what was half done when it is back", async () => {
    const { server } = await statusOf();
    await cluster.kubectl`scale deployment/web --replicas=4`;
    process.kill(server.pid, "SIGKILL");
    await cluster.pinnace("up");
    await cluster.kubectl`rollout status deployment/web --timeout=60s`;
    expect(await cluster.kubectl`get deployment web -o ${"jsonpath={.status.readyReplicas}"}`).toBe("4");
  });

  test("a second up of a running cluster says so and changes nothing", async () => {
    const { server } = await statusOf();
    expect(await cluster.pinnace("up")).toContain(`already up (process ${server.pid})`);
    expect((await statusOf()).server.pid).toBe(server.pid);
  });
});
