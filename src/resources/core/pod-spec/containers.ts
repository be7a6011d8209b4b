/** The three lists of containers that a pod has: those of its work, those that prepare it, and those added to look into it. */
import type { Container, EphemeralContainer, PodSpec } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notFound,
  required,
} from "../../../apimachinery/field-error.ts";
import { each, requiredOneOf, validDnsLabel } from "../../validation/rules.ts";
import { validEnvironment, validEnvironmentSources } from "./environment.ts";
import { distinctHostPorts, validContainerPorts } from "./ports.ts";
import { validLifecycle, validProbes } from "./probes.ts";
import { validContainerResources } from "./resources.ts";
import { validContainerRestarts, validResizePolicy } from "./restart-rules.ts";
import { validSecurityContext } from "./security-context.ts";
import { validVolumeDevices, validVolumeMounts } from "./volume-mounts.ts";
import type { ValidatedVolumes } from "./volumes.ts";

/** What the containers of one pod are checked against. */
export interface ContainerSurroundings {
  volumes: ValidatedVolumes;
  claimNames: ReadonlySet<string>;
  graceSeconds: number;
  usesHostUsers: boolean;
  /** The pod's. */
  restartPolicy: string | undefined;
}

export function validContainers(spec: PodSpec, around: ContainerSurroundings, path: FieldPath): FieldError[] {
  if (!spec.containers?.length) return [required(path)];
  const names = new Set<string>();
  const errors = each(spec.containers, path, (container, at) => {
    const found = validContainer(container, around, at);
    if (names.has(container.name)) found.push(duplicate(at.child("name"), container.name));
    names.add(container.name);
    found.push(...validLifecycle(container.lifecycle, around.graceSeconds, at.child("lifecycle")));
    found.push(...validProbes(container, around.graceSeconds, at));
    found.push(...validContainerRestarts(container, at));
    return found;
  });
  return [...errors, ...distinctHostPorts(spec.containers, path)];
}

export function validInitContainers(spec: PodSpec, around: ContainerSurroundings, path: FieldPath): FieldError[] {
  const names = new Set(spec.containers?.map(({ name }) => name));
  return each(spec.initContainers, path, (container, at) => {
    const found = validContainer(container, around, at);
    const restarts = container.restartPolicy === "Always";
    found.push(...validContainerRestarts(container, at));
    if (names.has(container.name)) found.push(duplicate(at.child("name"), container.name));
    if (container.name) names.add(container.name);
    found.push(...distinctHostPorts([container], path));
    if (restarts) {
      found.push(...validLifecycle(container.lifecycle, around.graceSeconds, at.child("lifecycle")));
      found.push(...validProbes(container, around.graceSeconds, at));
      return found;
    }
    for (const field of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const) {
      if (!container[field]) continue;
      found.push(forbidden(at.child(field), "may not be set for init containers without restartPolicy=Always"));
    }
    found.push(
      ...each(container.resizePolicy, at.child("resizePolicy"), ({ restartPolicy }, resizePath) => {
        if (restartPolicy !== "RestartContainer") return [];
        const detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
        return [invalid(resizePath.child("restartPolicy"), restartPolicy, detail)];
      }),
    );
    return found;
  });
}

/** Fields that would promise what a container added to a running pod cannot keep. */
const notForEphemeral = [
  "ports",
  "resources",
  "resizePolicy",
  "restartPolicy",
  "restartPolicyRules",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
] as const;

export function validEphemeralContainers(spec: PodSpec, around: ContainerSurroundings, path: FieldPath): FieldError[] {
  const others = [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ name }) => name);
  const names = new Set(others);
  return each(spec.ephemeralContainers, path, (container, at) => {
    const found = validContainer(container as Container, around, at);
    found.push(...validForPod(container, at));
    if (names.has(container.name)) found.push(duplicate(at.child("name"), container.name));
    names.add(container.name);
    if (container.targetContainerName && !others.includes(container.targetContainerName)) {
      found.push(notFound(at.child("targetContainerName"), container.targetContainerName));
    }
    for (const field of notForEphemeral) {
      if (!isEmpty(container[field]))
        found.push(forbidden(at.child(field), "cannot be set for an Ephemeral Container"));
    }
    for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
      const mountPath = at.child("volumeMounts").index(index);
      for (const field of ["subPath", "subPathExpr"] as const) {
        if (mount[field]) found.push(forbidden(mountPath.child(field), "cannot be set for an Ephemeral Container"));
      }
    }
    return found;
  });
}

function isEmpty(value: object | string | undefined): boolean {
  return !value || (typeof value === "object" && Object.keys(value).length === 0);
}

/** Pods are checked more strictly than templates, which were let through before. */
export function validForPod({ image }: Pick<Container | EphemeralContainer, "image">, path: FieldPath): FieldError[] {
  if (!image || image === image.trim()) return [];
  return [invalid(path.child("image"), image, "must not have leading or trailing whitespace")];
}

function validContainer(container: Container, around: ContainerSurroundings, path: FieldPath): FieldError[] {
  const { volumes } = around;
  return [
    ...(container.name ? validDnsLabel(container.name, path.child("name")) : [required(path.child("name"))]),
    ...(container.image ? [] : [required(path.child("image"))]),
    ...requiredOneOf(
      container.terminationMessagePolicy,
      ["File", "FallbackToLogsOnError"],
      path.child("terminationMessagePolicy"),
    ),
    ...validContainerPorts(container.ports, path.child("ports")),
    ...validEnvironment(container.env, path.child("env")),
    ...validEnvironmentSources(container.envFrom, path.child("envFrom")),
    ...validVolumeMounts(container, volumes.names, path.child("volumeMounts")),
    ...validVolumeDevices(container, volumes.names, volumes.claims, path.child("volumeDevices")),
    ...requiredOneOf(container.imagePullPolicy, ["Always", "IfNotPresent", "Never"], path.child("imagePullPolicy")),
    ...validContainerResources(container.resources, around.claimNames, path.child("resources")),
    ...validResizePolicy(container.resizePolicy, around.restartPolicy, path.child("resizePolicy")),
    ...validSecurityContext(container.securityContext, around.usesHostUsers, path.child("securityContext")),
  ];
}
