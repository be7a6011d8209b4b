/** Containers and volumes, as `describe` shows them of pods and of pod templates. */
import { quantityMilliValue } from "../../apimachinery/quantity.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { rfc1123 } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import { cut } from "../flags.ts";
import { Outline } from "./outline.ts";
import { type Indent, inner, templateIndent, type Volume, writeVolumes } from "./volumes.ts";

interface Port {
  name?: string;
  containerPort: number;
  hostPort?: number;
  protocol?: string;
}

interface Probe {
  exec?: { command?: string[] };
  httpGet?: { scheme?: string; host?: string; port: string | number; path?: string };
  tcpSocket?: { host?: string; port: string | number };
  grpc?: { port: number; service?: string };
  initialDelaySeconds?: number;
  timeoutSeconds?: number;
  periodSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
}

interface ValueSource {
  fieldRef?: { apiVersion?: string; fieldPath: string };
  resourceFieldRef?: { containerName?: string; resource: string; divisor?: string };
  secretKeyRef?: { name?: string; key: string; optional?: boolean };
  configMapKeyRef?: { name?: string; key: string; optional?: boolean };
}

export interface Container {
  name: string;
  image: string;
  ports?: Port[];
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: ValueSource }[];
  envFrom?: {
    prefix?: string;
    configMapRef?: { name?: string; optional?: boolean };
    secretRef?: { name?: string; optional?: boolean };
  }[];
  resources?: { limits?: Record<string, string>; requests?: Record<string, string> };
  volumeDevices?: { name: string; devicePath: string }[];
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[];
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  startupProbe?: Probe;
}

interface State {
  running?: { startedAt?: string };
  waiting?: { reason?: string; message?: string };
  terminated?: {
    reason?: string;
    message?: string;
    exitCode: number;
    signal?: number;
    startedAt?: string;
    finishedAt?: string;
  };
}

export interface ContainerStatus {
  name: string;
  containerID?: string;
  image?: string;
  imageID?: string;
  ready?: boolean;
  restartCount?: number;
  state?: State;
  lastState?: State;
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  ephemeralContainers?: Container[];
  volumes?: Volume[];
  serviceAccountName?: string;
  nodeSelector?: Record<string, string>;
  topologySpreadConstraints?: {
    topologyKey: string;
    whenUnsatisfiable: string;
    maxSkew: number;
    labelSelector?: Parameters<typeof formatLabelSelector>[0];
  }[];
  tolerations?: { key?: string; operator?: string; value?: string; effect?: string; tolerationSeconds?: number }[];
  [field: string]: unknown;
}

/** A template by itself: what `rollout history --revision` shows. */
export function describePodTemplate(template: unknown, cause = ""): string {
  const outline = new Outline();
  writePodTemplate(outline, template, cause);
  return outline.unaligned();
}

export function writePodTemplate(outline: Outline, template: unknown, cause = ""): void {
  const { metadata = {}, spec } = template as {
    metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
    spec: PodSpec;
  };
  outline.line(0, "Pod Template:");
  outline.map(1, "Labels", metadata.labels);
  if (cause) outline.map(1, "Annotations", { "kubernetes.io/change-cause": cause }, ": ");
  else if (Object.keys(metadata.annotations ?? {}).length > 0)
    outline.map(1, "Annotations", metadata.annotations, ": ");
  if (spec.serviceAccountName) outline.field(1, "Service Account", spec.serviceAccountName);
  if (spec.initContainers?.length) writeContainers(outline, templateIndent, "Init Containers", spec.initContainers);
  writeContainers(outline, templateIndent, "Containers", spec.containers);
  writeVolumes(outline, templateIndent, spec.volumes);
  writeConstraints(outline, 1, spec);
}

export function writeConstraints(outline: Outline, level: number, spec: PodSpec): void {
  const { nodeSelector, tolerations, topologySpreadConstraints = [] } = spec;
  outline.map(level, "Node-Selectors", nodeSelector);
  const lines = [...(tolerations ?? [])]
    .sort(({ key: a = "" }, { key: b = "" }) => (a < b ? -1 : a > b ? 1 : 0))
    .map(({ key = "", operator, value, effect, tolerationSeconds }) => {
      const base = `${key}${value ? `=${value}` : ""}${effect ? `:${effect}` : ""}`;
      const exists = operator === "Exists" && !value ? (base ? " op=Exists" : "op=Exists") : "";
      return `${base}${exists}${tolerationSeconds === undefined ? "" : ` for ${tolerationSeconds}s`}`;
    });
  for (const [i, line] of (lines.length > 0 ? lines : ["<none>"]).entries()) {
    outline.line(level, `${i === 0 ? "Tolerations:" : ""}\t${line}`);
  }
  const spreads = [...topologySpreadConstraints].sort((a, b) => (a.topologyKey < b.topologyKey ? -1 : 1));
  for (const [i, { topologyKey, whenUnsatisfiable, maxSkew, labelSelector }] of spreads.entries()) {
    const selector = labelSelector ? ` for selector ${formatLabelSelector(labelSelector)}` : "";
    const text = `${topologyKey}:${whenUnsatisfiable} when max skew ${maxSkew} is exceeded${selector}`;
    outline.line(level, `${i === 0 ? "Topology Spread Constraints:" : ""}\t${text}`);
  }
}

/** With statuses for pods, without for templates. */
export function writeContainers(
  outline: Outline,
  indent: Indent,
  title: string,
  containers: readonly Container[],
  statuses: readonly ContainerStatus[] = [],
  pod?: Unstructured,
): void {
  outline.line(0, `${indent.title}${title}:${containers.length === 0 ? " <none>" : ""}`);
  for (const container of containers) {
    outline.line(0, `${indent.name}${container.name}:`);
    writeContainer(
      outline,
      container,
      statuses.find(({ name }) => name === container.name),
      pod,
    );
  }
}

function writeContainer(
  outline: Outline,
  container: Container,
  status: ContainerStatus | undefined,
  pod: Unstructured | undefined,
): void {
  if (status) outline.field(inner, "Container ID", status.containerID);
  outline.field(inner, "Image", container.image);
  if (status) outline.field(inner, "Image ID", status.imageID);
  const ports = container.ports ?? [];
  const plural = ports.length > 1 ? "s" : "";
  const portText = (number: (port: Port) => number) =>
    ports.map((port) => `${number(port)}/${port.protocol ?? "TCP"}${port.name ? ` (${port.name})` : ""}`).join(", ") ||
    "<none>";
  outline.field(
    inner,
    `Port${plural}`,
    portText(({ containerPort }) => containerPort),
  );
  outline.field(
    inner,
    `Host Port${plural}`,
    portText(({ hostPort }) => hostPort ?? 0),
  );
  for (const [title, words] of [
    ["Command", container.command],
    ["Args", container.args],
  ] as const) {
    if (!words?.length) continue;
    outline.line(inner, `${title}:`);
    for (const word of words) for (const line of word.split("\n")) outline.line(inner + 1, line);
  }
  if (status) {
    writeState(outline, inner, "State", status.state);
    if (status.lastState?.terminated) writeState(outline, inner, "Last State", status.lastState);
    outline.field(inner, "Ready", status.ready ? "True" : "False");
    outline.field(inner, "Restart Count", String(status.restartCount ?? 0));
  }
  for (const [title, list] of [
    ["Limits", container.resources?.limits],
    ["Requests", container.resources?.requests],
  ] as const) {
    if (Object.keys(list ?? {}).length === 0) continue;
    outline.line(inner, `${title}:`);
    for (const [name, quantity] of Object.entries(list!).sort(([a], [b]) => (a < b ? -1 : 1)))
      outline.field(inner + 1, name, quantity);
  }
  if (container.livenessProbe) outline.line(inner, `Liveness:\t${probeText(container.livenessProbe)}`);
  if (container.readinessProbe) outline.line(inner, `Readiness:\t${probeText(container.readinessProbe)}`);
  if (container.startupProbe) outline.line(inner, `Startup:\t${probeText(container.startupProbe)}`);
  writeEnvironment(outline, inner, container, pod);
  const mounts = [...(container.volumeMounts ?? [])].sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
  outline.line(inner, `Mounts:${mounts.length === 0 ? "\t<none>" : ""}`);
  for (const { name, mountPath, readOnly, subPath } of mounts) {
    outline.line(
      inner + 1,
      `${mountPath} from ${name} (${readOnly ? "ro" : "rw"}${subPath ? `,path=${JSON.stringify(subPath)}` : ""})`,
    );
  }
  const devices = [...(container.volumeDevices ?? [])].sort((a, b) => (a.devicePath < b.devicePath ? -1 : 1));
  if (devices.length > 0) outline.line(inner, "Devices:");
  for (const { name, devicePath } of devices) outline.line(inner + 1, `${devicePath} from ${name}`);
}

function writeEnvironment(outline: Outline, level: number, container: Container, pod: Unstructured | undefined): void {
  const { env = [], envFrom = [] } = container;
  if (envFrom.length > 0) {
    outline.line(level, "Environment Variables from:");
    for (const { prefix, configMapRef, secretRef } of envFrom) {
      const [name, kind, optional] = configMapRef
        ? [configMapRef.name, "ConfigMap", configMapRef.optional]
        : [secretRef?.name, "Secret", secretRef?.optional];
      outline.line(
        level + 1,
        `${name}\t${kind}${prefix ? ` with prefix '${prefix}'` : ""}\tOptional: ${optional === true}`,
      );
    }
  }
  outline.line(level, `Environment:${env.length === 0 ? "\t<none>" : ""}`);
  for (const { name, value, valueFrom } of env) {
    if (!valueFrom) {
      for (const [i, line] of (value ?? "").split("\n").entries())
        outline.line(level + 1, i === 0 ? `${name}:\t${line}` : `\t${line}`);
      continue;
    }
    const { fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef } = valueFrom;
    if (fieldRef)
      outline.line(
        level + 1,
        `${name}:\t${fieldOf(pod, fieldRef.fieldPath)} (${fieldRef.apiVersion ?? "v1"}:${fieldRef.fieldPath})`,
      );
    else if (resourceFieldRef)
      outline.line(
        level + 1,
        `${name}:\t${pod ? amountOf(container, resourceFieldRef) : ""} (${resourceFieldRef.resource})`,
      );
    else {
      const [kind, ref] = secretKeyRef ? ["secret", secretKeyRef] : ["config map", configMapKeyRef];
      outline.line(
        level + 1,
        `${name}:\t<set to the key '${ref?.key}'${kind === "secret" ? " in secret" : " of config map"} '${ref?.name}'>${ref?.optional === undefined ? "\tOptional: false" : `\tOptional: ${ref.optional}`}`,
      );
    }
  }
}

/** What a field of the Pod's metadata holds; others are not known before the Pod runs. */
function fieldOf(pod: Unstructured | undefined, path: string): string {
  const [, field = "", key] = /^metadata\.(\w+)(?:\['(.*)'\])?$/.exec(path) ?? [];
  const value = pod?.metadata[field];
  if (key !== undefined) return (value as Record<string, string> | undefined)?.[key] ?? "";
  return typeof value === "string" ? value : "";
}

/** In units of the divisor, rounded up. */
function amountOf({ resources = {} }: Container, { resource, divisor = "1" }: { resource: string; divisor?: string }) {
  const [which, name] = cut(resource, ".");
  const amount = resources[which as "limits" | "requests"]?.[name ?? ""];
  const unit = divisor === "0" ? "1" : divisor;
  return String(Math.ceil(quantityMilliValue(amount) / quantityMilliValue(unit)));
}

function writeState(outline: Outline, level: number, title: string, state: State = {}): void {
  const { running, waiting, terminated } = state;
  if (running) {
    outline.field(level, title, "Running");
    outline.field(level + 1, "Started", rfc1123(running.startedAt));
  } else if (waiting) {
    outline.field(level, title, "Waiting");
    if (waiting.reason) outline.field(level + 1, "Reason", waiting.reason);
  } else if (terminated) {
    outline.field(level, title, "Terminated");
    if (terminated.reason) outline.field(level + 1, "Reason", terminated.reason);
    if (terminated.message) outline.field(level + 1, "Message", terminated.message);
    outline.field(level + 1, "Exit Code", String(terminated.exitCode));
    if (terminated.signal) outline.field(level + 1, "Signal", String(terminated.signal));
    outline.field(level + 1, "Started", rfc1123(terminated.startedAt));
    outline.field(level + 1, "Finished", rfc1123(terminated.finishedAt));
  } else outline.field(level, title, "Waiting");
}

function probeText(probe: Probe): string {
  const {
    initialDelaySeconds = 0,
    timeoutSeconds = 0,
    periodSeconds = 0,
    successThreshold = 0,
    failureThreshold = 0,
  } = probe;
  const times = `delay=${initialDelaySeconds}s timeout=${timeoutSeconds}s period=${periodSeconds}s #success=${successThreshold} #failure=${failureThreshold}`;
  if (probe.exec) return `exec [${(probe.exec.command ?? []).join(" ")}] ${times}`;
  if (probe.httpGet) {
    const { scheme = "HTTP", host = "", port, path = "" } = probe.httpGet;
    return `http-get ${scheme.toLowerCase()}://${host}:${port}${path.startsWith("/") ? path : `/${path}`} ${times}`;
  }
  if (probe.tcpSocket) return `tcp-socket ${probe.tcpSocket.host ?? ""}:${probe.tcpSocket.port} ${times}`;
  if (probe.grpc) return `grpc <pod>:${probe.grpc.port} ${probe.grpc.service ?? ""} ${times}`;
  return `unknown ${times}`;
}
