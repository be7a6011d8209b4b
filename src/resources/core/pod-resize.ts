/** What a running pod's containers may be resized to. */
import type { Container, Pod, ResourceRequirements } from "../../api/core/v1.ts";
import { type FieldError, FieldPath, forbidden, invalid, spec as specPath } from "../../apimachinery/field-error.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { qosClassOf } from "./pod-qos.ts";
import { mirrorAnnotation } from "./pod-spec/annotations.ts";
import type { ResourceList } from "./resource-list.ts";

/** `specProblems`: what is wrong with the new pod in itself. */
export function validResize(next: Pod, previous: Pod, specProblems: FieldError[]): FieldError[] {
  const whole = FieldPath.root.index(0);
  const refuse = (detail: string) => [{ ...forbidden(whole, detail), field: "[]" }];
  if (previous.metadata.annotations?.[mirrorAnnotation] !== undefined) return refuse("static pods cannot be resized");
  if (previous.spec.os?.name === "windows") return refuse("windows pods cannot be resized");
  const errors = [...specProblems];
  const before = previous.status?.qosClass || qosClassOf(previous.spec);
  if (before !== qosClassOf(next.spec)) {
    const detail = "Pod QOS Class may not change as a result of resizing";
    errors.push(invalid(specPath, next.status?.qosClass ?? "", detail));
  }
  const running = previous.status?.containerStatuses?.find(({ state }) => state?.running);
  if (running && !running.resources) {
    errors.push(forbidden(specPath, "Pod running on node without support for resize"));
  }
  errors.push(...validPodLevel(next, previous));
  const order = sameContainers(next, previous);
  if (order.length > 0) return [...errors, ...order];
  for (const list of ["initContainers", "containers"] as const) {
    for (const [index, container] of (previous.spec[list] ?? []).entries()) {
      const path = specPath.child(list).index(index).child("resources");
      errors.push(...nothingRemoved(next.spec[list]![index]!.resources, container.resources, "resource", path));
    }
  }
  for (const [index, container] of (next.spec.containers ?? []).entries()) {
    const old = previous.spec.containers[index]!;
    if (!semanticallyEqual(withSharesOf(container, old), old)) {
      errors.push(forbidden(specPath, "only cpu and memory resources are mutable"));
    }
  }
  for (const [index, container] of (next.spec.initContainers ?? []).entries()) {
    const old = previous.spec.initContainers![index]!;
    const path = specPath.child("initContainers").index(index);
    if (!semanticallyEqual(withSharesOf(container, old), old)) {
      errors.push(forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable"));
    }
  }
  return errors;
}

function validPodLevel(next: Pod, previous: Pod): FieldError[] {
  const [now, before] = [next.spec.resources, previous.spec.resources];
  const path = specPath.child("resources");
  if (before && !now) return [forbidden(path, "pod-level resources cannot be removed")];
  const errors = nothingRemoved(now, before, "pod-level resource", path);
  const rest = (resources: ResourceRequirements | undefined) => ({
    limits: withoutShares(resources?.limits),
    requests: withoutShares(resources?.requests),
    claims: resources?.claims,
  });
  if (!semanticallyEqual(rest(now), rest(before))) {
    errors.push(forbidden(specPath, "only cpu and memory resources are mutable at pod-level"));
  }
  return errors;
}

function nothingRemoved(
  next: ResourceRequirements | undefined,
  previous: ResourceRequirements | undefined,
  what: string,
  path: FieldPath,
): FieldError[] {
  return (["requests", "limits"] as const).flatMap((list) => {
    const removed = Object.keys(previous?.[list] ?? {}).some((name) => next?.[list]?.[name] === undefined);
    return removed ? [forbidden(path.child(list), `${what} ${list} cannot be removed`)] : [];
  });
}

function sameContainers(next: Pod, previous: Pod): FieldError[] {
  return (["containers", "initContainers"] as const).flatMap((list) => {
    const [now, before] = [next.spec[list] ?? [], previous.spec[list] ?? []];
    const path = specPath.child(list);
    if (now.length !== before.length) return [forbidden(path, `${list} may not be added or removed on resize`)];
    return before.flatMap(({ name }, index) =>
      now[index]!.name === name
        ? []
        : [forbidden(path.index(index).child("name"), `${list} may not be renamed or reordered on resize`)],
    );
  });
}

/** The container with the old one's cpu and memory: what still differs may not change. */
function withSharesOf(container: Container, old: Container): Container {
  const { limits: _, requests: __, ...rest } = container.resources ?? {};
  const resources: ResourceRequirements = rest;
  for (const list of ["limits", "requests"] as const) {
    const before = old.resources?.[list];
    const all = { ...withoutShares(container.resources?.[list]), ...onlyShares(before) };
    // Where there was no list there is none now: a container may be given its first amounts.
    if (before || Object.keys(all).length > 0) resources[list] = all;
  }
  return { ...container, resources };
}

const isShare = (name: string) => name === "cpu" || name === "memory";

function withoutShares(list: ResourceList | undefined): ResourceList {
  return Object.fromEntries(Object.entries(list ?? {}).filter(([name]) => !isShare(name)));
}

function onlyShares(list: ResourceList | undefined): ResourceList {
  return Object.fromEntries(Object.entries(list ?? {}).filter(([name]) => isShare(name)));
}
