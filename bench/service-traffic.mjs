// Requests through a ClusterIP beside those straight to the pod (wrk, from pods of another node, in turns), and how long an address
// of MetalLB's is away when the node that announces it is cut off from the LAN.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { connectApi } from "./api-client.mjs";
import { quantile } from "./statistics.mjs";
import { startProber } from "./workload.mjs";

const run = promisify(execFile);
const core = "/api/v1/namespaces/default";
// One for each way: the pod remembers a closed connection by its client's address and port, and a client that comes by the
// other way has another clock in its packets, so that the pod takes its new connection for the old one and refuses it.
const clients = ["straight", "through"];
const secondsATurn = 1;
// Of one turn each way the ratio swings by a tenth and more: many short pairs, and the median of their ratios.
const pairsARun = 6;

export async function benchServiceTraffic(cluster, results, { runs }) {
  const api = await connectApi(cluster.kubeconfig);
  const { nodes } = await cluster.status();
  const pods = await api.follow(`${core}/pods`);
  const start = (name, node, app) => api.request("POST", `${core}/pods`, pod(name, node, app));
  await Promise.all([
    ...clients.map((name) => start(name, nodes[1].name, "client")),
    ...nodes.map(({ name }) => start(`web-${name}`, name, "web")),
  ]);
  await pods.until(
    (all) =>
      all.size === nodes.length + clients.length &&
      [...all.values()].every(({ status }) =>
        status.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
      ),
    "pods ready",
  );
  const server = pods.objects.get(`web-${nodes[2].name}`);
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
  const load = async (client, address, ...more) => {
    const { spec, metadata } = pods.objects.get(client);
    const netns = `pinnace-${cluster.name}.${spec.nodeName}_${metadata.uid}`;
    const wrk = ["wrk", "-t", "1", "-c", "16", "-d", `${secondsATurn}s`, ...more, `http://${address}/`];
    const { stdout } = await run("ip", ["netns", "exec", netns, ...wrk]);
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]);
  };
  const straight = (...more) => load("straight", server.status.podIP, ...more);
  const through = (...more) => load("through", single.spec.clusterIP, ...more);
  for (const [how, ...more] of [["keep-alive"], ["a connection each", "-H", "Connection: close"]]) {
    const rates = { straight: [], through: [], ratio: [] };
    await straight(...more); // Warms both ends; it is not measured.
    await through(...more);
    for (let pair = 0; pair < runs * pairsARun; pair++) {
      // What is second finds the machine otherwise than what is first.
      const isStraightFirst = pair % 2 === 0;
      const first = await (isStraightFirst ? straight : through)(...more);
      const second = await (isStraightFirst ? through : straight)(...more);
      rates.straight.push(isStraightFirst ? first : second);
      rates.through.push(isStraightFirst ? second : first);
      rates.ratio.push(rates.through.at(-1) / rates.straight.at(-1));
    }
    results.add(`requests/s straight to the pod, ${how}`, quantile(rates.straight, 0.5), { unit: "1/s" });
    results.add(`requests/s through its Service, ${how}`, quantile(rates.through, 0.5), { unit: "1/s" });
    results.add(`through ÷ straight, ${how}`, quantile(rates.ratio, 0.5), { unit: "", target: "≥ 0.97" });
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
