/** What works but is probably not meant, for `Warning:` headers. */
import type { Container, ContainerPort, PodSpec } from "../../../api/core/v1.ts";
import type { FieldPath } from "../../../apimachinery/field-error.ts";
import { Quantity } from "../../../apimachinery/quantity.ts";

const renamedLabels: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": "kubernetes.io/arch",
  "beta.kubernetes.io/os": "kubernetes.io/os",
  "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
  "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
};
const renamedSince: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": "v1.14",
  "beta.kubernetes.io/os": "v1.14",
};
const deprecatedVolumes: Readonly<Record<string, string>> = {
  gitRepo: "deprecated in v1.11, and disabled by default in v1.33+",
  scaleIO: "deprecated in v1.16, non-functional in v1.22+",
  flocker: "deprecated in v1.22, non-functional in v1.25+",
  storageos: "deprecated in v1.22, non-functional in v1.25+",
  quobyte: "deprecated in v1.22, non-functional in v1.25+",
  glusterfs: "deprecated in v1.25, non-functional in v1.26+",
  rbd: "deprecated in v1.28, non-functional in v1.31+",
  cephfs: "deprecated in v1.28, non-functional in v1.31+",
};

export function podSpecWarnings(spec: PodSpec, path: FieldPath): string[] {
  const warnings: string[] = [];
  for (const key of Object.keys(spec.nodeSelector ?? {}).sort()) {
    const renamed = renamedLabels[key];
    if (!renamed) continue;
    const at = path.child("nodeSelector").key(key);
    warnings.push(`${at}: deprecated since ${renamedSince[key] ?? "v1.17"}; use "${renamed}" instead`);
  }
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    for (const [source, text] of Object.entries(deprecatedVolumes)) {
      if (source in volume) warnings.push(`${path.child("volumes").index(index).child(source)}: ${text}`);
    }
  }
  for (const [index, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    if (!name) warnings.push(`${path.child("imagePullSecrets").index(index)}: invalid empty name ""`);
  }
  warnings.push(...repeated(spec.hostAliases, ({ ip }) => ip, path.child("hostAliases"), "ip"));
  for (const list of ["initContainers", "containers"] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      warnings.push(...containerWarnings(container, path.child(list).index(index)));
    }
  }
  warnings.push(...portWarnings(spec.containers ?? [], path.child("containers")));
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    warnings.push(
      `${path.child("terminationGracePeriodSeconds")}: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  }
  return warnings;
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

function containerWarnings(container: Container, path: FieldPath): string[] {
  const warnings: string[] = [];
  for (const list of ["limits", "requests"] as const) {
    for (const name of ["memory", "ephemeral-storage"]) {
      const amount = container.resources?.[list]?.[name];
      if (amount === undefined || Quantity.parse(amount).isInteger()) continue;
      const at = path.child("resources", list).key(name);
      warnings.push(`${at}: fractional byte value "${amount}" is invalid, must be an integer`);
    }
  }
  const defined = new Map<string, string | undefined>();
  for (const [index, { name, value }] of (container.env ?? []).entries()) {
    // Appending to a variable by naming it in its own new value is how values are built up: no accident.
    const buildsUp = value?.includes(`$(${name})`);
    if (defined.has(name) && !buildsUp) {
      const at = path.child("env").index(index);
      warnings.push(`${at}: hides previous definition of "${name}", which may be dropped when using apply`);
    }
    defined.set(name, value);
  }
  return warnings;
}

function portWarnings(containers: readonly Container[], path: FieldPath): string[] {
  const warnings: string[] = [];
  const seen = new Map<string, { at: FieldPath; port: ContainerPort }[]>();
  for (const [index, container] of containers.entries()) {
    for (const [portIndex, port] of (container.ports ?? []).entries()) {
      const at = path.index(index).child("ports").index(portIndex);
      const identity = `${port.containerPort}/${port.protocol}`;
      const others = seen.get(identity) ?? [];
      for (const other of others) {
        const kind = overlapOf(port, other.port);
        if (kind) warnings.push(`${at}: ${kind} port definition with ${other.at}`);
      }
      seen.set(identity, [...others, { at, port }]);
    }
  }
  return warnings;
}

function overlapOf(a: ContainerPort, b: ContainerPort): string | undefined {
  const [portA, portB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  const [ipA, ipB] = [a.hostIP ?? "", b.hostIP ?? ""];
  if (portA === portB && ipA === ipB) return "duplicate";
  if (portA === 0 || portB === 0) return "overlapping";
  return portA === portB && (ipA === "") !== (ipB === "") ? "dangerously ambiguous" : undefined;
}
