/** What users and misfortune do to a simulated cluster: a list of steps drawn from a seed, which can be shortened and run again. */
import type { Random } from "../../base/random.ts";

/**
 * - calm: the network is slow and unreliable and components restart, but no Node and no Pod is lost: every promise must hold at every moment.
 * - rough: besides, Nodes fall silent or go, Pods are deleted and evicted and become unready.
 * - lossy: besides, answers to writes that were done get lost.
 */
export type Weather = "calm" | "rough" | "lossy";

export type Step =
  | {
      do: "deployment";
      name: string;
      replicas: number;
      image: string;
      strategy: "RollingUpdate" | "Recreate";
      maxSurge: number | string;
      maxUnavailable: number | string;
      minReadySeconds: number;
      revisionHistoryLimit: number;
      paused: boolean;
    }
  | {
      do: "statefulset";
      name: string;
      replicas: number;
      image: string;
      parallel: boolean;
      partition: number;
    }
  | { do: "daemonset"; name: string; image: string; maxUnavailable: number; maxSurge: number }
  | {
      do: "job";
      name: string;
      completions: number;
      parallelism: number;
      indexed: boolean;
      backoffLimit: number;
      failurePercent: number;
      runSeconds: number;
      suspend: boolean;
    }
  | { do: "cronjob"; name: string; concurrencyPolicy: string }
  | { do: "delete"; kind: Workload; name: string; propagationPolicy: "Background" | "Foreground" | "Orphan" }
  | { do: "evict guarded" }
  | { do: "delete pod" | "evict pod" | "unready pod"; pick: number }
  | { do: "silence node" | "remove node" | "start node" | "cordon node" | "uncordon node"; node: string }
  | { do: "restart controllers" | "restart scheduler" | "break watches" }
  | { do: "wait"; ms: number };

export type Workload = "deployments" | "statefulsets" | "daemonsets" | "jobs" | "cronjobs";

export interface Scenario {
  seed: number;
  weather: Weather;
  nodes: readonly string[];
  steps: readonly Step[];
}

const weathers: readonly Weather[] = ["calm", "rough", "lossy"];

/** The scenario of a seed. */
export function scenarioOf(seed: number, random: Random): Scenario {
  const weather = weathers[seed % 3]!;
  const nodes = Array.from({ length: 2 + random.int(3) }, (_, i) => `node-${i}`);
  const steps: Step[] = [];
  const count = 6 + random.int(14);
  for (let i = 0; i < count; i++) {
    steps.push(weather === "calm" || random.int(3) > 0 ? act(random) : misfortune(random, nodes));
    if (random.int(4) > 0) steps.push({ do: "wait", ms: wait(random) });
  }
  return { seed, weather, nodes, steps };
}

function wait(random: Random): number {
  return [20, 200, 1_000, 5_000, 20_000, 60_000][random.int(6)]! * (0.5 + random.float());
}

function act(random: Random): Step {
  const pick = <T>(...values: readonly T[]): T => values[random.int(values.length)]!;
  const chance = random.int(100);
  if (chance < 38) {
    return {
      do: "deployment",
      name: pick("web", "web", "api"),
      replicas: random.int(7),
      image: pick("app:1", "app:2", "app:3", "app:1", "app:2", "missing:1"),
      strategy: random.int(4) === 0 ? "Recreate" : "RollingUpdate",
      ...pick<{ maxSurge: number | string; maxUnavailable: number | string }>(
        { maxSurge: "25%", maxUnavailable: "25%" },
        { maxSurge: 1, maxUnavailable: 0 },
        { maxSurge: 0, maxUnavailable: 1 },
        { maxSurge: "100%", maxUnavailable: 0 },
        { maxSurge: 2, maxUnavailable: "50%" },
      ),
      minReadySeconds: pick(0, 0, 0, 3),
      revisionHistoryLimit: pick(0, 1, 10),
      paused: random.int(12) === 0,
    };
  }
  if (chance < 52) {
    return {
      do: "statefulset",
      name: "db",
      replicas: random.int(5),
      image: pick("app:1", "app:2", "app:3"),
      parallel: random.int(4) === 0,
      partition: pick(0, 0, 0, 1, 2),
    };
  }
  if (chance < 60) {
    return {
      do: "daemonset",
      name: "agent",
      image: pick("app:1", "app:2", "app:3"),
      ...pick(
        { maxUnavailable: 1, maxSurge: 0 },
        { maxUnavailable: 2, maxSurge: 0 },
        { maxUnavailable: 0, maxSurge: 1 },
      ),
    };
  }
  if (chance < 74) {
    const completions = 1 + random.int(6);
    return {
      do: "job",
      name: pick("batch-a", "batch-b", "batch-c"),
      completions,
      parallelism: 1 + random.int(4),
      indexed: random.int(2) === 0,
      backoffLimit: random.int(5),
      failurePercent: pick(0, 0, 30, 60),
      runSeconds: random.int(8),
      suspend: random.int(8) === 0,
    };
  }
  if (chance < 77) return { do: "cronjob", name: "tick", concurrencyPolicy: pick("Allow", "Forbid", "Replace") };
  if (chance < 82) {
    const [kind, name] = pick<[Workload, string]>(
      ["deployments", "web"],
      ["deployments", "api"],
      ["statefulsets", "db"],
      ["daemonsets", "agent"],
      ["jobs", "batch-a"],
      ["cronjobs", "tick"],
    );
    return { do: "delete", kind, name, propagationPolicy: pick("Background", "Foreground", "Orphan") };
  }
  if (chance < 87) return { do: "evict guarded" };
  if (chance < 93) return { do: pick("restart controllers", "restart scheduler") };
  return { do: "break watches" };
}

function misfortune(random: Random, nodes: readonly string[]): Step {
  const node = nodes[random.int(nodes.length)]!;
  const chance = random.int(100);
  if (chance < 20) return { do: "delete pod", pick: random.int(1000) };
  if (chance < 35) return { do: "evict pod", pick: random.int(1000) };
  if (chance < 50) return { do: "unready pod", pick: random.int(1000) };
  if (chance < 65) return { do: "silence node", node };
  if (chance < 75) return { do: "remove node", node };
  if (chance < 90) return { do: "start node", node };
  return { do: random.int(2) === 0 ? "cordon node" : "uncordon node", node };
}

export function describeStep(step: Step): string {
  const { do: what, ...rest } = step;
  const fields = Object.entries(rest).map(([name, value]) =>
    name === "ms" ? `${Math.round(Number(value))} ms` : `${name}=${value}`,
  );
  return [what, ...fields].join(" ");
}
