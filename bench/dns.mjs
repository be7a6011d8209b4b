// Cluster DNS under load: forty thousand questions a second for five seconds (dnsperf), some of them timed one by one.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
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
}
