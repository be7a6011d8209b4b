// Many objects, no containers: a thousand Deployments on simulated nodes, ten thousand Pods through the scheduler, the end of a large namespace, a cluster at rest.

import { startCluster } from "../dist/index.mjs";
import { connectApi } from "./api-client.mjs";
import { quantile } from "./statistics.mjs";

/** A measurement that takes longer has failed. */
const limitMs = 180_000;

export async function benchScale(results, { runs }) {
  const parts = [
    ["1,000 Deployments", { nodes: 13, simulated: true }, thousandDeployments],
    ["namespace of 1,000 ConfigMaps", { nodes: 0 }, namespaceOfConfigMaps],
    ["10,000 Pods with default plugins", { nodes: 0 }, schedule("default plugins", { target: 2000 })],
    [
      "10,000 Pods with inter-pod anti-affinity",
      { nodes: 0 },
      schedule("inter-pod anti-affinity", { target: 300, antiAffinity: true }),
    ],
  ];
  for (let run = 0; run < runs; run++) {
    for (const [name, options, measure] of parts) {
      try {
        await withCluster(options, (cluster) => inTime(measure(results, cluster)));
      } catch (error) {
        results.fail(name, error);
      }
    }
  }
}

async function inTime(work) {
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limitMs / 1000} s`)), limitMs);
  });
  try {
    await Promise.race([work, tooLong]);
  } finally {
    clearTimeout(timer);
    // What was given up fails when its cluster goes.
    work.catch(() => {});
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

  // What the load has left is worked off first; V8 tidies up once, at a time of its choosing, so one window in four may show that.
  await new Promise((done) => setTimeout(done, 5000));
  const shares = [];
  for (let window = 0; window < 4; window++) shares.push(await cpuShare(5000));
  const name = "controllers and scheduler at rest, with 1,000 Deployments on 13 nodes: CPU";
  results.add(name, quantile(shares, 0.5), { unit: "% of a core", target: "< 1" });

  const namespaces = await api.follow(v1);
  const deleted = performance.now();
  await api.request("DELETE", `${v1}/${namespace}`);
  await namespaces.until((all) => !all.has(namespace), "the namespace gone");
  results.add("namespace of 1,000 Deployments with their Pods deleted → gone", performance.now() - deleted, {
    target: "< 2000",
  });
  namespaces.stop();
  deployments.stop();
  api.close();
}

/** How much of a core this process uses for so long, in percent: the cluster runs in it. */
async function cpuShare(ms) {
  const before = process.cpuUsage();
  const since = performance.now();
  await new Promise((done) => setTimeout(done, ms));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 10 / (performance.now() - since);
}

async function namespaceOfConfigMaps(results, { client }) {
  const resource = (kind, plural, scope) => ({ group: "", version: "v1", kind, plural, scope });
  const Namespaces = resource("Namespace", "namespaces", "Cluster");
  const name = "bench";
  await client.create(Namespaces, { metadata: { name } });
  const data = { text: "x".repeat(1000) };
  await inParallel(1000, 64, (i) =>
    client.create(resource("ConfigMap", "configmaps", "Namespaced"), {
      metadata: { name: `c-${i}`, namespace: name },
      data,
    }),
  );
  const { metadata } = await client.list(Namespaces);
  let isGone;
  const gone = new Promise((done) => (isGone = done));
  const stop = new AbortController();
  const options = { resourceVersion: metadata.resourceVersion, signal: stop.signal };
  await client.watch(Namespaces, options, (events) => {
    if (events.some(({ type, object }) => type === "DELETED" && object.metadata.name === name)) isGone();
  });
  const since = performance.now();
  await client.delete(Namespaces, { name });
  await gone;
  results.add("namespace of 1,000 ConfigMaps deleted → gone", performance.now() - since, { target: "< 2000" });
  stop.abort();
}

/** Ten groups of 1,000 Pods; with `antiAffinity`, no two of one group on one Node: each group fills all Nodes. */
const schedule =
  (what, { target, antiAffinity = false }) =>
  (results, cluster) =>
    scheduling(results, cluster, what, { target, antiAffinity });

async function scheduling(results, { client }, what, { target, antiAffinity }) {
  const [pods, groups] = [10_000, 10];
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
  const apart = (group) => ({
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: group } } },
        ],
      },
    },
  });
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
  // It fails when the measurement is given up and its cluster goes.
  following.catch(() => {});
  const since = performance.now();
  await inParallel(pods, 100, (i) => {
    const group = `bench-${i % groups}`;
    const { spec } = template({}, antiAffinity ? apart(group) : {});
    const metadata = { name: `pod-${i}`, namespace: "default", labels: { app: group } };
    return client.create(Pods, { metadata, spec });
  });
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
