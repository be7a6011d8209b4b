/** What a pod spec must fulfil, in a Pod or in a template, in upstream's words and order. */
import type { PodSpec, PodTemplateSpec } from "../../../api/core/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  notSupported,
  required,
} from "../../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../../apimachinery/name-validation.ts";
import { validateAnnotations, validateLabels } from "../../../apimachinery/object-meta-validation.ts";
import { each, inRange, obeys, oneOf, optionalOneOf, validDnsLabel } from "../../validation/rules.ts";
import { validAmount, validContainerResourceName } from "../resource-names.ts";
import {
  type ContainerSurroundings,
  validContainers,
  validEphemeralContainers,
  validInitContainers,
} from "./containers.ts";
import { validDnsConfig, validDnsPolicy, validHostAliases } from "./dns.ts";
import { matchingHostPorts } from "./ports.ts";
import { validContainerResources } from "./resources.ts";
import { validAffinity, validSchedulingGates, validTolerations, validTopologySpread } from "./scheduling.ts";
import { validPodSecurityContext } from "./security-context.ts";
import { validateVolumes } from "./volumes.ts";

const maximumSeconds = 2 ** 31 - 1;

export function validatePodSpec(spec: PodSpec, path: FieldPath): FieldError[] {
  const volumes = validateVolumes(spec.volumes, path.child("volumes"));
  const around: ContainerSurroundings = {
    volumes,
    claimNames: new Set(spec.resourceClaims?.map(({ name }) => name)),
    graceSeconds: spec.terminationGracePeriodSeconds ?? 0,
    usesHostUsers: spec.hostUsers ?? true,
  };
  return [
    ...volumes.errors,
    ...validContainers(spec, around, path.child("containers")),
    ...validInitContainers(spec, around, path.child("initContainers")),
    ...validEphemeralContainers(spec, around, path.child("ephemeralContainers")),
    ...(spec.resources ? validContainerResources(spec.resources, around.claimNames, path.child("resources")) : []),
    ...(spec.hostNetwork ? matchingHostPorts(spec.containers ?? [], path.child("containers")) : []),
    ...validRestartPolicy(spec.restartPolicy, path.child("restartPolicy")),
    ...validDnsPolicy(spec.dnsPolicy, path.child("dnsPolicy")),
    ...validateLabels(spec.nodeSelector, path.child("nodeSelector")),
    ...validPodSecurityContext(spec, path),
    ...validAffinity(spec.affinity, path.child("affinity")),
    ...validDnsConfig(spec, path.child("dnsConfig")),
    ...each(spec.readinessGates, path.child("readinessGates"), ({ conditionType }, at) =>
      obeys(conditionType, qualifiedNameProblems, at.child("conditionType")),
    ),
    ...validSchedulingGates(spec.schedulingGates, path.child("schedulingGates")),
    ...validTopologySpread(spec.topologySpreadConstraints, path.child("topologySpreadConstraints")),
    ...validHostUsers(spec, path),
    ...validNames(spec, path),
    ...inRange(spec.activeDeadlineSeconds, 1, maximumSeconds, path.child("activeDeadlineSeconds")),
    ...(spec.hostname ? validDnsLabel(spec.hostname, path.child("hostname")) : []),
    ...(spec.subdomain ? validDnsLabel(spec.subdomain, path.child("subdomain")) : []),
    ...validTolerations(spec.tolerations, path.child("tolerations")),
    ...validHostAliases(spec.hostAliases, path.child("hostAliases")),
    ...optionalOneOf(spec.preemptionPolicy, ["PreemptLowerPriority", "Never"], path.child("preemptionPolicy")),
    ...validOverhead(spec, path.child("overhead")),
    ...validOs(spec, path.child("os")),
  ];
}

function validRestartPolicy(policy: string | undefined, path: FieldPath): FieldError[] {
  return policy ? oneOf(policy, ["Always", "OnFailure", "Never"], path) : [required(path)];
}

function validHostUsers(spec: PodSpec, path: FieldPath): FieldError[] {
  if (spec.hostUsers !== false) return [];
  const at = path.child("hostUsers");
  const errors: FieldError[] = [];
  if (spec.hostNetwork) errors.push(forbidden(at, "when `hostNetwork` is true"));
  if (spec.hostPID) errors.push(forbidden(path.child("HostPID"), "when `hostUsers` is false"));
  if (spec.hostIPC) errors.push(forbidden(path.child("HostIPC"), "when `hostUsers` is false"));
  return errors;
}

function validNames(spec: PodSpec, path: FieldPath): FieldError[] {
  const fields = ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] as const;
  return fields.flatMap((field) =>
    spec[field] ? obeys(spec[field], dns1123SubdomainProblems, path.child(field)) : [],
  );
}

function validOverhead({ overhead }: PodSpec, path: FieldPath): FieldError[] {
  return Object.entries(overhead ?? {}).flatMap(([name, amount]) => [
    ...validContainerResourceName(name, path.child("limits").key(name)),
    ...validAmount(name, amount, path.child("limits").key(name)),
  ]);
}

function validOs({ os }: PodSpec, path: FieldPath): FieldError[] {
  if (!os) return [];
  if (!os.name) return [required(path.child("name"), "cannot be empty")];
  return os.name === "linux" || os.name === "windows" ? [] : [notSupported(path, os.name, ["linux", "windows"])];
}

export function validatePodTemplate(template: PodTemplateSpec, path: FieldPath): FieldError[] {
  const specPath = path.child("spec");
  const errors = [
    ...validateLabels(template.metadata?.labels, path.child("metadata", "labels")),
    ...validateAnnotations(template.metadata?.annotations, path.child("metadata", "annotations")),
    ...validatePodSpec(template.spec ?? { containers: [] }, specPath),
  ];
  if (template.spec?.ephemeralContainers?.length) {
    errors.push(forbidden(specPath.child("ephemeralContainers"), "ephemeral containers not allowed in pod template"));
  }
  return errors;
}
