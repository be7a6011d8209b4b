/** What a Pod must fulfil beyond its spec, and what may change while it lives. */
import type { Container, ContainerStatus, NodeAffinity, NodeSelectorTerm, Pod, PodSpec } from "../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  metadata as metadataPath,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { asStored, withEmptiesOf } from "../../apimachinery/given-empties.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import type { WriteContext } from "../../apimachinery/resource-definition.ts";
import { jsonDiff } from "../json-diff.ts";
import { ipFamilyOf, validIp } from "../validation/ip.ts";
import { each, inRangeMessage, obeys } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { validContainerStatuses } from "./container-status-validation.ts";
import { internalForm, internalPodSpec } from "./internal-form.ts";
import { validResize } from "./pod-resize.ts";
import {
  mirrorAnnotation,
  validAnnotationChange,
  validPodAnnotations,
  validProfileAgreement,
} from "./pod-spec/annotations.ts";
import { validForPod } from "./pod-spec/containers.ts";
import { validTolerations } from "./pod-spec/scheduling.ts";
import { validatePodSpec } from "./pod-spec/validate-pod-spec.ts";

const annotationsPath = metadataPath.child("annotations");
const hostIpsPath = statusPath.child("hostIPs");
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
      return validResize(next, previous, validPodAndSpec(next));
    case "":
      return validPodChange(next, previous);
    default:
      // Binding and the like say exactly what they change, and check it themselves.
      return [];
  }
}

function validPodAndSpec({ metadata, spec }: Pod): FieldError[] {
  const errors = [
    ...validPodAnnotations(metadata.annotations, spec, annotationsPath),
    ...validatePodSpec(spec, specPath, metadata.name),
  ];
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
  return [...errors, ...validProfileAgreement(pod.metadata.annotations, pod.spec, specPath)];
}

/** Upstream checks the annotations on their own once more when they may have changed. */
function validMetadataChange({ metadata, spec }: Pod, previous: Pod): FieldError[] {
  return [
    ...validAnnotationChange(metadata.annotations, previous.metadata.annotations, annotationsPath),
    ...validPodAnnotations(metadata.annotations, spec, annotationsPath),
  ];
}

function validPodChange(next: Pod, previous: Pod): FieldError[] {
  const errors = [...validPodAndSpec(next), ...validMetadataChange(next, previous)];
  for (const list of ["containers", "initContainers"] as const) {
    const path = specPath.child(list);
    if ((next.spec[list]?.length ?? 0) !== (previous.spec[list]?.length ?? 0)) {
      return [...errors, forbidden(path, "pod updates may not add or remove containers")];
    }
    errors.push(
      ...each(next.spec[list], path, (container, at) => [
        ...(container.image ? [] : [required(at.child("image"))]),
        ...validForPod(container, at),
      ]),
    );
  }
  const deadline = deadlineProblem(next.spec.activeDeadlineSeconds, previous.spec.activeDeadlineSeconds);
  if (deadline) errors.push(deadline);
  if (deadline && next.spec.activeDeadlineSeconds !== undefined) return errors;
  errors.push(...onlyAddedTolerations(next.spec, previous.spec));
  errors.push(...onlyRemovedGates(next.spec, previous.spec));
  const undone = withUpdatableFieldsOf(next.spec, previous.spec);
  if (previous.spec.schedulingGates?.length) errors.push(...gatedChanges(undone, previous.spec));
  if (!semanticallyEqual(undone, previous.spec)) {
    const diff = jsonDiff(internalPodSpec(asStored(previous.spec)), internalPodSpec(undone));
    errors.push(forbidden(specPath, `pod updates may not change fields other than ${updatableFields}\n${diff}`));
  }
  return errors;
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
  ) => now?.map((container, index) => withEmptiesOf({ ...container, image: before?.[index]?.image } as T, container));
  const undone: PodSpec = { ...next, containers: withOldImages(next.containers, previous.containers) ?? [] };
  const initContainers = withOldImages(next.initContainers, previous.initContainers);
  if (initContainers) undone.initContainers = initContainers;
  withEmptiesOf(undone, next, ["initContainers", "tolerations", "schedulingGates"]);
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
      const detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
      errors.push(invalid(path, undone.nodeSelector ?? null, detail));
      break;
    }
    putBack(undone, previous, "nodeSelector");
  }
  const [now, before] = [undone.affinity?.nodeAffinity, previous.affinity?.nodeAffinity];
  if (!now !== !before || !semanticallyEqual(now, before)) {
    errors.push(...narrowerTerms(now, before));
    const { nodeAffinity: _, ...others } = undone.affinity ?? {};
    if (before) undone.affinity = { ...others, nodeAffinity: before };
    else if (!previous.affinity && Object.keys(others).length === 0) delete undone.affinity;
    else undone.affinity = others;
  }
  return errors;
}

/** Terms are alternatives: more of them would widen the choice, more requirements in one narrow it. */
function narrowerTerms(next: NodeAffinity | undefined, previous: NodeAffinity | undefined): FieldError[] {
  const before = previous?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  if (before.length === 0) return [];
  const now = next?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const path = specPath.child(
    "affinity",
    "nodeAffinity",
    "requiredDuringSchedulingIgnoredDuringExecution",
    "nodeSelectorTerms",
  );
  const shown = now.map((term) => internalForm("NodeSelectorTerm", term));
  if (now.length !== before.length) {
    const detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
    return [invalid(path, now.length === 0 ? null : shown, detail)];
  }
  return before.flatMap((old, index) =>
    onlyAdds(now[index]!, old)
      ? []
      : [invalid(path.index(index), shown[index], "only additions are allowed (no mutations or deletions)")],
  );
}

function onlyAdds(next: NodeSelectorTerm, previous: NodeSelectorTerm): boolean {
  const lists = ["matchExpressions", "matchFields"] as const;
  // A term that asks for nothing matches nothing: adding to it would widen it.
  if (lists.every((list) => !previous[list]?.length)) return lists.every((list) => !next[list]?.length);
  return lists.every((list) => {
    const before = previous[list] ?? [];
    return semanticallyEqual((next[list] ?? []).slice(0, before.length), before);
  });
}

function validEphemeralChange(next: Pod, previous: Pod): FieldError[] {
  const path = specPath.child("ephemeralContainers");
  if (previous.metadata.annotations?.[mirrorAnnotation] !== undefined) {
    const refusal = forbidden(FieldPath.root.index(0), "static pods do not support ephemeral containers");
    return [{ ...refusal, field: "[]" }];
  }
  const errors = [...validPodAndSpec(next), ...validMetadataChange(next, previous)];
  const now = new Map(next.spec.ephemeralContainers?.map((container) => [container.name, container]));
  for (const old of previous.spec.ephemeralContainers ?? []) {
    const standing = now.get(old.name);
    if (!standing) {
      errors.push(forbidden(path, `existing ephemeral containers ${JSON.stringify(old.name)} may not be removed\n`));
    } else if (!semanticallyEqual(standing, old)) {
      const diff = jsonDiff(
        internalForm("EphemeralContainer", asStored(old)),
        internalForm("EphemeralContainer", standing),
      );
      const what = `existing ephemeral containers ${JSON.stringify(old.name)} may not be changed`;
      errors.push(forbidden(path, `${what}\n${diff}`));
    }
  }
  return errors;
}

/** Conditions of the system's own, whose names need no domain. */
const systemConditions = new Set(["PodScheduled", "Ready", "Initialized"]);

export function validatePodStatus(next: Pod, previous: Pod): FieldError[] {
  const { status } = next;
  const errors = validMetadataChange(next, previous);
  errors.push(
    ...each(status.conditions, statusPath.child("conditions"), ({ type, observedGeneration }, at) => [
      ...notNegative(observedGeneration, at.child("observedGeneration")),
      ...(systemConditions.has(type) ? [] : obeys(type, qualifiedNameProblems, at.child("Type"))),
    ]),
  );
  const nominatedPath = statusPath.child("nominatedNodeName");
  const nominated = status.nominatedNodeName;
  if (nominated && nominated !== previous.status?.nominatedNodeName) {
    errors.push(...obeys(nominated, dns1123SubdomainProblems, nominatedPath));
    if (previous.spec.nodeName) {
      errors.push(forbidden(nominatedPath, "may not be set on pods that are already bound to a node"));
    }
  }
  errors.push(...notNegative(status.observedGeneration, statusPath.child("observedGeneration")));
  for (const [list, containers] of [
    ["containerStatuses", previous.spec.containers],
    ["initContainerStatuses", previous.spec.initContainers],
    ["ephemeralContainerStatuses", []],
  ] as const) {
    const mayRestart = (old: ContainerStatus) =>
      restarts(
        containers?.find(({ name }) => name === old.name),
        previous.spec,
        old,
      );
    if (list !== "ephemeralContainerStatuses" && anyRestartsAll(previous.spec)) continue;
    errors.push(...staysTerminated(status[list], previous.status?.[list], mayRestart, statusPath.child(list)));
  }
  errors.push(...validClaimStatuses(next, statusPath.child("resourceClaimStatuses")));
  errors.push(...validAddresses(status.podIPs, statusPath.child("podIPs")));
  const hostIps = status.hostIPs;
  if (hostIps?.length && hostIps[0]!.ip !== (status.hostIP ?? "")) {
    const path = hostIpsPath.index(0).child("ip");
    errors.push(invalid(path, hostIps[0]!.ip, "must be equal to `hostIP`"));
  }
  errors.push(...validAddresses(hostIps, hostIpsPath));
  return [...errors, ...validContainerStatuses(next, statusPath)];
}

function notNegative(generation: number | undefined, path: FieldPath): FieldError[] {
  return (generation ?? 0) < 0 ? [invalid(path, generation, "must be a non-negative integer")] : [];
}

function anyRestartsAll({ containers, initContainers }: PodSpec): boolean {
  return [...containers, ...(initContainers ?? [])].some(({ restartPolicyRules }) =>
    restartPolicyRules?.some(({ action }) => action === "RestartAllContainers"),
  );
}

/** Whether a container that ended is started again, by its rules, its own policy or the pod's. */
function restarts(container: Container | undefined, spec: PodSpec, { state }: ContainerStatus): boolean {
  if (!container) return false;
  const exitCode = state?.terminated?.exitCode ?? 0;
  if (container.restartPolicy !== undefined) {
    const rule = container.restartPolicyRules?.find(
      ({ exitCodes }) => exitCodes && (exitCodes.operator === "In") === (exitCodes.values ?? []).includes(exitCode),
    );
    if (rule) return rule.action === "Restart";
  }
  const policy = container.restartPolicy ?? spec.restartPolicy ?? "Always";
  return policy === "Always" || (policy === "OnFailure" && exitCode !== 0);
}

/** What ended for good does not come back. */
function staysTerminated(
  next: readonly ContainerStatus[] | undefined,
  previous: readonly ContainerStatus[] | undefined,
  mayRestart: (old: ContainerStatus) => boolean,
  path: FieldPath,
): FieldError[] {
  return (previous ?? []).flatMap((old, index) => {
    if (!old.state?.terminated) return [];
    const now = next?.find(({ name }) => name === old.name);
    if (!now || now.state?.terminated || mayRestart(old)) return [];
    return [forbidden(path.index(index).child("state"), "may not be transitioned to non-terminated state")];
  });
}

function validClaimStatuses({ spec, status }: Pod, path: FieldPath): FieldError[] {
  const names = new Set<string>();
  return each(status.resourceClaimStatuses, path, ({ name, resourceClaimName }, at) => {
    const errors: FieldError[] = [];
    if (!spec.resourceClaims?.some((claim) => claim.name === name)) {
      errors.push(invalid(at.child("name"), name, "must match the name of an entry in `spec.resourceClaims`"));
    }
    if (names.has(name)) errors.push(duplicate(at.child("name"), name));
    names.add(name);
    if (resourceClaimName === undefined) return errors;
    return [...errors, ...obeys(resourceClaimName, dns1123SubdomainProblems, at.child("resourceClaimName"))];
  });
}

function validAddresses(addresses: readonly { ip: string }[] | undefined, path: FieldPath): FieldError[] {
  const errors = each(addresses, path, ({ ip }, at) => validIp(ip, at));
  if (errors.length > 0 || !addresses || addresses.length < 2) return errors;
  const families = new Set(addresses.map(({ ip }) => ipFamilyOf(ip)));
  if (addresses.length === families.size) return errors;
  const shown = addresses.map(({ ip }) => ({ IP: ip }));
  const repeated = each(addresses, path, ({ ip }, at, index) =>
    addresses.findIndex((other) => other.ip === ip) < index ? [duplicate(at, { IP: ip })] : [],
  );
  const tooMany = invalid(path, shown, "may specify no more than one IP for each IP family");
  return path === hostIpsPath ? [...repeated, tooMany] : [tooMany, ...repeated];
}
