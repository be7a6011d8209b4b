// Cluster DNS under load: forty thousand questions a second for five seconds (dnsperf), some of them timed one by one;
// and how long an endpoint's change takes until answers have it.
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { connectApi } from "./api-client.mjs";
import { quantile } from "./statistics.mjs";

const run = promisify(execFile);
const wanted = 40_000;
const timed = 1000;
const seconds = 5;

const questions = [
  "kubernetes.default.svc.cluster.local A",
  "kube-dns.kube-system.svc.cluster.local A",
  "kube-dns.kube-system.svc.cluster.local AAAA",
  "_dns._udp.kube-dns.kube-system.svc.cluster.local SRV",
  "absent.default.svc.cluster.local A",
  "10-244-1-2.default.pod.cluster.local A",
];

export async function benchDns(cluster, results, { runs }) {
  const { nodes } = await cluster.status();
  const server = nodes.find((node) => node.role === "control-plane").address;
  const file = join(cluster.home, "questions");
  writeFileSync(file, `${questions.join("\n")}\n`);
  const dnsperf = (...more) =>
    run("dnsperf", ["-s", server, "-d", file, "-l", String(seconds), ...more], { maxBuffer: 256 << 20 });
  for (let i = 0; i < Math.min(runs, 3); i++) {
    const [load, sample] = await Promise.all([
      dnsperf("-c", "8", "-q", "400", "-Q", String(wanted - timed)),
      dnsperf("-v", "-c", "1", "-Q", String(timed)),
    ]);
    const figure = (text, name) => Number(new RegExp(`${name}:\\s+([\\d.]+)`).exec(text)?.[1]);
    const both = (name) => figure(load.stdout, name) + figure(sample.stdout, name);
    const latencies = [...sample.stdout.matchAll(/^> \S+ .* ([\d.]+)$/gm)].map(([, latency]) => Number(latency) * 1000);
    results.add("DNS answers", both("Queries per second"), { unit: "1/s", target: "≈ 40000" });
    results.add("DNS questions lost", both("Queries lost"), { unit: "count", target: "0" });
    results.add("DNS latency, p99 of a run", quantile(latencies, 0.99), { target: "< 5" });
  }
  await followEndpoint(cluster, results, server);
}

/** A headless Service whose only endpoint moves: from the change to the first answer that has it. */
async function followEndpoint(cluster, results, server) {
  const api = await connectApi(cluster.kubeconfig);
  const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  await api.request("POST", "/api/v1/namespaces/default/services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "moving" },
    spec: { clusterIP: "None", ports: [{ port: 80 }] },
  });
  const endpoints = (i) => [{ addresses: [`10.244.9.${i + 1}`], conditions: { ready: true } }];
  await api.request("POST", slices, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "moving", labels: { "kubernetes.io/service-name": "moving" } },
    addressType: "IPv4",
    ports: [{ port: 80 }],
    endpoints: endpoints(0),
  });
  const socket = createSocket("udp4");
  const question = Buffer.concat([
    Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...["moving", "default", "svc", "cluster", "local", ""].map((label) =>
      Buffer.from([label.length, ...Buffer.from(label)]),
    ),
    Buffer.from([0, 1, 0, 1]),
  ]);
  const ask = () => socket.send(question, 53, server);
  const answers = (last) =>
    new Promise((done) => {
      const onMessage = (packet) => {
        if (packet[7] === 0 || packet.at(-1) !== last) return ask();
        socket.off("message", onMessage);
        done(performance.now());
      };
      socket.on("message", onMessage);
      ask();
    });
  await answers(1);
  for (let i = 1; i <= 50; i++) {
    const since = performance.now();
    const answered = answers(i + 1);
    await api.request("PATCH", `${slices}/moving`, { endpoints: endpoints(i) }, "application/merge-patch+json");
    results.add("endpoint changed → DNS answers it", (await answered) - since, { target: "< 50" });
  }
  socket.close();
  await api.request("DELETE", "/api/v1/namespaces/default/services/moving");
  api.close();
}
