/** Runs a scenario from its seed, and finds the shortest part of it that still breaks the same promise. */
import { CronJobs, Deployments } from "../../api/resources.ts";
import { seededRandom } from "../../base/random.ts";
import { carryOut, furnish } from "./carry-out.ts";
import { type Faults, noFaults } from "./faulty-client.ts";
import { InvariantBroken, Invariants } from "./invariants.ts";
import { describeStep, type Scenario, type Step, scenarioOf, type Weather } from "./script.ts";
import { SimulatedCluster } from "./simulated-cluster.ts";
import { missingImage } from "./simulated-kubelets.ts";
import { unsettled } from "./unsettled.ts";
import type { WorldChange } from "./world.ts";

export interface Outcome {
  failure: InvariantBroken | undefined;
  /** What happened, last the newest: steps, and changes of objects in short. */
  history: string[];
  /** Changes of the store: equal runs have equal numbers. */
  changes: number;
}

/** How long a cluster may take to settle when nothing goes wrong any more. */
const settleMs = 30 * 60_000;
const settleStepMs = 5_000;
/** A cluster at rest writes nothing but heartbeats, and not many events. */
const quietMs = 120_000;
const quietWrites = 10;

const faultsOf: Record<Weather, Faults> = {
  calm: { refusal: 0.05, lostAnswer: 0, brokenWatch: 0.01, watchDelayMs: 300, callDelayMs: 20 },
  rough: { refusal: 0.08, lostAnswer: 0, brokenWatch: 0.02, watchDelayMs: 1_000, callDelayMs: 30 },
  lossy: { refusal: 0.05, lostAnswer: 0.05, brokenWatch: 0.02, watchDelayMs: 1_000, callDelayMs: 30 },
};

export async function simulate(scenario: Scenario): Promise<Outcome> {
  const history: string[] = [];
  let failure: InvariantBroken | undefined;
  let changes = 0;
  const faults = { ...faultsOf[scenario.weather] };
  let invariants: Invariants | undefined;
  const cluster = new SimulatedCluster(scenario.seed, faults, (change) => {
    changes++;
    const line = describeChange(change);
    if (line && !failure) history.push(`${time()}   ${line}`);
    try {
      invariants?.check(change);
    } catch (error) {
      if (!(error instanceof InvariantBroken)) throw error;
      failure ??= error;
    }
  });
  invariants = new Invariants(cluster.world, scenario.weather, () => cluster.clock.now());
  const startMs = cluster.clock.now();
  const time = () => `${((cluster.clock.now() - startMs) / 1000).toFixed(3).padStart(9)}s`;
  const isOver = () => failure !== undefined;
  const pass = async (ms: number) => {
    // In small parts, so that a broken promise is noticed before long.
    for (let left = ms; left > 0 && !isOver(); left -= settleStepMs) {
      await cluster.clock.advance(Math.min(left, settleStepMs));
    }
  };
  try {
    await cluster.start();
    for (const node of scenario.nodes) cluster.kubelets.start(node);
    await furnish(cluster);
    await pass(20_000);
    for (const step of scenario.steps) {
      if (isOver()) break;
      history.push(`${time()} ${describeStep(step)}`);
      if (step.do === "wait") await pass(step.ms);
      else await carryOut(cluster, step);
    }
    if (!isOver()) {
      history.push(`${time()} all misfortune ends`);
      await mend(cluster, scenario, faults);
      let left = unsettled(cluster.world);
      for (let passedMs = 0; !isOver() && (passedMs < 20_000 || left.length > 0); passedMs += settleStepMs) {
        if (passedMs > settleMs) {
          failure = new InvariantBroken("settling", left.join("; "));
          break;
        }
        await pass(settleStepMs);
        left = unsettled(cluster.world);
      }
    }
    if (!isOver()) {
      await pass(60_000);
      cluster.writes.clear();
      await pass(quietMs);
      const written = [...cluster.writes.values()].reduce((sum, count) => sum + count, 0);
      if (!isOver() && written > quietWrites) {
        const what = [...cluster.writes].map(([name, count]) => `${count} × ${name}`).join(", ");
        failure = new InvariantBroken("quiet", `a cluster at rest was written to: ${what}`);
      }
    }
  } finally {
    await cluster.close();
  }
  if (failure) history.push(...cluster.complaints.slice(-10).map((complaint) => `complaint: ${complaint}`));
  return { failure, history, changes };
}

/** Machines come back, images exist, nobody pauses or makes new Jobs: what is left is for the controllers to put right. */
async function mend(cluster: SimulatedCluster, { nodes }: Scenario, faults: Faults): Promise<void> {
  Object.assign(faults, noFaults);
  const { admin, world, kubelets } = cluster;
  for (const node of nodes) {
    kubelets.start(node);
    await carryOut(cluster, { do: "uncordon node", node });
  }
  for (const { metadata, spec } of world.all("deployments")) {
    const [container] = spec.template.spec!.containers;
    const image = container!.image === missingImage ? "app:9" : container!.image;
    const template = { spec: { containers: [{ name: "main", image }] } };
    const body = { spec: { paused: null, template } };
    await admin.patch(Deployments, metadata, { type: "strategic", body });
  }
  for (const { metadata } of world.all("cronjobs")) {
    await admin.patch(CronJobs, metadata, { type: "merge", body: { spec: { suspend: true } } });
  }
}

/** Steps are left out as long as the rest still breaks the same promise; at most `attempts` runs. */
export async function shorten(scenario: Scenario, failure: InvariantBroken, attempts = 60): Promise<Scenario> {
  let shortest = scenario;
  for (let size = Math.ceil(scenario.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < shortest.steps.length && attempts > 0; ) {
      const steps: readonly Step[] = [...shortest.steps.slice(0, at), ...shortest.steps.slice(at + size)];
      attempts--;
      const { failure: found } = await simulate({ ...shortest, steps });
      if (found?.invariant === failure.invariant) shortest = { ...shortest, steps };
      else at += size;
    }
  }
  return shortest;
}

/** Runs the scenario of a seed. Rejects with its seed and a shortened history when a promise is broken. */
export async function simulateSeed(seed: number): Promise<Outcome> {
  const scenario = scenarioOf(seed, seededRandom(seed));
  const outcome = await simulate(scenario);
  if (!outcome.failure) return outcome;
  const short = await shorten(scenario, outcome.failure);
  const { failure = outcome.failure, history } = await simulate(short);
  const lines = history.length > 120 ? [...history.slice(0, 20), "…", ...history.slice(-100)] : history;
  throw new Error(
    `seed ${seed} (${scenario.weather}): ${failure.message}\n` +
      `shortened from ${scenario.steps.length} to ${short.steps.length} steps:\n${lines.join("\n")}`,
  );
}

function describeChange({ plural, type, object, previous }: WorldChange): string | undefined {
  const { name, deletionTimestamp } = object.metadata;
  const what = type === "MODIFIED" ? "~" : type === "ADDED" ? "+" : "-";
  const going = deletionTimestamp ? " going" : "";
  switch (plural) {
    case "pods": {
      const text = (pod: typeof object) => {
        const ready = pod.status?.conditions?.find(({ type: t }) => t === "Ready")?.status === "True" ? " ready" : "";
        return `${pod.status?.phase ?? ""}${ready}${pod.spec.nodeName ? ` on ${pod.spec.nodeName}` : ""}${
          pod.metadata.deletionTimestamp ? " going" : ""
        }`;
      };
      if (type === "MODIFIED" && previous && text(previous) === text(object)) return undefined;
      return `${what} pod ${name} ${text(object)}`;
    }
    case "replicasets":
      if (type === "MODIFIED" && previous?.spec.replicas === object.spec.replicas) return undefined;
      return `${what} replicaset ${name} of ${object.spec.replicas}${going}`;
    case "jobs":
      return `${what} job ${name} ${JSON.stringify({ ...object.status, conditions: object.status?.conditions?.map(({ type: t }) => t) })}${going}`;
    case "deployments":
    case "statefulsets":
    case "daemonsets":
      return `${what} ${plural} ${name} generation ${object.metadata.generation}, observed ${object.status?.observedGeneration ?? 0}${going}`;
    case "nodes":
      return type === "MODIFIED" && !object.spec?.taints?.length
        ? undefined
        : `${what} node ${name} ${(object.spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`)}`;
    default:
      return undefined;
  }
}
