/** What containers, and pods as a whole, ask for and are limited to. */
import type { ResourceRequirements } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notFound,
  required,
} from "../../../apimachinery/field-error.ts";
import { Quantity } from "../../../apimachinery/quantity.ts";
import { each } from "../../validation/rules.ts";
import { allowsOvercommit, isHugePages, validAmount, validContainerResourceName } from "../resource-names.ts";

const shareable = ["cpu", "memory"];

export function validContainerResources(
  resources: ResourceRequirements | undefined,
  claimNames: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  if (!resources) return [];
  const { limits = {}, requests = {} } = resources;
  const limitsPath = path.child("limits");
  const requestsPath = path.child("requests");
  const errors: FieldError[] = [];
  for (const name of Object.keys(limits).sort()) {
    errors.push(...validContainerResourceName(name, limitsPath.key(name)));
    errors.push(...validAmount(name, limits[name]!, limitsPath.key(name)));
  }
  for (const name of Object.keys(requests).sort()) {
    errors.push(...validContainerResourceName(name, requestsPath.key(name)));
    errors.push(...validAmount(name, requests[name]!, requestsPath.key(name)));
    errors.push(...withinLimit(name, requests[name]!, limits[name], requestsPath, limitsPath));
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.some((name) => shareable.includes(name))) {
    errors.push(forbidden(path, "HugePages require cpu or memory"));
  }
  return [...errors, ...validClaims(resources.claims, claimNames, path.child("claims"))];
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
    const identity = request ? `${name}/${request}` : name;
    if (seen.has(identity)) return [duplicate(at, identity)];
    seen.add(identity);
    return known.has(name) ? [] : [notFound(at, name)];
  });
}
