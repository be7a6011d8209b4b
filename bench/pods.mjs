// What a node does for its pods: from binding to Running, a hundred at once, a command in one, memory for each.
import { readdirSync, readFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { parse } from "yaml";
import { connectApi } from "./api-client.mjs";
import { pssMiB } from "./process-usage.mjs";

const namespace = "bench-pods";
const core = `/api/v1/namespaces/${namespace}`;
const oneAfterTheOther = 20;
const atOnce = 100;
/** Near what upstream lets three nodes take. */
const crowd = 300;

export async function benchPods(cluster, results, { runs }) {
  const api = await connectApi(cluster.kubeconfig);
  const metadata = { name: namespace };
  await api.request("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata });
  const nodes = (await api.request("GET", "/api/v1/nodes")).items.map((node) => node.metadata.name);
  const pods = await api.follow(`${core}/pods`);
  const isRunning = (pod) => pod?.status?.phase === "Running";
  const start = (name, node) => api.request("POST", `${core}/pods`, pod(name, node));
  const removed = async () => {
    await api.request("DELETE", `${core}/pods?gracePeriodSeconds=0`);
    await pods.until((all) => all.size === 0, "no pods");
  };

  for (let left = 100; left > 0; left--) {
    // The namespace gets its ServiceAccount a moment after it is made.
    const isHere = await api.request("GET", `${core}/serviceaccounts/default`).then(
      () => true,
      () => false,
    );
    if (isHere) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await start("first", nodes[0]); // Brings the image; it is not measured.
  await pods.until((all) => isRunning(all.get("first")), "the first pod");
  for (let run = 0; run < runs; run++) {
    for (let i = 0; i < oneAfterTheOther; i++) {
      const name = `one-${run}-${i}`;
      const since = performance.now();
      await start(name, nodes[i % nodes.length]);
      await pods.until((all) => isRunning(all.get(name)), name);
      results.add("one pod, bound → Running", performance.now() - since, { target: "p50 < 120, p99 < 300" });
    }
    const exec = await openExec(cluster.kubeconfig, "one-0-0");
    for (let i = 0; run === 0 && i < oneAfterTheOther; i++) {
      const since = performance.now();
      await exec("true");
      results.add("exec of true", performance.now() - since, { target: "< 60" });
    }
    await removed();

    const before = memoryOf(await cluster.status());
    const since = performance.now();
    await Promise.all(Array.from({ length: atOnce }, (_, i) => start(`all-${i}`, undefined)));
    await pods.until((all) => [...all.values()].filter(isRunning).length === atOnce, `${atOnce} pods`);
    results.add(`${atOnce} pods over ${nodes.length} nodes, created → all Running`, performance.now() - since, {
      target: "< 5000",
    });
    const perPod = (memoryOf(await cluster.status()) - before) / atOnce;
    results.add("memory for each pod (server and conmon)", perPod, { unit: "MiB", target: "< 3" });
    await removed();
  }
  const since = performance.now();
  await Promise.all(Array.from({ length: crowd }, (_, i) => start(`crowd-${i}`, nodes[i % nodes.length])));
  await pods.until((all) => [...all.values()].filter(isRunning).length === crowd, `${crowd} pods`);
  results.add(`${crowd} pods over ${nodes.length} nodes, bound → all Running`, performance.now() - since);
  await removed();
  api.close?.();
}

function pod(name, nodeName) {
  const container = { name: "main", image: "busybox", command: ["sleep", "100000"], imagePullPolicy: "IfNotPresent" };
  const spec = { terminationGracePeriodSeconds: 0, containers: [container], ...(nodeName ? { nodeName } : {}) };
  return { apiVersion: "v1", kind: "Pod", metadata: { name }, spec };
}

/** Of the server and of every conmon on the machine. */
function memoryOf({ server }) {
  let total = pssMiB(server.pid);
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "conmon") total += pssMiB(pid);
    } catch {
      // It has ended.
    }
  }
  return total;
}

/** Runs a command as kubectl does, over WebSocket, without the time that kubectl itself takes to start. */
async function openExec(kubeconfigFile, name) {
  const kubeconfig = parse(readFileSync(kubeconfigFile, "utf8"));
  const { cluster } = kubeconfig.clusters[0];
  const { user } = kubeconfig.users[0];
  const pem = (data) => Buffer.from(data, "base64");
  const options = {
    ca: pem(cluster["certificate-authority-data"]),
    cert: pem(user["client-certificate-data"]),
    key: pem(user["client-key-data"]),
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": Buffer.alloc(16, 7).toString("base64"),
      "sec-websocket-protocol": "v5.channel.k8s.io",
    },
  };
  return (command) =>
    new Promise((resolve, reject) => {
      const url = `${cluster.server}${core}/pods/${name}/exec?command=${command}&stdout=true`;
      const request = httpsRequest(url, options);
      request.once("upgrade", (_response, socket, head) => {
        const look = (data) => {
          // The command's outcome comes on the error channel.
          if (!data.includes('"status":"Success"')) return;
          socket.destroy();
          resolve();
        };
        look(head);
        socket.on("data", look);
        socket.on("error", reject);
      });
      request.once("response", (response) => reject(new Error(`exec: ${response.statusCode}`)));
      request.once("error", reject);
      request.end();
    });
}
