// What a user at the prompt waits for: the built-in kubectl beside the real one, in turns, by the clock and in processor time; shell
// completion; and `why`. On a busy machine the processor time is the steadier figure.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { endedChildrenCpuMs } from "./process-usage.mjs";

const command = resolve("dist/bin/pinnace.cjs");
const rounds = 15;

export async function benchKubectl(cluster, results, { runs }) {
  await cluster.kubectl("create", "deployment", "web", "--image=pinnace.local/echo:1", "--replicas=3");
  await cluster.kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080");
  await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s");
  const manifest = join(cluster.home, "web.yaml");
  writeFileSync(manifest, "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web }\ndata: { a: b }\n");
  // As the shell runs it: by its launcher.
  const own = (...args) => [command, args];
  const real = (...args) => ["kubectl", args];
  const cases = [
    ["get pods, real kubectl", real("get", "pods"), "the reference"],
    ["get pods, pinnace kubectl", own("kubectl", "get", "pods"), "< 120, < 1.5 × real"],
    ["apply -f, real kubectl", real("apply", "-f", manifest, "--dry-run=server"), "the reference"],
    ["apply -f, pinnace kubectl", own("kubectl", "apply", "-f", manifest, "--dry-run=server"), "< 1.5 × real"],
    ["completion of a type", own("kubectl", "__complete", "get", "po"), "< 80"],
    ["completion of a pod's name", own("kubectl", "__complete", "get", "pods", ""), "< 80"],
    ["why a Service", own("why", "svc/web"), "< 1000"],
    ["node -e 0", [process.execPath, ["-e", "0"]], "what Node itself takes"],
  ];
  // Each once unmeasured: caches of code and of what the server serves fill.
  for (const [, [program, args]] of cases) await timed(cluster, program, args);
  const ratios = [];
  for (let round = 0; round < runs * rounds; round++) {
    const walls = [];
    for (const [name, [program, args], target] of cases) {
      if (name.startsWith("why") && round % 5 > 0) continue;
      const { wallMs, cpuMs } = await timed(cluster, program, args);
      walls.push(wallMs);
      results.add(name, wallMs, { target });
      results.add(`${name}, processor`, cpuMs);
    }
    ratios.push(walls[1] / walls[0]);
  }
  for (const ratio of ratios) results.add("get pods, ours ÷ real", ratio, { unit: "×", target: "< 1.5" });
}

function timed(cluster, program, args) {
  const before = endedChildrenCpuMs();
  const startedMs = performance.now();
  return new Promise((done, failed) => {
    const child = spawn(program, args, { env: cluster.environment, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk) => (said += chunk));
    child.once("error", failed);
    child.once("close", (code) => {
      const wallMs = performance.now() - startedMs;
      if (code) return failed(new Error(`${program} ${args.join(" ")}: exit code ${code}\n${said}`));
      done({ wallMs, cpuMs: endedChildrenCpuMs() - before });
    });
  });
}
