// How long a cluster takes to come up, and what it costs when nothing happens.
import { cpuSeconds, pssMiB } from "./process-usage.mjs";

export async function benchStart(cluster, results, { runs, idleSeconds }) {
  for (let i = 0; i < runs; i++) {
    const { answeringMs, usableMs } = await cluster.up();
    results.add("pinnace up: API answering", answeringMs, { target: "< 350" });
    results.add("pinnace up: usable, three nodes", usableMs, { target: "< 1000" });
    if (i === runs - 1) await benchIdle(cluster, results, idleSeconds);
    await cluster.down();
  }
}

async function benchIdle(cluster, results, idleSeconds) {
  const { server } = await cluster.status();
  await new Promise((done) => setTimeout(done, 5000));
  const before = cpuSeconds(server.pid);
  const since = performance.now();
  await new Promise((done) => setTimeout(done, idleSeconds * 1000));
  const share = ((cpuSeconds(server.pid) - before) / ((performance.now() - since) / 1000)) * 100;
  results.add("idle: CPU of one core", share, { unit: "%", target: "< 1" });
  results.add("idle: memory, PSS", pssMiB(server.pid), { unit: "MiB", target: "< 150" });
}
