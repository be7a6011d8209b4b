// npm run bench [-- api] [--only start,workload,pods,images,api,dns,services,traffic,replace,scale,access,kubectl] [--cases create,get] [--runs 5]: measures, prints medians and percentiles,
// writes bench/results/<time>.json. A part may be named without --only; --cases picks among those of the part `api`.
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { benchAccess } from "./access.mjs";
import { benchApi } from "./api/api.mjs";
import { BenchCluster } from "./cluster.mjs";
import { benchDns } from "./dns.mjs";
import { benchImages } from "./images.mjs";
import { benchKubectl } from "./kubectl.mjs";
import { benchPods } from "./pods.mjs";
import { benchReplace } from "./replace.mjs";
import { benchScale } from "./scale.mjs";
import { benchServiceRules } from "./service-rules.mjs";
import { benchServiceTraffic } from "./service-traffic.mjs";
import { benchStart } from "./start.mjs";
import { Results } from "./statistics.mjs";
import { benchWorkload } from "./workload.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", default: "start,workload,api,dns,services,traffic,scale,access" },
    cases: { type: "string" },
    runs: { type: "string", default: "5" },
    "idle-seconds": { type: "string", default: "20" },
  },
});
const parts = positionals.length > 0 ? positionals : values.only.split(",");
const runs = Number(values.runs);
// The server keeps what it compiled five seconds after its start.
const warmMs = 7000;
const results = new Results();
const cluster = new BenchCluster();
try {
  if (parts.includes("start") || parts.includes("workload")) {
    // The first one assembles the demo's image, and leaves its compiled code for the next; it is not measured.
    await cluster.up();
    await new Promise((resolve) => setTimeout(resolve, warmMs));
    await cluster.down();
  }
  if (parts.includes("start"))
    await benchStart(cluster, results, { runs, idleSeconds: Number(values["idle-seconds"]) });
  if (parts.includes("workload")) {
    await cluster.up();
    try {
      await benchWorkload(cluster, results, { runs });
    } finally {
      await cluster.down();
    }
  }
  if (parts.includes("pods")) {
    await cluster.up();
    try {
      await benchPods(cluster, results, { runs });
    } finally {
      await cluster.down();
    }
  }
  if (parts.includes("kubectl")) {
    await cluster.up();
    try {
      await benchKubectl(cluster, results, { runs });
    } finally {
      await cluster.down();
    }
  }
  if (parts.includes("images")) await benchImages(results, { runs });
  if (parts.includes("dns")) {
    await cluster.up();
    try {
      await benchDns(cluster, results, { runs });
    } finally {
      await cluster.down();
    }
  }
  if (parts.includes("traffic")) {
    const balanced = new BenchCluster("bench", "loadBalancer: metallb\n");
    await balanced.up();
    try {
      await benchServiceTraffic(balanced, results, { runs });
    } finally {
      await balanced.down();
      balanced.remove();
    }
  }
  if (parts.includes("replace")) {
    await cluster.up();
    try {
      await benchReplace(cluster, results);
    } finally {
      await cluster.down();
    }
  }
  if (parts.includes("api")) await benchApi(cluster, results, { runs, cases: values.cases?.split(",") });
  if (parts.includes("services")) await benchServiceRules(results, { runs });
  if (parts.includes("access")) await benchAccess(results, { runs });
  if (parts.includes("scale")) await benchScale(results, { runs });
} finally {
  await cluster.down().catch(() => {});
  cluster.remove();
}
results.report();
mkdirSync("bench/results", { recursive: true });
const file = `bench/results/${new Date().toISOString().replaceAll(":", "-").slice(0, 19)}.json`;
writeFileSync(file, JSON.stringify(results, null, 2));
console.log(`\nwritten to ${file}`);
