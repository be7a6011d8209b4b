/** How `kubectl get pods` words a pod: readiness, the STATUS word, restarts and where it runs. */
import type { Container, ContainerStatus, Pod } from "../../api/core/v1.ts";
import type { Column } from "../../apimachinery/resource-definition.ts";
import { age, ageText, name, none, text, wide } from "../printing/columns.ts";

interface PodSummary {
  ready: number;
  total: number;
  status: string;
  restarts: number;
  /** RFC 3339, empty when nothing restarted. */
  lastRestart: string;
}

/** What kubectl says of the pod as a whole. */
export function summarizePod(pod: Pod): PodSummary {
  const { spec, status = {} } = pod;
  const conditions = status.conditions ?? [];
  const initContainers = spec.initContainers ?? [];
  const summary: PodSummary = {
    ready: 0,
    total: (spec.containers?.length ?? 0) + initContainers.filter(isSidecar).length,
    status: status.reason || status.phase || "",
    restarts: 0,
    lastRestart: "",
  };
  const gated = conditions.some(({ type, reason }) => type === "PodScheduled" && reason === "SchedulingGated");
  if (gated) summary.status = "SchedulingGated";

  const initializing = addInitContainers(summary, initContainers, status.initContainerStatuses ?? []);
  const initialized = conditions.some((c) => c.type === "Initialized" && c.status === "True");
  if (!initializing || initialized) {
    countSidecarRestarts(summary, initContainers, status.initContainerStatuses ?? []);
    const running = addContainers(summary, status.containerStatuses ?? []);
    if (summary.status === "Completed" && running) {
      const ready = conditions.some((c) => c.type === "Ready" && c.status === "True");
      summary.status = ready ? "Running" : "NotReady";
    }
  }
  if (pod.metadata.deletionTimestamp) {
    const finished = status.phase === "Succeeded" || status.phase === "Failed";
    if (status.reason === "NodeLost") summary.status = "Unknown";
    else if (!finished) summary.status = "Terminating";
  }
  return summary;
}

const isSidecar = (container: Container | undefined) => container?.restartPolicy === "Always";

function noteRestart(summary: PodSummary, status: ContainerStatus): void {
  summary.restarts += status.restartCount ?? 0;
  const finishedAt = status.lastState?.terminated?.finishedAt;
  if (finishedAt && finishedAt > summary.lastRestart) summary.lastRestart = finishedAt;
}

/** True when an init container still has to finish; it then names the status. */
function addInitContainers(
  summary: PodSummary,
  containers: readonly Container[],
  statuses: readonly ContainerStatus[],
): boolean {
  for (const [index, status] of statuses.entries()) {
    noteRestart(summary, status);
    const { terminated, waiting } = status.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (isSidecar(containers.find((c) => c.name === status.name)) && status.started) {
      if (status.ready) summary.ready++;
      continue;
    }
    if (terminated) summary.status = `Init:${terminated.reason || exitText(terminated)}`;
    else if (waiting?.reason && waiting.reason !== "PodInitializing") summary.status = `Init:${waiting.reason}`;
    else summary.status = `Init:${index}/${containers.length}`;
    return true;
  }
  return false;
}

/** Once the pod runs, restarts of finished init containers no longer count; those of sidecars do. */
function countSidecarRestarts(
  summary: PodSummary,
  containers: readonly Container[],
  statuses: readonly ContainerStatus[],
): void {
  summary.restarts = 0;
  summary.lastRestart = "";
  for (const status of statuses) {
    if (isSidecar(containers.find((c) => c.name === status.name))) noteRestart(summary, status);
  }
}

/** True when at least one container runs and is ready. */
function addContainers(summary: PodSummary, statuses: readonly ContainerStatus[]): boolean {
  let running = false;
  for (const status of statuses.toReversed()) {
    noteRestart(summary, status);
    const { waiting, terminated, running: runs } = status.state ?? {};
    if (waiting?.reason) summary.status = waiting.reason;
    else if (terminated) summary.status = terminated.reason || exitText(terminated);
    else if (status.ready && runs) {
      running = true;
      summary.ready++;
    }
  }
  return running;
}

function exitText({ signal, exitCode }: { signal?: number; exitCode: number }): string {
  return signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;
}

function restartsText(pod: Pod, now: number): string {
  const { restarts, lastRestart } = summarizePod(pod);
  return restarts > 0 && lastRestart ? `${restarts} (${ageText(lastRestart, now)} ago)` : String(restarts);
}

function readinessGatesText({ spec, status }: Pod): string {
  const gates = spec.readinessGates ?? [];
  if (gates.length === 0) return none;
  const met = gates.filter(({ conditionType }) =>
    status?.conditions?.some((c) => c.type === conditionType && c.status === "True"),
  );
  return `${met.length}/${gates.length}`;
}

export const podColumns: readonly Column<Pod>[] = [
  name,
  text("Ready", (pod) => {
    const { ready, total } = summarizePod(pod);
    return `${ready}/${total}`;
  }),
  text("Status", (pod) => summarizePod(pod).status),
  text("Restarts", restartsText),
  age,
  wide(text("IP", (pod) => pod.status?.podIPs?.[0]?.ip || none)),
  wide(text("Node", (pod) => pod.spec.nodeName || none)),
  wide(text("Nominated Node", (pod) => pod.status?.nominatedNodeName || none)),
  wide(text("Readiness Gates", readinessGatesText)),
];
