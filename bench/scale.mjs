// Many objects, no containers: a thousand Deployments on simulated nodes, ten thousand Pods through the scheduler, the end of a large namespace, a cluster at rest.

import { startCluster } from "../dist/index.mjs";
import { connectApi } from "./api-client.mjs";

export async function benchScale(results, { runs }) {
  for (let run = 0; run < runs; run++) {
    await withCluster({ nodes: 13, simulated: true }, (cluster) => thousandDeployments(results, cluster));
    await withCluster({ nodes: 0 }, (cluster) =>
      scheduling(results, cluster, "default plugins", { target: 2000, pods: 10_000, antiAffinity: false }),
    );
    await withCluster({ nodes: 0 }, (cluster) =>
      scheduling(results, cluster, "inter-pod anti-affinity", { target: 300, pods: 1000, antiAffinity: true }),
    );
  }
}

const template = (labels, extra = {}) => ({
  metadata: { labels },
  spec: {
    containers: [{ name: "main", image: "app:1", resources: { requests: { cpu: "10m", memory: "16Mi" } } }],
    ...extra,
  },
});

/** Calls `work` for 0…count-1, so many at a time. */
async function inParallel(count, width, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

async function withCluster(options, measure) {
  const cluster = await startCluster(options);
  try {
    await measure(cluster);
  } finally {
    await cluster.stop();
  }
}

async function thousandDeployments(results, cluster) {
  const count = 1000;
  const api = await connectApi(cluster.kubeconfigFile);
  const namespace = "bench";
  const v1 = `/api/v1/namespaces`;
  await api.request("POST", v1, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  const deployments = await api.follow(path);
  const since = performance.now();
  await inParallel(count, 64, async (i) => {
    const name = `web-${i}`;
    const body = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name },
      spec: { replicas: 1, selector: { matchLabels: { app: name } }, template: template({ app: name }) },
    };
    await api.request("PATCH", `${path}/${name}?fieldManager=bench`, body, "application/apply-patch+yaml");
  });
  results.add("1,000 Deployments of one replica applied", performance.now() - since);
  await deployments.until(
    (all) => all.size === count && [...all.values()].every(({ status }) => status?.readyReplicas === 1),
    "1,000 Deployments ready",
  );
  results.add("1,000 Deployments of one replica applied → all ready", performance.now() - since, {
    target: "< 10000",
  });

  const cpuBefore = process.cpuUsage();
  const idleSince = performance.now();
  await new Promise((done) => setTimeout(done, 10_000));
  const { user, system } = process.cpuUsage(cpuBefore);
  const share = (user + system) / 10 / (performance.now() - idleSince);
  results.add("1,000 Deployments, 13 nodes, at rest: CPU", share, { unit: "% of a core", target: "< 1" });

  const namespaces = await api.follow(v1);
  const deleted = performance.now();
  await api.request("DELETE", `${v1}/${namespace}`);
  await namespaces.until((all) => !all.has(namespace), "the namespace gone");
  results.add("namespace of 1,000 Deployments with their Pods deleted → gone", performance.now() - deleted);
  namespaces.stop();
  deployments.stop();
  api.close();
}

async function scheduling(results, { client }, what, { target, pods, antiAffinity }) {
  const resource = (kind, plural, scope) => ({ group: "", version: "v1", kind, plural, scope });
  const Nodes = resource("Node", "nodes", "Cluster");
  const Pods = resource("Pod", "pods", "Namespaced");
  const nodes = 1000;
  await inParallel(nodes, 50, async (i) => {
    const name = `node-${i}`;
    const labels = { "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": `zone-${i % 3}` };
    await client.create(Nodes, { metadata: { name, labels }, spec: {} });
    const amounts = { cpu: "32", memory: "64Gi", pods: "110" };
    const now = new Date().toISOString().replace(/\.\d+Z/, "Z");
    const ready = { type: "Ready", status: "True", lastHeartbeatTime: now, lastTransitionTime: now };
    const body = { status: { allocatable: amounts, capacity: amounts, conditions: [ready] } };
    await client.patch(Nodes, { name }, { type: "strategic", body }, { subresource: "status" });
  });
  // Nodes lose the taint that they come with when their first report has been seen.
  for (;;) {
    const { items } = await client.list(Nodes);
    if (items.every(({ spec }) => !spec.taints?.length)) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  const apart = {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "bench" } } },
        ],
      },
    },
  };
  const bound = new Set();
  let isBound;
  const allBound = new Promise((done) => (isBound = done));
  const look = ({ metadata, spec }) => {
    if (spec.nodeName) bound.add(metadata.name);
    if (bound.size === pods) isBound();
  };
  const stop = new AbortController();
  const follow = async () => {
    // The server may end a watch that falls behind.
    while (!stop.signal.aborted) {
      const { items, metadata } = await client.list(Pods, { namespace: "default" });
      items.forEach(look);
      const options = { namespace: "default", resourceVersion: metadata.resourceVersion, signal: stop.signal };
      const watch = await client.watch(Pods, options, (events) => {
        for (const { object } of events) look(object);
      });
      await watch.closed.catch(() => {});
    }
  };
  const following = follow();
  const { spec } = template({}, antiAffinity ? apart : {});
  const since = performance.now();
  await inParallel(pods, 100, (i) =>
    client.create(Pods, { metadata: { name: `pod-${i}`, namespace: "default", labels: { app: "bench" } }, spec }),
  );
  const created = performance.now();
  const left = pods - bound.size;
  await allBound;
  const scheduledMs = performance.now() - created;
  stop.abort();
  await following;
  const name = `${pods.toLocaleString("en")} Pods on ${nodes.toLocaleString("en")} nodes, ${what}`;
  results.add(`${name}: created`, (pods * 1000) / (created - since), { unit: "Pods/s" });
  results.add(`${name}: scheduled`, (left * 1000) / scheduledMs, { unit: "Pods/s", target: `≥ ${target}` });
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const { Results } = await import("./statistics.mjs");
  const results = new Results();
  await benchScale(results, { runs: Number(process.argv[2] ?? 1) });
  results.report();
}
