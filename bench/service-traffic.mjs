// Requests through a ClusterIP beside those straight to the pod (wrk, from another node's pod, in turns), and how long an address
// of MetalLB's is away when the node that announces it is cut off from the LAN.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { connectApi } from "./api-client.mjs";
import { quantile } from "./statistics.mjs";
import { startProber } from "./workload.mjs";

const run = promisify(execFile);
const core = "/api/v1/namespaces/default";
const secondsATurn = 3;

export async function benchServiceTraffic(cluster, results, { runs }) {
  const api = await connectApi(cluster.kubeconfig);
  const { nodes } = await cluster.status();
  const pods = await api.follow(`${core}/pods`);
  const start = (name, node, app) => api.request("POST", `${core}/pods`, pod(name, node, app));
  await Promise.all([
    start("client", nodes[1].name, "client"),
    ...nodes.map(({ name }) => start(`web-${name}`, name, "web")),
  ]);
  await pods.until(
    (all) =>
      all.size === nodes.length + 1 &&
      [...all.values()].every(({ status }) =>
        status.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
      ),
    "pods ready",
  );
  const server = pods.objects.get(`web-${nodes[2].name}`);
  const client = pods.objects.get("client");
  const service = (name, spec) =>
    api.request("POST", `${core}/services`, { apiVersion: "v1", kind: "Service", metadata: { name }, spec });
  const single = await service("single", { ports: [{ port: 80, targetPort: 80 }] });
  await api.request("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "single", labels: { "kubernetes.io/service-name": "single" } },
    addressType: "IPv4",
    ports: [{ port: 80 }],
    endpoints: [{ addresses: [server.status.podIP], conditions: { ready: true } }],
  });
  const netns = `pinnace-${cluster.name}.${client.spec.nodeName}_${client.metadata.uid}`;
  const load = async (address, ...more) => {
    const wrk = ["wrk", "-t", "1", "-c", "16", "-d", `${secondsATurn}s`, ...more, `http://${address}/`];
    const { stdout } = await run("ip", ["netns", "exec", netns, ...wrk]);
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]);
  };
  for (const [how, ...more] of [["keep-alive"], ["a connection each", "-H", "Connection: close"]]) {
    const rates = { straight: [], through: [] };
    await load(single.spec.clusterIP, ...more); // Warms both ends; it is not measured.
    for (let turn = 0; turn < runs; turn++) {
      rates.straight.push(await load(server.status.podIP, ...more));
      rates.through.push(await load(single.spec.clusterIP, ...more));
    }
    results.add(`requests/s straight to the pod, ${how}`, quantile(rates.straight, 0.5), { unit: "1/s" });
    results.add(`requests/s through its Service, ${how}`, quantile(rates.through, 0.5), { unit: "1/s" });
    const ratio = quantile(rates.through, 0.5) / quantile(rates.straight, 0.5);
    results.add(`through ÷ straight, ${how}`, ratio, { unit: "", target: "≥ 0.97" });
  }
  await failOver(cluster, api, results, { nodes, service, runs });
  pods.stop();
  api.close();
}

async function failOver(cluster, api, results, { nodes, service, runs }) {
  const metallb = (plural, kind, name, spec) =>
    api.request("POST", `/apis/metallb.io/v1beta1/namespaces/metallb-system/${plural}`, {
      apiVersion: "metallb.io/v1beta1",
      kind,
      metadata: { name, namespace: "metallb-system" },
      ...(spec ? { spec } : {}),
    });
  const address = nodes[0].address.replace(/\d+$/, "100");
  await metallb("ipaddresspools", "IPAddressPool", "bench", { addresses: [`${address}/32`] });
  await metallb("l2advertisements", "L2Advertisement", "bench");
  await service("announced", { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80, targetPort: 80 }] });
  const lan = `pinnace-${cluster.name}_switch`;
  const link = (name, state) => run("ip", ["-n", lan, "link", "set", name, state]);
  for (let i = 0; i < Math.min(runs, 3); i++) {
    const before = startProber(address, 80);
    await before.answered;
    const { stdout } = await run("ip", ["neigh", "show", address]);
    const mac = /lladdr (\S+)/.exec(stdout)?.[1];
    const { stdout: ports } = await run("bridge", ["-n", lan, "fdb", "show"]);
    const [, port] = new RegExp(`^${mac} dev (\\S+)`, "m").exec(ports);
    await link(port, "down");
    const since = performance.now();
    results.add("L2 fail-over: cut off → answers again", (await startProber(address, 80).answered) - since, {
      target: "< 2000",
    });
    await link(port, "up");
    // All nodes hear one another again before the next is cut off.
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}

function pod(name, nodeName, app) {
  const container = {
    name: "web",
    image: "nginx",
    ports: [{ containerPort: 80 }],
    readinessProbe: { httpGet: { port: 80 } },
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 0,
      tolerations: [{ operator: "Exists" }],
      containers: [container],
    },
  };
}
