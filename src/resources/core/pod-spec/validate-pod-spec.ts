/** What a pod spec must fulfil, in a Pod or in a template, in upstream's words and order. */
import type { PodSpec, PodTemplateSpec } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from "../../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../../apimachinery/name-validation.ts";
import { validateAnnotations, validateLabels } from "../../../apimachinery/object-meta-validation.ts";
import { each, inRange, obeys, oneOf, requiredOneOf, validDnsLabel } from "../../validation/rules.ts";
import { internalForm } from "../internal-form.ts";
import { validPodAnnotations, validProfileAgreement } from "./annotations.ts";
import {
  type ContainerSurroundings,
  validContainers,
  validEphemeralContainers,
  validInitContainers,
} from "./containers.ts";
import { validDnsConfig, validDnsPolicy, validHostAliases } from "./dns.ts";
import { eachContainer } from "./each-container.ts";
import { validFileReferences } from "./environment.ts";
import { matchingHostPorts } from "./ports.ts";
import { validContainerResources, validPodResources } from "./resources.ts";
import { validAffinity, validSchedulingGates, validTolerations, validTopologySpread } from "./scheduling.ts";
import { validPodSecurityContext } from "./security-context.ts";
import { validateVolumes } from "./volumes.ts";
import { validForLinux, validForWindows, validHostProcesses } from "./windows.ts";

const maximumSeconds = 2 ** 31 - 1;
const maximumHostnameLength = 64;

/** `podName`: of a pod itself; what pods are made from has none, and is let through where the pod decides. */
export function validatePodSpec(spec: PodSpec, path: FieldPath, podName?: string): FieldError[] {
  const volumes = validateVolumes(spec.volumes, path.child("volumes"), podName);
  const around: ContainerSurroundings = {
    volumes,
    claimNames: new Set(spec.resourceClaims?.map(({ name }) => name)),
    graceSeconds: spec.terminationGracePeriodSeconds ?? 0,
    usesHostUsers: spec.hostUsers ?? true,
    restartPolicy: spec.restartPolicy,
  };
  return [
    ...volumes.errors,
    ...validResourceClaims(spec.resourceClaims, path.child("resourceClaims")),
    ...validContainers(spec, around, path.child("containers")),
    ...validInitContainers(spec, around, path.child("initContainers")),
    ...validEphemeralContainers(spec, around, path.child("ephemeralContainers")),
    ...validPodResources(spec, path.child("resources")),
    ...(spec.hostNetwork
      ? matchingHostPorts(spec.containers ?? [], path.child("containers"), podName !== undefined)
      : []),
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
    ...validHostProcesses(spec, path),
    ...validHostUsers(spec, path),
    ...validHostname(spec, path.child("hostnameOverride")),
    ...validNames(spec, ["serviceAccountName", "nodeName"], path),
    ...inRange(spec.activeDeadlineSeconds, 1, maximumSeconds, path.child("activeDeadlineSeconds")),
    ...(spec.hostname ? validDnsLabel(spec.hostname, path.child("hostname")) : []),
    ...(spec.subdomain ? validDnsLabel(spec.subdomain, path.child("subdomain")) : []),
    ...validTolerations(spec.tolerations, path.child("tolerations")),
    ...validHostAliases(spec.hostAliases, path.child("hostAliases")),
    ...validNames(spec, ["priorityClassName", "runtimeClassName"], path),
    ...(spec.preemptionPolicy === undefined
      ? []
      : requiredOneOf(spec.preemptionPolicy, ["PreemptLowerPriority", "Never"], path.child("preemptionPolicy"))),
    ...validContainerResources({ limits: spec.overhead }, new Set(), path.child("overhead")),
    ...validOs(spec, path),
    ...validFileReferences(spec, path),
  ];
}

function validRestartPolicy(policy: string | undefined, path: FieldPath): FieldError[] {
  return policy ? oneOf(policy, ["Always", "OnFailure", "Never"], path) : [required(path)];
}

function validHostUsers(spec: PodSpec, path: FieldPath): FieldError[] {
  if (spec.hostUsers !== false) return [];
  const detail = "when `hostUsers` is false";
  const errors: FieldError[] = [];
  if (spec.hostNetwork) errors.push(forbidden(path.child("hostNetwork"), detail));
  if (spec.hostPID) errors.push(forbidden(path.child("HostPID"), detail));
  if (spec.hostIPC) errors.push(forbidden(path.child("HostIPC"), detail));
  return [
    ...errors,
    ...eachContainer(spec, path, ({ volumeDevices }, at) =>
      volumeDevices?.length ? [forbidden(at.child("volumeDevices"), detail)] : [],
    ),
  ];
}

function validHostname(spec: PodSpec, path: FieldPath): FieldError[] {
  const hostname = spec.hostnameOverride;
  if (hostname === undefined) return [];
  const errors: FieldError[] = [];
  if (spec.setHostnameAsFQDN) errors.push(forbidden(path, "may not be specified when setHostnameAsFQDN is true"));
  if (spec.hostNetwork) errors.push(forbidden(path, "may not be specified when hostNetwork is true"));
  if (hostname.length > maximumHostnameLength) errors.push(tooLong(path, maximumHostnameLength));
  return [...errors, ...obeys(hostname, dns1123SubdomainProblems, path)];
}

function validResourceClaims(claims: PodSpec["resourceClaims"], path: FieldPath): FieldError[] {
  const names = new Set<string>();
  return each(claims, path, (claim, at) => {
    const errors: FieldError[] = [];
    const namePath = at.child("name");
    if (!claim.name) errors.push(required(namePath));
    else if (names.has(claim.name)) errors.push(duplicate(namePath, claim.name));
    else errors.push(...validDnsLabel(claim.name, namePath));
    names.add(claim.name);
    const fields = ["resourceClaimName", "resourceClaimTemplateName"] as const;
    const given = fields.filter((field) => claim[field] !== undefined);
    const shown = internalForm("PodResourceClaim", claim);
    if (given.length === 2) {
      const detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
      errors.push(invalid(at, shown, detail));
    }
    if (given.length === 0) {
      errors.push(invalid(at, shown, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"));
    }
    return [...errors, ...given.flatMap((field) => obeys(claim[field]!, dns1123SubdomainProblems, at.child(field)))];
  });
}

type NameField = "serviceAccountName" | "nodeName" | "priorityClassName" | "runtimeClassName";

function validNames(spec: PodSpec, fields: readonly NameField[], path: FieldPath): FieldError[] {
  return fields.flatMap((field) => {
    const name = spec[field];
    // An empty runtime class is one that is named, and cannot exist.
    const isGiven = field === "runtimeClassName" ? name !== undefined : !!name;
    return isGiven ? obeys(name!, dns1123SubdomainProblems, path.child(field)) : [];
  });
}

function validOs(spec: PodSpec, specPath: FieldPath): FieldError[] {
  const { os } = spec;
  const path = specPath.child("os");
  if (!os) return [];
  switch (os.name) {
    case undefined:
    case "":
      return [required(path.child("name"), "cannot be empty")];
    case "linux":
      return validForLinux(spec, specPath);
    case "windows":
      return validForWindows(spec, specPath);
    default:
      return [notSupported(path, os.name, ["linux", "windows"])];
  }
}

export function validatePodTemplate(template: PodTemplateSpec, path: FieldPath): FieldError[] {
  const specPath = path.child("spec");
  const spec = template.spec ?? { containers: [] };
  const annotations = template.metadata?.annotations;
  const errors = [
    ...validateLabels(template.metadata?.labels, path.child("labels")),
    ...validateAnnotations(annotations, path.child("annotations")),
    ...validPodAnnotations(annotations, spec, path.child("annotations")),
    ...validatePodSpec(spec, specPath),
    ...validProfileAgreement(annotations, spec, specPath),
  ];
  if (template.spec?.ephemeralContainers?.length) {
    errors.push(forbidden(specPath.child("ephemeralContainers"), "ephemeral containers not allowed in pod template"));
  }
  return errors;
}
