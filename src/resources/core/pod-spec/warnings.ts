/** What works but is probably not meant, for `Warning:` headers. In upstream's order. */
import type { Affinity, Container, ContainerPort, PodAffinity, PodSpec } from "../../../api/core/v1.ts";
import type { ObjectMeta } from "../../../api/meta/v1.ts";
import type { FieldPath } from "../../../apimachinery/field-error.ts";
import { dns1123LabelProblems } from "../../../apimachinery/name-validation.ts";
import { ipWarnings } from "../../validation/ip.ts";
import { keyWarnings, nodeLabelWarnings, nodeTermWarnings } from "../deprecated-node-labels.ts";
import { fractionWarnings } from "../fraction-warnings.ts";
import { eachContainer } from "./each-container.ts";
import { volumeWarnings } from "./volume-warnings.ts";

const requiredField = "requiredDuringSchedulingIgnoredDuringExecution";
const preferredField = "preferredDuringSchedulingIgnoredDuringExecution";
const deprecatedAnnotations: Readonly<Record<string, string>> = {
  "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
  "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
  "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
};
const podSeccomp = "seccomp.security.alpha.kubernetes.io/pod";
const containerSeccomp = "container.seccomp.security.alpha.kubernetes.io/";
const appArmor = "container.apparmor.security.beta.kubernetes.io/";
const countedInBytes = ["memory", "ephemeral-storage"];

/** Pods' hostnames are made of names that may hold more than a hostname may. `uses`: what the name is used in. */
export function nameWarnings(objectName: string | undefined, uses: string): string[] {
  const problems = dns1123LabelProblems(objectName ?? "");
  if (problems.length === 0) return [];
  const detail = `which can result in surprising behavior; a DNS label is recommended: [${problems.join(" ")}]`;
  return [`metadata.name: this is used in ${uses}, ${detail}`];
}

/** `path`: of the Pod or of its template. A Pod's AppArmor annotations are spoken of when they become fields. */
export function podWarnings(
  { metadata, spec }: { metadata?: Pick<ObjectMeta, "annotations"> | undefined; spec: PodSpec },
  path: FieldPath,
  isTemplate: boolean,
): string[] {
  const annotations = metadata?.annotations ?? {};
  const annotationsPath = path.child("metadata", "annotations");
  const at = path.child("spec");
  return [
    ...placementWarnings(spec, at),
    ...Object.entries(deprecatedAnnotations).flatMap(([key, text]) =>
      annotations[key] === undefined ? [] : [`${annotationsPath.key(key)}: ${text}`],
    ),
    ...volumeWarnings(spec.volumes, at.child("volumes")),
    ...repeated(spec.hostAliases, ({ ip }) => ip, at.child("hostAliases"), "ip"),
    ...repeated(spec.imagePullSecrets, ({ name }) => name ?? "", at.child("imagePullSecrets"), "name"),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name }, index) =>
      name ? [] : [`${at.child("imagePullSecrets").index(index).child("name")}: invalid empty name ""`],
    ),
    ...fractionWarnings(spec.overhead, countedInBytes, at.child("overhead")),
    ...(spec.securityContext?.seccompProfile ? [] : seccompWarnings(annotations, podSeccomp, annotationsPath)),
    ...eachContainer(spec, at, (container, containerPath) => [
      ...profileWarnings(spec, container, annotations, annotationsPath, isTemplate),
      ...containerWarnings(container, containerPath),
    ]),
    ...portWarnings(spec, at),
    ...portNameWarnings(spec, at),
    ...((spec.terminationGracePeriodSeconds ?? 0) < 0
      ? [
          `${at.child("terminationGracePeriodSeconds")}: must be >= 0; negative values are invalid and will be treated as 1`,
        ]
      : []),
    ...affinityWarnings(spec.affinity, at.child("affinity")),
    ...(spec.dnsConfig?.nameservers ?? []).flatMap((server, index) =>
      ipWarnings(server, at.child("dnsConfig", "nameservers").index(index)),
    ),
    ...(spec.hostAliases ?? []).flatMap(({ ip }, index) =>
      ipWarnings(ip, at.child("hostAliases").index(index).child("ip")),
    ),
  ];
}

function placementWarnings({ nodeSelector, affinity, topologySpreadConstraints }: PodSpec, path: FieldPath): string[] {
  const { nodeAffinity } = affinity ?? {};
  const nodePath = path.child("affinity", "nodeAffinity");
  return [
    ...nodeLabelWarnings(nodeSelector, (label) => path.child("nodeSelector").key(label)),
    ...(nodeAffinity?.[requiredField]?.nodeSelectorTerms ?? []).flatMap((term, index) =>
      nodeTermWarnings(term, nodePath.child(requiredField, "nodeSelectorTerms").index(index), false),
    ),
    ...(nodeAffinity?.[preferredField] ?? []).flatMap(({ preference }, index) =>
      nodeTermWarnings(preference, nodePath.child(preferredField).index(index).child("preference"), true),
    ),
    ...(topologySpreadConstraints ?? []).flatMap(({ topologyKey, labelSelector }, index) => {
      const at = path.child("topologySpreadConstraints").index(index);
      return [
        ...keyWarnings(topologyKey, at.child("topologyKey")),
        ...selectorWarnings(labelSelector, at.child("labelSelector")),
      ];
    }),
  ];
}

/** A selector that is not there chooses nothing, while an empty one chooses everything. */
function selectorWarnings(selector: object | undefined | null, path: FieldPath): string[] {
  return selector ? [] : [`${path}: a null labelSelector results in matching no pod`];
}

function affinityWarnings(affinity: Affinity | undefined, path: FieldPath): string[] {
  const terms = (one: PodAffinity | undefined, at: FieldPath) => [
    ...(one?.[requiredField] ?? []).flatMap(({ labelSelector }, index) =>
      selectorWarnings(labelSelector, at.child(requiredField).index(index).child("labelSelector")),
    ),
    ...(one?.[preferredField] ?? []).flatMap(({ podAffinityTerm }, index) =>
      selectorWarnings(
        podAffinityTerm?.labelSelector,
        at.child(preferredField).index(index).child("podAffinityTerm", "labelSelector"),
      ),
    ),
  ];
  return [
    ...terms(affinity?.podAffinity, path.child("podAffinity")),
    ...terms(affinity?.podAntiAffinity, path.child("podAntiAffinity")),
  ];
}

function repeated<T>(
  items: readonly T[] | undefined,
  identity: (item: T) => string,
  path: FieldPath,
  field: string,
): string[] {
  const first = new Set<string>();
  return (items ?? []).flatMap((item, index) => {
    const seen = first.has(identity(item));
    first.add(identity(item));
    return seen ? [`${path.index(index).child(field)}: duplicate ${field} "${identity(item)}"`] : [];
  });
}

type Annotations = Readonly<Record<string, string>>;

function seccompWarnings(annotations: Annotations, key: string, path: FieldPath): string[] {
  if (annotations[key] === undefined) return [];
  return [`${path.key(key)}: non-functional in v1.27+; use the "seccompProfile" field instead`];
}

function profileWarnings(
  spec: PodSpec,
  { name, securityContext }: Container,
  annotations: Annotations,
  path: FieldPath,
  isTemplate: boolean,
): string[] {
  const warnings = securityContext?.seccompProfile ? [] : seccompWarnings(annotations, containerSeccomp + name, path);
  const hasField = securityContext?.appArmorProfile ?? spec.securityContext?.appArmorProfile;
  const key = appArmor + name;
  if (isTemplate && !hasField && annotations[key] !== undefined) warnings.push(appArmorWarning(path.key(key)));
  return warnings;
}

export function appArmorWarning(path: FieldPath): string {
  return `${path}: deprecated since v1.30; use the "appArmorProfile" field instead`;
}

function containerWarnings({ resources, env }: Container, path: FieldPath): string[] {
  const warnings = countedInBytes.flatMap((name) =>
    (["limits", "requests"] as const).flatMap((list) =>
      fractionWarnings(resources?.[list], [name], path.child("resources", list)),
    ),
  );
  const defined = new Set<string>();
  for (const [index, { name, value = "", valueFrom }] of (env ?? []).entries()) {
    // Appending to a variable by naming it in its own new value is how values are built up: no accident.
    const reference = `$(${name})`;
    const buildsUp = !valueFrom && value !== reference && value.includes(reference);
    if (defined.has(name) && !buildsUp) {
      const at = path.child("env").index(index);
      warnings.push(`${at}: hides previous definition of "${name}", which may be dropped when using apply`);
    }
    defined.add(name);
  }
  return warnings;
}

function portWarnings(spec: PodSpec, path: FieldPath): string[] {
  const seen = new Map<string, { at: FieldPath; port: ContainerPort }[]>();
  return eachContainer(spec, path, ({ ports }, containerPath) =>
    (ports ?? []).flatMap((port, index) => {
      const at = containerPath.child("ports").index(index);
      const warnings = port.hostIP && !port.hostPort ? [`${at}: hostIP set without hostPort: ${portText(port)}`] : [];
      const identity = `${port.containerPort}/${port.protocol}`;
      const others = seen.get(identity) ?? [];
      for (const other of others) {
        const kind = overlapOf(port, other.port);
        if (kind) warnings.push(`${at}: ${kind} port definition with ${other.at}`);
      }
      seen.set(identity, [...others, { at, port }]);
      return warnings;
    }),
  );
}

function portText({ name, hostPort, containerPort, protocol, hostIP }: ContainerPort): string {
  const fields = `HostPort:${hostPort ?? 0} ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}`;
  return `{Name:${name ?? ""} ${fields}}`;
}

/** Within one container the same name twice is an error; who asks for a port by name gets the first of several containers'. */
function portNameWarnings(spec: PodSpec, path: FieldPath): string[] {
  const first = new Map<string, FieldPath>();
  return eachContainer(spec, path, (container, containerPath) => {
    if (spec.initContainers?.includes(container) && container.restartPolicy !== "Always") return [];
    return (container.ports ?? []).flatMap(({ name }, index) => {
      if (!name) return [];
      const at = containerPath.child("ports").index(index);
      const other = first.get(name);
      first.set(name, other ?? at);
      if (!other) return [];
      const detail = `services and probes that select ports by name will use ${other}`;
      return [`${at}: duplicate port name ${JSON.stringify(name)} with ${other}, ${detail}`];
    });
  });
}

function overlapOf(a: ContainerPort, b: ContainerPort): string | undefined {
  const [portA, portB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  const [ipA, ipB] = [a.hostIP ?? "", b.hostIP ?? ""];
  if (portA === portB && ipA === ipB) return "duplicate";
  if (portA === 0 || portB === 0) return "overlapping";
  return portA === portB && (ipA === "") !== (ipB === "") ? "dangerously ambiguous" : undefined;
}
