// Pods replaced under load: a Deployment of fifty is restarted ten times while clients ask through its Service, a new connection each time.
import { spawn } from "node:child_process";
import { connectApi } from "./api-client.mjs";

const namespace = "bench-replace";
const apps = `/apis/apps/v1/namespaces/${namespace}/deployments`;
const replicas = 50;
const restarts = 10;
const nodePort = 31998;
const clients = 8;

export async function benchReplace(cluster, results) {
  const api = await connectApi(cluster.kubeconfig);
  await api.request("POST", "/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
  const deployments = await api.follow(apps);
  const complete = (revision) =>
    deployments.until((all) => {
      const { status, metadata, spec } = all.get("web") ?? {};
      return (
        spec?.template.metadata.annotations?.revision === revision &&
        status?.observedGeneration >= metadata.generation &&
        [status.updatedReplicas, status.availableReplicas, status.replicas].every((count) => count === replicas)
      );
    }, `revision ${revision} of ${replicas}`);
  await api.request("POST", apps, deployment("0"));
  await api.request("POST", `/api/v1/namespaces/${namespace}/services`, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { type: "NodePort", selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080, nodePort }] },
  });
  await complete("0");
  const { nodes } = await cluster.status();
  const load = startLoad(nodes.find((node) => node.role === "worker").address);
  const since = performance.now();
  for (let restart = 1; restart <= restarts; restart++) {
    const template = { metadata: { annotations: { revision: `${restart}` } } };
    await api.request("PATCH", `${apps}/web`, { spec: { template } }, "application/merge-patch+json");
    await complete(`${restart}`);
  }
  const elapsed = performance.now() - since;
  const { answered, lost, reasons } = await load.stop();
  results.add(`${replicas * restarts} pods replaced under load`, elapsed);
  results.add("requests answered meanwhile", answered, { unit: "count" });
  results.add("requests lost meanwhile", lost, { unit: "count", target: "0" });
  if (lost > 0) console.error(`lost: ${JSON.stringify(reasons)}`);
  deployments.stop();
  await api.request("DELETE", `/api/v1/namespaces/${namespace}`);
  api.close();
}

function deployment(revision) {
  const labels = { app: "web" };
  const container = {
    name: "echo",
    image: "pinnace.local/echo:1",
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 },
    // Longer than every node takes to hear that the pod goes, on a busy machine too: nothing is promised to shorter ones.
    lifecycle: { preStop: { sleep: { seconds: 3 } } },
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: "50%" } },
      template: { metadata: { labels, annotations: { revision } }, spec: { containers: [container] } },
    },
  };
}

/** Clients in a process of their own, each with one request at a time. */
function startLoad(host) {
  const source = `
    const { request } = require("node:http");
    let answered = 0, lost = 0, isOver = false;
    const reasons = {};
    const ask = () => {
      let isDone = false;
      const done = (reason) => {
        if (isDone) return;
        isDone = true;
        if (reason === undefined) answered++;
        else {
          lost++;
          reasons[reason] = (reasons[reason] ?? 0) + 1;
        }
        if (!isOver) ask();
      };
      const failed = (when) => (error) => done(when + ": " + (error.code ?? error.message));
      request({ host: "${host}", port: ${nodePort}, agent: false, timeout: 10000 }, (response) => {
        const ended = () => done(response.statusCode === 200 ? undefined : "status " + response.statusCode);
        response.resume().once("end", ended).once("error", failed("answer"));
      }).once("error", failed("request")).once("timeout", function () { this.destroy(new Error("timeout")); }).end();
    };
    for (let i = 0; i < ${clients}; i++) ask();
    process.stdin.once("end", () => { isOver = true; }).resume();
    process.once("beforeExit", () => process.stdout.write(JSON.stringify({ answered, lost, reasons })));`;
  const child = spawn(process.execPath, ["-e", source], { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  const ended = new Promise((done) => child.once("close", done));
  return {
    async stop() {
      child.stdin.end();
      await ended;
      return JSON.parse(output);
    },
  };
}
