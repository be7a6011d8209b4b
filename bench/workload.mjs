// What a user waits for: Deployments becoming ready, scaling, replacement, a Service's first answer.
import { spawn } from "node:child_process";
import { connectApi } from "./api-client.mjs";

const namespace = "bench";
const core = `/api/v1/namespaces/${namespace}`;
const apps = `/apis/apps/v1/namespaces/${namespace}`;

const isReady = (pod) =>
  !pod.metadata.deletionTimestamp &&
  pod.status.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True");

function deployment(name, replicas) {
  const labels = { app: name };
  const container = { name: "echo", image: "pinnace.local/echo:1", ports: [{ containerPort: 8080 }] };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 5, containers: [container] } },
    },
  };
}

export async function benchWorkload(cluster, results, { runs }) {
  const api = await connectApi(cluster.kubeconfig);
  await api.request("POST", "/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
  const pods = await api.follow(`${core}/pods`);
  const deployments = await api.follow(`${apps}/deployments`);
  const settled = (name, replicas) =>
    deployments.until((all) => {
      const { spec, status, metadata } = all.get(name) ?? {};
      return (
        status?.observedGeneration >= metadata?.generation &&
        spec.replicas === replicas &&
        status.readyReplicas === replicas &&
        status.replicas === replicas
      );
    }, `${name} with ${replicas} ready`);
  const scale = (name, replicas) =>
    api.request("PATCH", `${apps}/deployments/${name}`, { spec: { replicas } }, "application/merge-patch+json");

  for (let run = 0; run < runs; run++) {
    const name = `web-${run}`;
    let since = performance.now();
    await api.request("POST", `${apps}/deployments`, deployment(name, 3));
    results.add("Deployment of 3 applied → all ready", (await settled(name, 3)) - since, { target: "< 250" });

    since = performance.now();
    await scale(name, 30);
    results.add("scaled 3 → 30, all ready", (await settled(name, 30)) - since, { target: "< 1500" });

    since = performance.now();
    await scale(name, 3);
    await pods.until(
      (all) => [...all.values()].filter((pod) => pod.metadata.labels?.app === name).length === 3,
      "27 pods gone",
    );
    results.add("scaled 30 → 3, pods gone", performance.now() - since);
    await settled(name, 3);

    await scale(name, 10);
    await settled(name, 10);
    since = performance.now();
    const template = { metadata: { annotations: { "bench/revision": "2" } } };
    const patched = await api.request(
      "PATCH",
      `${apps}/deployments/${name}`,
      { spec: { template } },
      "application/merge-patch+json",
    );
    const rolled = await deployments.until((all) => {
      const { status } = all.get(name);
      return (
        // What is followed may still be as it was before the patch.
        status.observedGeneration >= patched.metadata.generation &&
        [status.updatedReplicas, status.availableReplicas, status.replicas].every((count) => count === 10)
      );
    }, "10 pods replaced");
    results.add("rolling update of 10 complete", rolled - since, { target: "< 800" });
    await scale(name, 3);
    await settled(name, 3);

    const victim = [...pods.objects.values()].find((pod) => pod.metadata.labels?.app === name && isReady(pod)).metadata
      .name;
    const known = new Set(pods.objects.keys());
    since = performance.now();
    await api.request("DELETE", `${core}/pods/${victim}`);
    const replaced = await pods.until(
      (all) => [...all.values()].some((pod) => !known.has(pod.metadata.name) && isReady(pod)),
      "a replacement ready",
    );
    results.add("pod deleted → replacement ready", replaced - since, { target: "< 200" });
    await settled(name, 3);

    results.add("Service created → first answer", await firstAnswer(api, cluster, name), { target: "< 30" });
    await api.request("DELETE", `${apps}/deployments/${name}`);
    await pods.until((all) => ![...all.values()].some((pod) => pod.metadata.labels?.app === name), "all pods gone");
  }
  pods.stop();
  deployments.stop();
  await api.request("DELETE", `/api/v1/namespaces/${namespace}`);
  api.close();
}

/** From the create request to the first answer on the node port, seen from outside the cluster. */
async function firstAnswer(api, cluster, name) {
  const { nodes } = await cluster.status();
  const worker = nodes.find((node) => node.role === "worker").address;
  const port = 31999;
  const prober = startProber(worker, port);
  await prober.running;
  const since = performance.now();
  await api.request("POST", `${core}/services`, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { type: "NodePort", selector: { app: name }, ports: [{ port: 80, targetPort: 8080, nodePort: port }] },
  });
  const elapsed = (await prober.answered) - since;
  await api.request("DELETE", `${core}/services/${name}`);
  return elapsed;
}

/** Another process asks every two milliseconds, so that this one's own work does not delay the asking. */
export function startProber(host, port) {
  const source = `
    const net = require("node:net");
    const ask = () => {
      const socket = net.connect(${port}, "${host}", () => socket.end("GET / HTTP/1.0\\r\\n\\r\\n"));
      socket.once("data", () => { process.stdout.write(String(performance.timeOrigin + performance.now())); process.exit(); });
      socket.on("error", () => {});
      setTimeout(() => socket.destroy(), 1000).unref();
    };
    process.stdout.write("\\n");
    setInterval(ask, 2);`;
  const child = spawn(process.execPath, ["-e", source], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  let started;
  const running = new Promise((done) => (started = done));
  const answered = new Promise((done) => {
    child.stdout.on("data", (chunk) => {
      output += chunk;
      started();
      const moment = Number(output.trim());
      if (moment > 0) done(moment - performance.timeOrigin);
    });
  });
  return { running, answered };
}
