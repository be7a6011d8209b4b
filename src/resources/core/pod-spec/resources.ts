/** What containers, and pods as a whole, ask for and are limited to. */
import type { Container, PodSpec, ResourceRequirements } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notFound,
  notSupported,
  required,
} from "../../../apimachinery/field-error.ts";
import { Quantity } from "../../../apimachinery/quantity.ts";
import { each, validDnsLabel } from "../../validation/rules.ts";
import type { ResourceList } from "../resource-list.ts";
import {
  allowsOvercommit,
  isHugePages,
  validAmount,
  validContainerResourceName,
  validResourceName,
} from "../resource-names.ts";

const shareable = ["cpu", "memory"];

type NameRule = (name: string, path: FieldPath) => FieldError[];

export function validContainerResources(
  resources: ResourceRequirements | undefined,
  claimNames: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  return validRequirements(resources, validContainerResourceName, claimNames, path);
}

function validRequirements(
  resources: ResourceRequirements | undefined,
  nameRule: NameRule,
  claimNames: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  if (!resources) return [];
  const { limits = {}, requests = {} } = resources;
  const limitsPath = path.child("limits");
  const requestsPath = path.child("requests");
  const errors: FieldError[] = [];
  const amount = (name: string, text: string, at: FieldPath) => [...nameRule(name, at), ...validAmount(name, text, at)];
  for (const name of Object.keys(limits).sort()) {
    errors.push(...amount(name, limits[name]!, limitsPath.key(name)));
    errors.push(...wholePages(name, limits[name]!, limitsPath.key(name)));
  }
  for (const name of Object.keys(requests).sort()) {
    errors.push(...amount(name, requests[name]!, requestsPath.key(name)));
    errors.push(...withinLimit(name, requests[name]!, limits[name], requestsPath, limitsPath));
    errors.push(...wholePages(name, requests[name]!, requestsPath.key(name)));
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.some((name) => shareable.includes(name))) {
    errors.push(forbidden(path, "HugePages require cpu or memory"));
  }
  return [...errors, ...validClaims(resources.claims, claimNames, path.child("claims"))];
}

/** Huge pages come in whole pages of the size that the resource is named after. */
function wholePages(name: string, amount: string, path: FieldPath): FieldError[] {
  if (!isHugePages(name)) return [];
  const size = quantityOrZero(name.replace("hugepages-", ""));
  const quantity = Quantity.parse(amount);
  if (size.sign() > 0 && size.isInteger() && quantity.nanos % size.nanos === 0n) return [];
  return [invalid(path, amount, `${amount} is not positive integer multiple of ${name}`)];
}

function quantityOrZero(text: string): Quantity {
  try {
    return Quantity.parse(text);
  } catch {
    return Quantity.zero;
  }
}

function withinLimit(
  name: string,
  requestText: string,
  limitText: string | undefined,
  requestsPath: FieldPath,
  limitsPath: FieldPath,
): FieldError[] {
  if (limitText === undefined) {
    return allowsOvercommit(name) ? [] : [required(limitsPath, "Limit must be set for non overcommitable resources")];
  }
  const order = Quantity.parse(requestText).compare(Quantity.parse(limitText));
  if (order !== 0 && !allowsOvercommit(name)) {
    return [invalid(requestsPath, requestText, `must be equal to ${name} limit of ${limitText}`)];
  }
  if (order > 0)
    return [invalid(requestsPath, requestText, `must be less than or equal to ${name} limit of ${limitText}`)];
  return [];
}

function validClaims(
  claims: ResourceRequirements["claims"],
  known: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  const seen = new Set<string>();
  return each(claims, path, ({ name, request }, at) => {
    if (!name) return [required(at)];
    const errors: FieldError[] = [];
    // A claim as a whole includes each of its requests.
    if (seen.has(name)) errors.push(duplicate(at, name));
    else {
      if (request) errors.push(...validDnsLabel(request, at.child("request")));
      const identity = request ? `${name}/${request}` : name;
      if (seen.has(identity)) errors.push(duplicate(at, identity));
      else if (!request) {
        for (const other of seen) if (other.startsWith(`${name}/`)) errors.push(duplicate(at, name));
      }
      seen.add(identity);
    }
    if (!known.has(name)) {
      const names = known.size === 0 ? " which is empty" : `: ${[...known].sort().join(", ")}`;
      const error = notFound(at, name);
      errors.push({
        ...error,
        message: `${error.message}: must be one of the names in pod.spec.resourceClaims${names}`,
      });
    }
    return errors;
  });
}

/** What the pod as a whole asks for must be enough for what its containers ask for. */
export function validPodResources(spec: PodSpec, path: FieldPath): FieldError[] {
  const { resources, os } = spec;
  if (!resources) return [];
  if (os?.name === "windows") return [forbidden(path, "may not be set for a windows pod")];
  const errors = resources.claims
    ? [forbidden(path.child("claims"), "claims may not be set for Resources at pod-level")]
    : [];
  errors.push(...validRequirements(resources, validPodResourceName, new Set(), path));
  const { requests = {}, limits = {} } = resources;
  const enough = (given: ResourceList, list: "requests" | "limits", only: (name: string) => boolean) => {
    for (const [name, needed] of aggregateOf(spec, list)) {
      const amount = given[name];
      if (amount === undefined || !only(name) || needed.compare(Quantity.parse(amount)) <= 0) continue;
      const detail = `must be greater than or equal to aggregate container ${list} of ${needed}`;
      errors.push(invalid(path.child(list).key(name), amount, detail));
    }
  };
  enough(requests, "requests", () => true);
  enough(limits, "limits", isHugePages);
  for (const [index, container] of (spec.containers ?? []).entries()) {
    for (const [name, limit] of Object.entries(container.resources?.limits ?? {}).sort()) {
      const ofPod = limits[name];
      if (ofPod === undefined || Quantity.parse(limit).compare(Quantity.parse(ofPod)) <= 0) continue;
      const at = path.child("containers").index(index).key(name).child("limits");
      errors.push(invalid(at, limit, `must be less than or equal to pod limits of ${ofPod}`));
    }
  }
  return errors;
}

function validPodResourceName(name: string, path: FieldPath): FieldError[] {
  const errors = validResourceName(name, path);
  if (errors.length > 0 || shareable.includes(name) || isHugePages(name)) return errors;
  return [notSupported(path, name, ["cpu", "hugepages-", "memory"])];
}

/** What containers need at once: all of the work and the sidecars, or one step of the preparation beside the sidecars before it. */
function aggregateOf(spec: PodSpec, list: "requests" | "limits"): [string, Quantity][] {
  const total = new Map<string, Quantity>();
  const peak = new Map<string, Quantity>();
  const sidecars = new Map<string, Quantity>();
  const amounts = ({ resources }: Container) => Object.entries(resources?.[list] ?? {});
  const add = (map: Map<string, Quantity>, name: string, quantity: Quantity) =>
    map.set(name, (map.get(name) ?? Quantity.zero).add(quantity));
  for (const container of spec.containers ?? []) {
    for (const [name, text] of amounts(container)) add(total, name, Quantity.parse(text));
  }
  for (const container of spec.initContainers ?? []) {
    for (const [name, text] of amounts(container)) {
      const quantity = Quantity.parse(text);
      if (container.restartPolicy === "Always") {
        add(total, name, quantity);
        add(sidecars, name, quantity);
      }
      const now =
        container.restartPolicy === "Always" ? sidecars.get(name)! : quantity.add(sidecars.get(name) ?? Quantity.zero);
      if (now.compare(peak.get(name) ?? Quantity.zero) > 0) peak.set(name, now);
    }
  }
  for (const [name, quantity] of peak)
    if (quantity.compare(total.get(name) ?? Quantity.zero) > 0) total.set(name, quantity);
  return [...total].sort(([a], [b]) => (a < b ? -1 : 1));
}
