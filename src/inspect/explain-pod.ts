/** Why a pod does not run, or runs and is not ready: scheduling, quota, volumes, image, containers, probes. Pure. */
import type { ContainerStatus, Probe } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { type Finding, lost, note, ok, type Report, walk } from "./report.ts";
import type { Target } from "./target.ts";
import {
  type ContainerView,
  carries,
  conditionOf,
  inNamespace,
  isReady,
  keyOf,
  listed,
  nearest,
  type PodView,
  printLabels,
  type World,
} from "./world.ts";

type Status = DeepReadonly<ContainerStatus>;

export function explainPod(world: World, pod: PodView): Report {
  const { steps, fault } = walk(stepsOf(world, pod));
  return {
    target: `Pod ${keyOf(pod)}`,
    verdict: fault ? "lost" : isReady(pod) || pod.status?.phase === "Succeeded" ? "works" : "unknown",
    steps,
    ...(fault ? { fault } : {}),
  };
}

/** The one step at which it fails, if it does. */
export function findingOfPod(world: World, pod: PodView): Finding | undefined {
  for (const [, look] of stepsOf(world, pod)) {
    const finding = look();
    if (finding?.fault) return finding;
  }
  return undefined;
}

function stepsOf(world: World, pod: PodView) {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return [
    ["deletion", () => deletion(pod)],
    ["node", () => scheduling(world, pod)],
    ["volumes", () => volumes(world, pod, statuses)],
    ["image", () => images(pod, statuses)],
    ["container", () => containers(world, pod, statuses)],
    ["readiness", () => readiness(world, pod, statuses)],
  ] as const satisfies readonly (readonly [string, () => Finding | undefined])[];
}

function deletion(pod: PodView): Finding | undefined {
  const { deletionTimestamp, finalizers } = pod.metadata;
  if (deletionTimestamp === undefined) return undefined;
  if (finalizers?.length) {
    return lost(
      "finalizer",
      `deleted since ${deletionTimestamp}, held by ${listed(finalizers)}`,
      "A finalizer keeps an object until whoever put it there takes it away.",
      `kubectl patch pod ${pod.metadata.name}${inNamespace(pod.metadata.namespace)} --type=merge -p '{"metadata":{"finalizers":null}}'   # if nobody will`,
    );
  }
  return note(`is ending since ${deletionTimestamp}`);
}

function scheduling(world: World, pod: PodView): Finding | undefined {
  if (pod.spec.nodeName) {
    const node = world.nodes.find(({ metadata }) => metadata.name === pod.spec.nodeName);
    const condition = node?.status?.conditions?.find(({ type }) => type === "Ready");
    if (node && condition && condition.status !== "True") {
      return lost(
        "node-not-ready",
        `is on ${pod.spec.nodeName}, which is not ready`,
        `The node's kubelet is silent (${condition.message ?? condition.reason ?? "no reason given"}), so that nothing starts or is told apart there.`,
        [`pinnace status --name ${world.network.clusterName}`, `kubectl describe node ${pod.spec.nodeName}`],
      );
    }
    return ok(`on ${pod.spec.nodeName}`);
  }
  const condition = conditionOf(pod, "PodScheduled");
  const gates = pod.spec.schedulingGates ?? [];
  if (gates.length > 0) {
    return lost(
      "scheduling-gate",
      `waits for ${listed(gates.map(({ name }) => name))}`,
      "A pod with scheduling gates is not scheduled before all of them are taken away.",
      `kubectl patch pod ${pod.metadata.name}${inNamespace(pod.metadata.namespace)} --type=merge -p '{"spec":{"schedulingGates":null}}'`,
    );
  }
  const message = condition?.message ?? "";
  if (!condition || !message) {
    const { schedulerName } = pod.spec;
    if (schedulerName && schedulerName !== "default-scheduler") {
      return lost(
        "unknown-scheduler",
        "has no node yet",
        `It asks for scheduler ${schedulerName}, and no scheduler of this name has looked at it.`,
        "take schedulerName out of the pod's template",
      );
    }
    return lost(
      "not-scheduled",
      "has no node yet",
      "No scheduler has looked at it.",
      `pinnace status --name ${world.network.clusterName}`,
    );
  }
  return unschedulable(world, pod, message);
}

function isTolerated(pod: PodView, taint: { key: string; value?: string; effect: string }): boolean {
  return (pod.spec.tolerations ?? []).some(
    ({ key, operator, value, effect }) =>
      (effect === undefined || effect === "" || effect === taint.effect) &&
      (key === undefined || key === "" || key === taint.key) &&
      (operator === "Exists" || (key === taint.key && (value ?? "") === (taint.value ?? ""))),
  );
}

/** `message` is the scheduler's: `0/3 nodes are available: 1 node(s) had untolerated taint {…}, 2 Insufficient cpu.` */
function unschedulable(world: World, pod: PodView, message: string): Finding {
  const text = "has no node";
  const nodeName = world.nodes[0]?.metadata.name ?? "NODE";
  const claim = /persistentvolumeclaim "([^"]+)" not found/.exec(message);
  if (claim) {
    return lost(
      "missing-claim",
      text,
      `It mounts PersistentVolumeClaim ${claim[1]}, which does not exist.`,
      [
        `echo '${JSON.stringify({
          apiVersion: "v1",
          kind: "PersistentVolumeClaim",
          metadata: { name: claim[1] },
          spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
        })}' | kubectl apply${inNamespace(pod.metadata.namespace)} -f -`,
        `kubectl get persistentvolumeclaims${inNamespace(pod.metadata.namespace)}   # those that there are`,
      ],
      [message],
    );
  }
  if (
    /unbound immediate PersistentVolumeClaims|didn't find available persistent volumes|didn't match PersistentVolume/.test(
      message,
    )
  ) {
    return unboundClaim(world, pod, text, message);
  }
  const resources = [
    ...new Set([...message.matchAll(/Insufficient ([a-z0-9./-]+)/g)].map((found) => found[1]!.replace(/\.$/, ""))),
  ];
  if (resources.length > 0) {
    return lost(
      "insufficient-resources",
      text,
      `No node has enough ${listed(resources)} left for what its containers request.`,
      [
        setResources(
          pod,
          `--requests=${resources.map((resource) => `${resource}=${resource === "memory" ? "64Mi" : "100m"}`).join(",")}`,
        ),
        "kubectl describe nodes   # what is taken, under Allocated resources",
      ],
      [message],
    );
  }
  const asked = world.nodes.filter(({ metadata }) => carries(metadata.labels, pod.spec.nodeSelector ?? {}));
  const isAskedFor = asked.length > 0 && pod.spec.nodeSelector !== undefined && !pod.spec.affinity?.nodeAffinity;
  // Where the selector fits a node, something else keeps the pod from it.
  if (!isAskedFor && /didn't match Pod's node affinity\/selector/.test(message)) {
    const selector = printLabels(pod.spec.nodeSelector);
    return lost(
      "node-selector",
      text,
      `No node has the labels that the pod asks for${selector ? ` (${selector})` : " in its node affinity"}.`,
      [
        `kubectl label node ${workerOf(world) ?? nodeName} ${selector || "KEY=VALUE"}`,
        "kubectl get nodes --show-labels",
      ],
      [message],
    );
  }
  if (/were unschedulable/.test(message)) {
    const cordoned = world.nodes.find(({ spec }) => spec?.unschedulable)?.metadata.name ?? nodeName;
    return lost(
      "cordoned",
      text,
      `Node ${cordoned} takes no new pods: it was cordoned.`,
      `kubectl uncordon ${cordoned}`,
      [message],
    );
  }
  if (/untolerated taint/.test(message)) {
    const isControlPlane = ({ metadata }: World["nodes"][number]) =>
      metadata.labels?.["node-role.kubernetes.io/control-plane"] !== undefined;
    // The control plane's taint is nobody's mistake, unless the pod is meant for it.
    const tainted = [...asked]
      .sort((a, b) => Number(isControlPlane(a)) - Number(isControlPlane(b)))
      .flatMap(({ metadata, spec }) =>
        (spec?.taints ?? [])
          .filter((taint) => taint.effect !== "PreferNoSchedule" && !isTolerated(pod, taint))
          .map((taint) => ({ node: metadata.name, ...taint })),
      )[0];
    const { node = nodeName, key = "KEY", value, effect = "NoSchedule" } = tainted ?? {};
    return lost(
      "taint",
      text,
      `Every node that could take it has a taint that it does not tolerate${tainted ? ` (${key}${value ? `=${value}` : ""}:${effect} on ${node})` : ""}.`,
      [`kubectl taint node ${node} ${key}-`, "or give the pod's template a toleration for it"],
      [message],
    );
  }
  if (/didn't have free ports/.test(message)) {
    return lost(
      "host-port-taken",
      text,
      "Its hostPort is taken on every node that could take it.",
      "take hostPort out of the pod's template, and reach it through a Service",
      [message],
    );
  }
  if (/topology spread|pod (anti-)?affinity/.test(message)) {
    return lost(
      "affinity",
      text,
      "Its affinity or spread constraints leave no node.",
      `kubectl get pod ${pod.metadata.name}${inNamespace(pod.metadata.namespace)} -o yaml   # affinity, topologySpreadConstraints`,
      [message],
    );
  }
  return lost(
    "unschedulable",
    text,
    message,
    `kubectl describe pod ${pod.metadata.name}${inNamespace(pod.metadata.namespace)}`,
  );
}

function unboundClaim(world: World, pod: PodView, text: string, message: string): Finding {
  const names = (pod.spec.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);
  const claim = world.claims.find(
    ({ metadata, status }) =>
      names.includes(metadata.name) && metadata.namespace === pod.metadata.namespace && status?.phase !== "Bound",
  );
  const name = claim?.metadata.name ?? names[0] ?? "CLAIM";
  const said = world.events.find(
    ({ involvedObject }) => involvedObject.kind === "PersistentVolumeClaim" && involvedObject.name === name,
  );
  const storageClass = claim?.spec?.storageClassName;
  return lost(
    "unbound-claim",
    text,
    `PersistentVolumeClaim ${name} is not bound to a volume${storageClass ? ` (storage class ${storageClass})` : ""}${said?.message ? `: ${said.message}` : "."}`,
    [
      "kubectl get storageclasses",
      `kubectl describe persistentvolumeclaim ${name}${inNamespace(pod.metadata.namespace)}   # then make it anew with a class that exists, or make a PersistentVolume for it`,
    ],
    [message],
  );
}

/** What the containers are given: a missing ConfigMap or Secret stops them before they start. */
function volumes(world: World, pod: PodView, statuses: readonly Status[]): Finding | undefined {
  const failed = eventsOf(world, pod).find(({ reason }) => reason === "FailedMount" || reason === "FailedAttachVolume");
  const waits = statuses.some(
    ({ state }) => state?.waiting?.reason === "ContainerCreating" || state?.waiting?.reason === "PodInitializing",
  );
  const isStarted = statuses.some(({ state }) => state?.running || state?.terminated);
  if (failed && waits && !isStarted)
    return (
      missingObject(pod, failed.message ?? "") ??
      lost(
        "mount-failed",
        "a volume cannot be mounted",
        failed.message ?? "",
        `kubectl describe pod ${pod.metadata.name}${inNamespace(pod.metadata.namespace)}`,
      )
    );
  const config = statuses.find(({ state }) => state?.waiting?.reason === "CreateContainerConfigError");
  if (config) {
    const message = config.state?.waiting?.message ?? "";
    return (
      missingObject(pod, message) ??
      lost(
        "container-config",
        `container ${config.name} cannot be made`,
        message,
        `kubectl describe pod ${pod.metadata.name}${inNamespace(pod.metadata.namespace)}`,
      )
    );
  }
  return undefined;
}

function missingObject(pod: PodView, message: string): Finding | undefined {
  const found = /(configmaps?|secrets?) "([^"]+)" not found/i.exec(message);
  const inNs = inNamespace(pod.metadata.namespace);
  if (found) {
    const kind = found[1]!.toLowerCase().startsWith("secret") ? "secret" : "configmap";
    return lost(
      `missing-${kind}`,
      `${kind === "secret" ? "Secret" : "ConfigMap"} ${found[2]} does not exist`,
      `The pod takes files or variables from it, and waits until it is there.`,
      kind === "secret"
        ? `kubectl create secret generic ${found[2]}${inNs} --from-literal=KEY=VALUE`
        : `kubectl create configmap ${found[2]}${inNs} --from-literal=KEY=VALUE`,
    );
  }
  const key = /couldn't find key (\S+) in (ConfigMap|Secret) (\S+)/.exec(message);
  if (!key) return undefined;
  return lost(
    "missing-key",
    `${key[2]} ${key[3]} has no key ${key[1]}`,
    "A variable of the container is to be taken from it.",
    `kubectl edit ${key[2]!.toLowerCase()} ${key[3]!.split("/").at(-1)}${inNs}`,
  );
}

function images(pod: PodView, statuses: readonly Status[]): Finding | undefined {
  const failing = statuses.find(({ state }) => imageReasons.has(state?.waiting?.reason ?? ""));
  if (!failing) return undefined;
  const { reason, message = "" } = failing.state!.waiting!;
  const image = allContainers(pod).find(({ name }) => name === failing.name)?.image ?? failing.image;
  const remedy = `kubectl set image ${templateOf(pod)}${inNamespace(pod.metadata.namespace)} ${failing.name}=IMAGE:TAG-THAT-EXISTS`;
  const text = `container ${failing.name}: ${reason}`;
  if (reason === "InvalidImageName")
    return lost("invalid-image-name", text, `"${image}" is no name of an image.`, remedy);
  if (reason === "ErrImageNeverPull") {
    return lost("image-never-pulled", text, `The policy is Never, and ${image} is not on the node.`, [
      `pinnace image pull ${image}`,
      "or take imagePullPolicy: Never out of the template",
    ]);
  }
  if (/unauthorized|authentication|denied/i.test(message)) {
    return lost(
      "image-denied",
      text,
      `The registry does not give ${image} without credentials.`,
      [
        `kubectl create secret docker-registry NAME${inNamespace(pod.metadata.namespace)} --docker-server=… --docker-username=… --docker-password=…`,
        "and name it under imagePullSecrets",
      ],
      [message],
    );
  }
  if (
    /connect|no such host|timed? ?out|unreachable|ENOTFOUND|ECONNREFUSED|fetch failed|not be reached/i.test(message)
  ) {
    return lost(
      "registry-unreachable",
      text,
      `The registry of ${image} does not answer.`,
      [
        "pinnace image load FILE.tar   # an image that was saved elsewhere",
        "or name a mirror under images.mirrors in the cluster's configuration",
      ],
      [message],
    );
  }
  return lost(
    "image-not-found",
    text,
    `There is no image ${image}: check its name and its tag.`,
    remedy,
    message ? [message] : [],
  );
}

const imageReasons = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "ImageInspectError",
]);

function containers(world: World, pod: PodView, statuses: readonly Status[]): Finding | undefined {
  const where = inNamespace(pod.metadata.namespace);
  if (pod.status?.reason === "Evicted") {
    return lost(
      "evicted",
      "was evicted",
      pod.status.message ?? "The node was short of something.",
      `kubectl delete pod ${pod.metadata.name}${where}`,
    );
  }
  for (const status of statuses) {
    const ended = status.state?.terminated ?? (status.state?.waiting ? status.lastState?.terminated : undefined);
    if (!ended || (ended.exitCode === 0 && status.state?.waiting?.reason !== "CrashLoopBackOff")) continue;
    const isInit = pod.spec.initContainers?.some(({ name }) => name === status.name);
    const which = `${isInit ? "init container" : "container"} ${status.name}`;
    const logs = `kubectl logs ${pod.metadata.name}${where} -c ${status.name}${status.state?.waiting ? " --previous" : ""}`;
    if (ended.reason === "OOMKilled") {
      const limit = allContainers(pod).find(({ name }) => name === status.name)?.resources?.limits?.["memory"];
      return lost(
        "out-of-memory",
        `${which} was killed: out of memory`,
        `It used more than its limit${limit ? ` of ${limit}` : ""}.`,
        setResources(pod, `-c ${status.name} --limits=memory=MORE`),
      );
    }
    if (
      ended.reason === "StartError" ||
      ended.reason === "ContainerCannotRun" ||
      ended.exitCode === 127 ||
      ended.exitCode === 128
    ) {
      const command = allContainers(pod).find(({ name }) => name === status.name)?.command?.[0];
      return lost(
        "command-not-found",
        `${which} cannot start`,
        `${command ? `Its command, ${command}, ` : "Its command "}is not in the image, or cannot be run.`,
        [`kubectl describe pod ${pod.metadata.name}${where}`, "then mend command and args in the template"],
        ended.message ? [ended.message.trim().split("\n").at(-1) ?? ""] : [],
      );
    }
    const killed = probeEvents(world, pod, "Liveness").concat(probeEvents(world, pod, "Startup"));
    if (killed.length > 0 && ended.exitCode !== 0 && status.restartCount > 0)
      return failingProbe(pod, status.name, killed[0]!);
    if (status.state?.waiting?.reason === "CrashLoopBackOff" || ended.exitCode !== 0) {
      const isExit0 = ended.exitCode === 0;
      return lost(
        isInit ? "init-container-fails" : "crash-loop",
        `${which} ended with exit code ${ended.exitCode}, ${status.restartCount} restarts`,
        isInit
          ? "The others start only when every init container has ended well."
          : isExit0
            ? "Its program ends by itself at once, and a Deployment wants one that goes on."
            : "Its program ends by itself; what it said last tells why.",
        logs,
        ended.message ? [ended.message.trim().split("\n").at(-1) ?? ""] : [],
      );
    }
  }
  const creating = statuses.find(({ state }) => state?.waiting);
  if (creating && !statuses.some(({ state }) => state?.running)) {
    const { reason = "Waiting", message } = creating.state!.waiting!;
    const failed = eventsOf(world, pod).find(({ type }) => type === "Warning");
    if (failed)
      return lost(
        "container-waits",
        `container ${creating.name}: ${reason}`,
        failed.message ?? "",
        `kubectl describe pod ${pod.metadata.name}${where}`,
      );
    return note(`container ${creating.name}: ${reason}${message ? `, ${message}` : ""}`);
  }
  const running = statuses.filter(({ state }) => state?.running).length;
  if (pod.status?.phase === "Succeeded") return ok("has done its work and ended");
  return running > 0 ? ok(`${running} of ${allContainers(pod).length} running`) : undefined;
}

function readiness(world: World, pod: PodView, statuses: readonly Status[]): Finding | undefined {
  if (isReady(pod)) return ok("ready");
  if (pod.status?.phase === "Succeeded") return undefined;
  const unready = statuses.find(({ ready, state }) => !ready && state?.running);
  if (unready) {
    const [event] = [
      ...probeEvents(world, pod, "Readiness"),
      ...probeEvents(world, pod, "Startup"),
      ...probeEvents(world, pod, "Liveness"),
    ];
    const container = allContainers(pod).find(({ name }) => name === unready.name);
    if (event || container?.readinessProbe || container?.startupProbe)
      return failingProbe(pod, unready.name, event ?? "Readiness probe failed");
  }
  const gate = (pod.spec.readinessGates ?? []).find(
    ({ conditionType }) => conditionOf(pod, conditionType)?.status !== "True",
  );
  if (gate) {
    return lost(
      "readiness-gate",
      `waits for condition ${gate.conditionType}`,
      "A pod with readiness gates is ready when somebody has set each of these conditions.",
      `kubectl get pod ${pod.metadata.name}${inNamespace(pod.metadata.namespace)} -o yaml   # who should set it?`,
    );
  }
  return undefined;
}

function failingProbe(pod: PodView, containerName: string, said: string): Finding {
  const kind = said.startsWith("Liveness")
    ? "livenessProbe"
    : said.startsWith("Startup")
      ? "startupProbe"
      : "readinessProbe";
  const container = allContainers(pod).find(({ name }) => name === containerName);
  const probe = container?.[kind] as DeepReadonly<Probe> | undefined;
  const asked = probe ? describeProbe(probe) : "its probe";
  const ports = (container?.ports ?? []).map(({ containerPort }) => containerPort);
  const probed = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
  const advice =
    typeof probed === "number" && ports.length > 0 && !ports.includes(probed)
      ? ` The container says that it uses port ${listed(ports.map(String))}.`
      : "";
  const word = kind.replace("Probe", "");
  return lost(
    `${word}-probe-fails`,
    `the ${word} probe of container ${containerName} fails`,
    `${asked} does not succeed, and so ${kind === "readinessProbe" ? "the pod gets no traffic" : "the container is started anew, again and again"}.${advice}`,
    [
      ...editTemplate(pod, `${kind} of container ${containerName}`),
      `kubectl logs ${pod.metadata.name}${inNamespace(pod.metadata.namespace)} -c ${containerName}`,
    ],
    [said],
  );
}

function describeProbe({ httpGet, tcpSocket, exec, grpc }: DeepReadonly<Probe>): string {
  if (httpGet) return `GET ${httpGet.path ?? "/"} on port ${httpGet.port}`;
  if (tcpSocket) return `A connection to port ${tcpSocket.port}`;
  if (grpc) return `The gRPC health check on port ${grpc.port}`;
  return `The command "${exec?.command?.join(" ") ?? ""}"`;
}

/** A workload's own view: the pods that it could not make. */
export interface WorkloadFacts {
  target: Extract<Target, { kind: "workload" }>;
  /** Absent when there is no such object. */
  object?: {
    desired: number;
    selector: Readonly<Record<string, string>>;
    conditions: readonly { type: string; status: string; message?: string }[];
  };
  /** Names of objects of this kind in the namespace, for a hint. */
  names: readonly string[];
  /** Its pods, by owner. */
  pods: readonly PodView[];
}

export function explainWorkload(world: World, { target, object, names, pods }: WorkloadFacts): Report {
  const where = inNamespace(target.namespace);
  const sick = pods.find(
    (pod) => !isReady(pod) && pod.metadata.deletionTimestamp === undefined && pod.status?.phase !== "Succeeded",
  );
  const { steps, fault } = walk([
    [
      target.resource,
      () => {
        if (!object) {
          const similar = nearest(target.name, names);
          return lost(
            "no-such-workload",
            `there is no ${target.resource} ${target.name} in namespace ${target.namespace}`,
            similar ? `There is ${similar}.` : "Nobody has made it.",
            `kubectl get ${target.resource.toLowerCase()}s${where}`,
          );
        }
        return object.desired === 0
          ? lost(
              "scaled-to-zero",
              "wants no pods",
              "It was scaled to none.",
              `kubectl scale ${target.resource.toLowerCase()} ${target.name}${where} --replicas=1`,
            )
          : ok(`wants ${object.desired}, has ${pods.length}`);
      },
    ],
    ["creation", () => (object && pods.length < object.desired ? creation(world, target, object) : undefined)],
    ["pods", () => (sick ? undefined : ok(`${pods.filter(isReady).length} ready`))],
  ]);
  if (fault || !sick) {
    const works = object !== undefined && pods.filter(isReady).length >= object.desired;
    return {
      target: `${target.resource} ${target.namespace}/${target.name}`,
      verdict: fault ? "lost" : works ? "works" : "unknown",
      steps,
      ...(fault ? { fault } : {}),
    };
  }
  const inner = explainPod(world, sick);
  return {
    ...inner,
    target: `${target.resource} ${target.namespace}/${target.name}`,
    steps: [
      ...steps,
      { name: "pods", state: "note", text: `${pods.filter(isReady).length} ready; ${sick.metadata.name} is not` },
      ...inner.steps,
    ],
  };
}

function creation(
  world: World,
  target: WorkloadFacts["target"],
  object: NonNullable<WorkloadFacts["object"]>,
): Finding | undefined {
  const failed = object.conditions.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  const event = world.events.find(
    ({ involvedObject, reason }) =>
      reason === "FailedCreate" &&
      (involvedObject.name === target.name || involvedObject.name?.startsWith(`${target.name}-`)),
  );
  const message = failed?.message ?? event?.message;
  if (!message) return undefined;
  const where = inNamespace(target.namespace);
  const quota = /exceeded quota: ([^,]+)/.exec(message);
  if (quota) {
    return lost(
      "quota",
      "its pods are refused",
      `ResourceQuota ${quota[1]} of the namespace is used up.`,
      [
        `kubectl edit resourcequota ${quota[1]}${where}   # more under spec.hard`,
        `kubectl scale ${target.resource.toLowerCase()} ${target.name}${where} --replicas=FEWER`,
      ],
      [message],
    );
  }
  const needs = /failed quota: ([^:]+): must specify (.*)/.exec(message);
  if (needs) {
    return lost(
      "quota-needs-requests",
      "its pods are refused",
      `ResourceQuota ${needs[1]} counts ${needs[2]}, and the pods do not say how much they want.`,
      `kubectl set resources ${target.resource.toLowerCase()} ${target.name}${where} --requests=cpu=100m,memory=64Mi --limits=cpu=200m,memory=128Mi`,
      [message],
    );
  }
  if (/(maximum|minimum) (cpu|memory).* per (Container|Pod)/i.test(message)) {
    return lost(
      "limit-range",
      "its pods are refused",
      "A LimitRange of the namespace does not allow these requests.",
      [
        `kubectl describe limitranges${where}`,
        `kubectl set resources ${target.resource.toLowerCase()} ${target.name}${where} --requests=… --limits=…`,
      ],
      [message],
    );
  }
  if (/violates PodSecurity/.test(message)) {
    return lost(
      "pod-security",
      "its pods are refused",
      "The namespace's Pod Security level does not allow them.",
      `kubectl label namespace ${target.namespace} --overwrite pod-security.kubernetes.io/enforce=baseline`,
      [message],
    );
  }
  if (/serviceaccount "?([^"\s]+)"? not found/.test(message)) {
    const name = /serviceaccount "?([^"\s]+)"? not found/.exec(message)![1];
    return lost(
      "missing-service-account",
      "its pods are refused",
      `ServiceAccount ${name} does not exist.`,
      `kubectl create serviceaccount ${name?.split("/").at(-1)}${where}`,
      [message],
    );
  }
  return lost(
    "creation-refused",
    "its pods are refused",
    message,
    `kubectl describe ${target.resource.toLowerCase()} ${target.name}${where}`,
  );
}

const allContainers = (pod: PodView): ContainerView[] =>
  [...(pod.spec.initContainers ?? []), ...pod.spec.containers] as ContainerView[];

/** Newest first. */
function eventsOf(world: World, pod: PodView) {
  return world.events
    .filter(({ involvedObject }) => involvedObject.kind === "Pod" && involvedObject.name === pod.metadata.name)
    .sort((a, b) => lastSeen(b).localeCompare(lastSeen(a)));
}

const lastSeen = ({ series, lastTimestamp, eventTime }: World["events"][number]): string =>
  series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? "";

const probeEvents = (world: World, pod: PodView, kind: string): string[] =>
  eventsOf(world, pod).flatMap(({ reason, message }) =>
    reason === "Unhealthy" && message?.startsWith(kind) ? [message.trim()] : [],
  );

/** What kubectl is to change so that pods come out otherwise: the Deployment behind a ReplicaSet. */
/** What has no template that could change, or none that may: its pod must be made anew. */
const isFixed = (pod: PodView): boolean => ["Job", undefined].includes(pod.metadata.ownerReferences?.[0]?.kind);

function setResources(pod: PodView, what: string): string {
  const [template, where] = [templateOf(pod), inNamespace(pod.metadata.namespace)];
  return isFixed(pod)
    ? `kubectl get ${template}${where} -o yaml | kubectl set resources --local -f - ${what} -o yaml | kubectl replace --force -f -`
    : `kubectl set resources ${template}${where} ${what}`;
}

function editTemplate(pod: PodView, what: string): string[] {
  const [template, where] = [templateOf(pod), inNamespace(pod.metadata.namespace)];
  if (!isFixed(pod)) return [`kubectl edit ${template}${where}   # ${what}`];
  const file = `${template.replace("/", "-")}.yaml`;
  return [`kubectl get ${template}${where} -o yaml > ${file}   # ${what}`, `kubectl replace --force -f ${file}`];
}

/** What makes the pod, as kubectl names it; the pod itself where nothing does. */
export function templateOf(pod: PodView): string {
  const owner = pod.metadata.ownerReferences?.[0];
  if (!owner) return `pod/${pod.metadata.name}`;
  const hash = pod.metadata.labels?.["pod-template-hash"];
  if (owner.kind === "ReplicaSet" && hash && owner.name.endsWith(`-${hash}`))
    return `deployment/${owner.name.slice(0, -hash.length - 1)}`;
  return `${owner.kind.toLowerCase()}/${owner.name}`;
}

const workerOf = (world: World): string | undefined =>
  world.nodes.find(({ metadata }) => metadata.labels?.["node-role.kubernetes.io/control-plane"] === undefined)?.metadata
    .name;
