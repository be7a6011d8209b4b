/** From what a user names to a pod: `web`, `pod/web`, `deployment/web`, `svc/web`. */
import { formatLabelSelector } from "../apimachinery/selectors.ts";
import { sleep } from "../base/clock.ts";
import { jsonLines, type Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import { pathOf } from "./resource-catalog.ts";
import type { Session } from "./session.ts";

interface ContainerStatus {
  name: string;
  ready?: boolean;
  restartCount?: number;
  state?: {
    running?: object;
    waiting?: { reason?: string; message?: string };
    terminated?: { exitCode: number; reason?: string };
  };
}

export interface Pod extends Unstructured {
  spec: {
    nodeName?: string;
    containers: {
      name: string;
      ports?: { name?: string; containerPort: number; protocol?: string }[];
      tty?: boolean;
      stdin?: boolean;
    }[];
    initContainers?: { name: string; restartPolicy?: string }[];
    ephemeralContainers?: { name: string }[];
    [field: string]: unknown;
  };
  status?: {
    phase?: string;
    reason?: string;
    conditions?: { type: string; status: string; lastTransitionTime?: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
    ephemeralContainerStatuses?: ContainerStatus[];
    [field: string]: unknown;
  };
}

const pods = { group: "", version: "v1", plural: "pods" };

export function podPath(pod: { name: string; namespace?: string }, subresource?: string): string {
  return pathOf(pods, pod.namespace, pod.name, subresource);
}

/** The pod itself, or one of those behind what is named; of several the one that is most ready. */
export async function podFor(session: Session, argument: string): Promise<Pod> {
  const found = await podsFor(session, argument);
  const [best] = found.sort(byReadiness);
  if (!best) throw new CommandError(`no pods found for ${argument}`);
  return best;
}

/** Every pod behind what is named. */
export async function podsFor(session: Session, argument: string, doing?: string): Promise<Pod[]> {
  return podsBehind(session, await objectNamed(session, argument), doing);
}

/** What is named, and a pod of it; waits until one runs. Rejects with a CommandError when none does in time. */
export async function runningPodBehind(
  session: Session,
  argument: string,
  timeoutMs: number,
): Promise<{ object: Unstructured; pod: Pod }> {
  const object = await objectNamed(session, argument);
  if (object.kind === "Pod") return { object, pod: object as Pod };
  const { clock, signal } = session.terminal;
  const deadlineMs = clock.now() + timeoutMs;
  for (;;) {
    const [best] = (await podsBehind(session, object)).sort(byReadiness);
    if (best?.status?.phase === "Running") return { object, pod: best };
    if (clock.now() >= deadlineMs) throw new CommandError("timed out waiting for the condition");
    await sleep(clock, pollMs, signal);
  }
}

const pollMs = 500;

async function objectNamed(session: Session, argument: string): Promise<Unstructured> {
  const api = await session.api();
  const { name: namespace } = await session.namespace();
  const [word, name] = argument.includes("/") ? argument.split("/") : ["pods", argument];
  if (!name) throw new CommandError("arguments in resource/name form must have a single resource and name");
  const resource = await session.resource(word!);
  const object = await api.get(pathOf(resource, resource.isNamespaced ? namespace : undefined, name));
  return { ...object, kind: resource.kind };
}

async function podsBehind(session: Session, object: Unstructured, doing = "attach to"): Promise<Pod[]> {
  if (object.kind === "Pod") return [object as Pod];
  const selector = selectorOf(object);
  if (!selector && object.kind === "Service") {
    throw new CommandError(
      `cannot attach to *v1.Service: invalid service '${object.metadata.name}': Service is defined without a selector`,
    );
  }
  if (!selector) {
    const type = `*${object.apiVersion?.split("/").at(-1)}.${object.kind}`;
    throw new CommandError(`cannot ${doing} ${type}: selector for ${type} not implemented`);
  }
  const api = await session.api();
  const list = await api.get<{ items: Pod[] }>(
    `${pathOf(pods, object.metadata.namespace)}?labelSelector=${encodeURIComponent(selector)}`,
  );
  return list.items;
}

function selectorOf(object: Unstructured): string | undefined {
  const { selector } = (object["spec"] ?? {}) as { selector?: Record<string, unknown> };
  if (!selector) return undefined;
  if (selector["matchLabels"] || selector["matchExpressions"]) return formatLabelSelector(selector as never);
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value as string}`)
    .join(",");
}

/** Ready before running before the rest; those that have been ready for longer first, and older before younger. */
function byReadiness(a: Pod, b: Pod): number {
  const order = (first = "", second = "") => (first < second ? -1 : first > second ? 1 : 0);
  return (
    rank(a) - rank(b) ||
    order(readySince(a), readySince(b)) ||
    order(a.metadata.creationTimestamp, b.metadata.creationTimestamp)
  );
}

function readySince({ status }: Pod): string | undefined {
  return status?.conditions?.find(({ type, status: value }) => type === "Ready" && value === "True")
    ?.lastTransitionTime;
}

function rank({ status, metadata }: Pod): number {
  const isReady = status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True");
  const phase = status?.phase === "Running" ? 0 : 1;
  return (metadata.deletionTimestamp ? 4 : 0) + phase * 2 + (isReady ? 0 : 1);
}

/** In the order in which they start. */
export function containerNames({ spec: { initContainers = [], containers, ephemeralContainers = [] } }: Pod): string[] {
  return [...initContainers, ...containers, ...ephemeralContainers].map(({ name }) => name);
}

const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container";

/** The container a command is for. Says which one it takes when there are several and none was named. */
export function containerOf(session: Session, pod: Pod, wanted: string, isQuiet = false): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  if (wanted) return wanted;
  const all = [...containers, ...initContainers, ...ephemeralContainers];
  const annotated = pod.metadata.annotations?.[defaultContainerAnnotation];
  if (annotated && all.some(({ name }) => name === annotated)) return annotated;
  const first = containers[0]!.name;
  if (all.length > 1 && !isQuiet) {
    session.printError(`Defaulted container ${JSON.stringify(first)} out of: ${choicesOf(pod)}\n`);
  }
  return first;
}

/** `app, sidecar, setup (init)` */
function choicesOf({ spec: { containers, initContainers = [], ephemeralContainers = [] } }: Pod): string {
  return [
    ...containers.map(({ name }) => name),
    ...initContainers.map(({ name }) => `${name} (init)`),
    ...ephemeralContainers.map(({ name }) => `${name} (ephem)`),
  ].join(", ");
}

/** Throws a CommandError that names the containers there are, unless this is one of them. */
export function assertContainer(pod: Pod, container: string, doing = ""): void {
  if (containerNames(pod).includes(container)) return;
  throw new CommandError(
    `${doing}container ${container} is not valid for pod ${pod.metadata.name} out of: ${choicesOf(pod)}`,
  );
}

/** Watches one pod until the condition holds; resolves with it. Rejects with a CommandError when it is gone or time is up. */
export async function untilPod(
  session: Session,
  pod: { name: string; namespace?: string },
  timeoutMs: number,
  condition: (pod: Pod) => boolean,
): Promise<Pod> {
  const api = await session.api();
  const path = `${pathOf(pods, pod.namespace)}?fieldSelector=${encodeURIComponent(`metadata.name=${pod.name}`)}`;
  const deadlineMs = session.terminal.clock.now() + timeoutMs;
  for (;;) {
    const list = await api.get<{ items: Pod[]; metadata: { resourceVersion: string } }>(path);
    const [present] = list.items;
    if (present && condition(present)) return present;
    const leftMs = deadlineMs - session.terminal.clock.now();
    if (leftMs <= 0) throw new CommandError("timed out waiting for the condition");
    const stream = await api.stream(
      `${path}&watch=true&resourceVersion=${list.metadata.resourceVersion}&timeoutSeconds=${Math.max(1, Math.ceil(leftMs / 1000))}`,
    );
    for await (const { type, object } of jsonLines<{ type: string; object: Pod }>(stream)) {
      if (type === "DELETED") throw new CommandError(`pods ${JSON.stringify(pod.name)} not found`);
      if (type === "ERROR") break;
      if (condition(object)) {
        stream.destroy();
        return object;
      }
    }
  }
}
