// What the API server sustains: requests a second with one client and with 64, watch fan-out, memory, and who waits for whom.
// Each case has a control plane of its own, so that none pays for what another left behind.
import { cpuSeconds, pssMiB } from "../process-usage.mjs";
import { benchMemory } from "./memory.mjs";
import { benchGets, benchLists, benchNeighbours } from "./reads.mjs";
import { benchFanOut, benchPacedWatch } from "./watches.mjs";
import { benchApplies, benchCreates, benchPatches } from "./writes.mjs";

const cases = {
  create: benchCreates,
  get: benchGets,
  list: benchLists,
  patch: benchPatches,
  apply: benchApplies,
  watch: benchFanOut,
  paced: benchPacedWatch,
  neighbours: benchNeighbours,
  memory: benchMemory,
};

export async function benchApi(cluster, results, { runs, cases: wanted = Object.keys(cases) }) {
  const unknown = wanted.filter((name) => !cases[name]);
  if (unknown.length > 0) throw new Error(`unknown cases: ${unknown}; known are ${Object.keys(cases)}`);
  for (const name of wanted) {
    await cluster.up("--nodes", "0", "--roles", "apiserver,controller-manager");
    try {
      const { pid } = (await cluster.status()).server;
      await cases[name]({ kubeconfig: cluster.kubeconfig, pid, runs, results, rate: rateRecorder(results, pid) });
      results.add(`${name}: memory afterwards, PSS`, pssMiB(pid), { unit: "MiB" });
    } finally {
      await cluster.down();
    }
  }
}

/** Records one run of `load`: its rate, its latencies, and the server's CPU time a request, which a busy machine distorts least. */
function rateRecorder(results, pid) {
  return async (name, target, load) => {
    const before = cpuSeconds(pid);
    const { rate, latencies } = await load();
    results.add(name, rate, { unit: "/s", target });
    results.add(`${name}: server CPU a request`, ((cpuSeconds(pid) - before) / latencies.length) * 1e6, { unit: "µs" });
    for (const latency of latencies) results.add(`${name}: latency`, latency);
  };
}
