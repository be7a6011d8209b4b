/** What a Pod must fulfil beyond its spec, and what may change while it lives. */
import type { ContainerStatus, Pod, PodSpec } from "../../api/core/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";
import type { WriteContext } from "../../apimachinery/resource-definition.ts";
import { jsonDiff } from "../json-diff.ts";
import { ipFamilyOf, validIp } from "../validation/ip.ts";
import { each, inRangeMessage, obeys } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { internalForm } from "./internal-form.ts";
import { validForPod } from "./pod-spec/containers.ts";
import { validTolerations } from "./pod-spec/scheduling.ts";
import { validatePodSpec } from "./pod-spec/validate-pod-spec.ts";

const updatableFields = [
  "`spec.containers[*].image`",
  "`spec.initContainers[*].image`",
  "`spec.activeDeadlineSeconds`",
  "`spec.tolerations` (only additions to existing tolerations)",
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
].join(",");

export function validatePod(next: Pod, previous: Pod | undefined, context: WriteContext): FieldError[] {
  if (!previous) return validNewPod(next);
  switch (context.subresource) {
    case "ephemeralcontainers":
      return validEphemeralChange(next, previous);
    case "resize":
      return validPodAndSpec(next);
    case "":
      return validPodChange(next, previous);
    default:
      // Binding and the like say exactly what they change, and check it themselves.
      return [];
  }
}

function validPodAndSpec({ spec }: Pod): FieldError[] {
  const errors = validatePodSpec(spec, specPath);
  if (!spec.serviceAccountName) errors.push(...noTokenProjections(spec));
  errors.push(...each(spec.containers, specPath.child("containers"), validForPod));
  errors.push(...each(spec.initContainers, specPath.child("initContainers"), validForPod));
  return errors;
}

function noTokenProjections(spec: PodSpec): FieldError[] {
  return each(spec.volumes, specPath.child("volumes"), (volume, at) =>
    each(volume.projected?.sources, at.child("projected", "sources"), (source, sourcePath) =>
      source.serviceAccountToken
        ? [
            forbidden(
              sourcePath.child("serviceAccountToken"),
              "must not be specified when serviceAccountName is not set",
            ),
          ]
        : [],
    ),
  );
}

function validNewPod(pod: Pod): FieldError[] {
  const errors = validPodAndSpec(pod);
  if (pod.spec.ephemeralContainers?.length) {
    errors.push(forbidden(specPath.child("ephemeralContainers"), "cannot be set on create"));
  }
  if (pod.spec.schedulingGates?.length && pod.spec.nodeName) {
    errors.push(forbidden(specPath.child("nodeName"), "cannot be set until all schedulingGates have been cleared"));
  }
  return errors;
}

function validPodChange(next: Pod, previous: Pod): FieldError[] {
  const errors = validPodAndSpec(next);
  for (const list of ["containers", "initContainers"] as const) {
    if ((next.spec[list]?.length ?? 0) === (previous.spec[list]?.length ?? 0)) continue;
    return [...errors, forbidden(specPath.child(list), "pod updates may not add or remove containers")];
  }
  const deadline = deadlineProblem(next.spec.activeDeadlineSeconds, previous.spec.activeDeadlineSeconds);
  if (deadline) return [...errors, deadline];
  errors.push(...onlyAddedTolerations(next.spec, previous.spec));
  errors.push(...onlyRemovedGates(next.spec, previous.spec));
  const undone = withUpdatableFieldsOf(next.spec, previous.spec);
  if (previous.spec.schedulingGates?.length) errors.push(...gatedChanges(undone, previous.spec));
  if (!semanticallyEqual(undone, previous.spec)) {
    const diff = jsonDiff(internalPodSpec(previous.spec), internalPodSpec(undone));
    errors.push(forbidden(specPath, `pod updates may not change fields other than ${updatableFields}\n${diff}`));
  }
  return errors;
}

/** Upstream keeps the host's namespaces in the internal security context. */
function internalPodSpec(spec: PodSpec): unknown {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers, securityContext } = spec;
  const hostFields = { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers };
  return internalForm("PodSpec", { ...spec, securityContext: { ...hostFields, ...securityContext } });
}

const maximumSeconds = 2 ** 31 - 1;

function deadlineProblem(next: number | undefined, previous: number | undefined): FieldError | undefined {
  const path = specPath.child("activeDeadlineSeconds");
  if (next === undefined) {
    return previous === undefined
      ? undefined
      : invalid(path, null, "must not update from a positive integer to nil value");
  }
  if (next < 0 || next > maximumSeconds) return invalid(path, next, inRangeMessage(0, maximumSeconds));
  if (previous !== undefined && previous < next) {
    return invalid(path, next, "must be less than or equal to previous value");
  }
  return undefined;
}

function onlyAddedTolerations(next: PodSpec, previous: PodSpec): FieldError[] {
  const path = specPath.child("tolerations");
  const identity = ({ tolerationSeconds: _, ...rest }: NonNullable<PodSpec["tolerations"]>[number]) => rest;
  const kept = (previous.tolerations ?? []).every((old) =>
    next.tolerations?.some((toleration) => semanticallyEqual(identity(toleration), identity(old))),
  );
  if (!kept) return [forbidden(path, "existing toleration can not be modified except its tolerationSeconds")];
  return validTolerations(next.tolerations, path);
}

function onlyRemovedGates(next: PodSpec, previous: PodSpec): FieldError[] {
  const before = new Set(previous.schedulingGates?.map(({ name }) => name));
  return each(next.schedulingGates, specPath.child("schedulingGates"), ({ name }, at) =>
    before.has(name)
      ? []
      : [forbidden(at.child("name"), `only deletion is allowed, but found new scheduling gate '${name}'`)],
  );
}

/** The new spec with the fields that may change put back: what still differs may not. */
function withUpdatableFieldsOf(next: PodSpec, previous: PodSpec): PodSpec {
  const withOldImages = <T extends { image?: string }>(
    now: readonly T[] | undefined,
    before: readonly T[] | undefined,
  ) => now?.map((container, index) => ({ ...container, image: before?.[index]?.image }) as T);
  const undone: PodSpec = { ...next, containers: withOldImages(next.containers, previous.containers) ?? [] };
  const initContainers = withOldImages(next.initContainers, previous.initContainers);
  if (initContainers) undone.initContainers = initContainers;
  const oldGrace = previous.terminationGracePeriodSeconds;
  putBack(undone, previous, "activeDeadlineSeconds");
  putBack(undone, previous, "tolerations");
  putBack(undone, previous, "schedulingGates");
  if ((oldGrace ?? 0) < 0 && next.terminationGracePeriodSeconds === 1) {
    putBack(undone, previous, "terminationGracePeriodSeconds");
  }
  return undone;
}

function putBack<K extends keyof PodSpec>(target: PodSpec, source: PodSpec, field: K): void {
  if (source[field] === undefined) delete target[field];
  else target[field] = source[field];
}

/** A pod that waits at a gate may still be narrowed to fewer nodes. Puts back in `undone` what it allows. */
function gatedChanges(undone: PodSpec, previous: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  if (!semanticallyEqual(undone.nodeSelector, previous.nodeSelector)) {
    const path = specPath.child("nodeSelector");
    for (const [key, value] of Object.entries(previous.nodeSelector ?? {})) {
      if (undone.nodeSelector?.[key] === value) continue;
      errors.push(invalid(path, undone.nodeSelector ?? null, "only additions are allowed (no mutations or deletions)"));
      break;
    }
    putBack(undone, previous, "nodeSelector");
  }
  return errors;
}

function validEphemeralChange(next: Pod, previous: Pod): FieldError[] {
  const path = specPath.child("ephemeralContainers");
  const errors = validPodAndSpec(next);
  const now = new Map(next.spec.ephemeralContainers?.map((container) => [container.name, container]));
  for (const old of previous.spec.ephemeralContainers ?? []) {
    const standing = now.get(old.name);
    if (!standing) {
      errors.push(forbidden(path, `existing ephemeral containers ${JSON.stringify(old.name)} may not be removed\n`));
    } else if (!semanticallyEqual(standing, old)) {
      const diff = jsonDiff(internalForm("EphemeralContainer", old), internalForm("EphemeralContainer", standing));
      const what = `existing ephemeral containers ${JSON.stringify(old.name)} may not be changed`;
      errors.push(forbidden(path, `${what}\n${diff}`));
    }
  }
  return errors;
}

export function validatePodStatus(next: Pod, previous: Pod): FieldError[] {
  const { status } = next;
  const errors: FieldError[] = [];
  if (status.nominatedNodeName) {
    errors.push(...obeys(status.nominatedNodeName, dns1123SubdomainProblems, statusPath.child("nominatedNodeName")));
  }
  for (const list of ["containerStatuses", "initContainerStatuses"] as const) {
    const path = statusPath.child(list);
    errors.push(
      ...staysTerminated(status[list], previous.status?.[list], previous.spec.restartPolicy ?? "Always", path),
    );
  }
  errors.push(...validAddresses(status.podIPs, statusPath.child("podIPs")));
  errors.push(...validAddresses(status.hostIPs, statusPath.child("hostIPs")));
  return errors;
}

/** What ended for good does not come back. */
function staysTerminated(
  next: readonly ContainerStatus[] | undefined,
  previous: readonly ContainerStatus[] | undefined,
  restartPolicy: string,
  path: FieldPath,
): FieldError[] {
  if (restartPolicy === "Always") return [];
  return (previous ?? []).flatMap((old, index) => {
    const ended = old.state?.terminated;
    if (!ended || (ended.exitCode !== 0 && restartPolicy === "OnFailure")) return [];
    const now = next?.find(({ name }) => name === old.name);
    if (!now || now.state?.terminated) return [];
    return [forbidden(path.index(index).child("state"), "may not be transitioned to non-terminated state")];
  });
}

function validAddresses(addresses: readonly { ip: string }[] | undefined, path: FieldPath): FieldError[] {
  const errors = each(addresses, path, ({ ip }, at) => validIp(ip, at));
  if (errors.length > 0 || !addresses || addresses.length < 2) return errors;
  const families = new Set(addresses.map(({ ip }) => ipFamilyOf(ip)));
  if (addresses.length === families.size) return errors;
  return [invalid(path, addresses, "may specify no more than one IP for each IP family")];
}
