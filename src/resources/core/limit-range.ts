/** LimitRanges: what pods and claims of a namespace may ask for, and what they get when they ask for nothing. */
import type { LimitRange, LimitRangeItem } from "../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";
import { each, obeys } from "../validation/rules.ts";
import { canonicalizeResourceList } from "./resource-list.ts";
import { allowsOvercommit, validContainerResourceName, validResourceName } from "./resource-names.ts";

const standardTypes = ["Pod", "Container", "PersistentVolumeClaim"];
const lists = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] as const;

export const limitRanges = defineResource<LimitRange>({
  ...served("v1", "limitranges"),
  metadataLooks: { update: ["whole"] },
  defaults({ spec }) {
    for (const item of spec.limits ?? []) {
      for (const list of lists) canonicalizeResourceList(item[list]);
      if (item.type === "Container") defaultContainerLimits(item);
    }
  },
  allowCreateOnUpdate: true,
  beforeUpdate() {},
  validate: ({ spec }) => {
    const types = new Set<string>();
    return each(spec.limits, specPath.child("limits"), (item, path) => {
      const errors = validType(item.type, path.child("type"));
      if (types.has(item.type)) errors.push(duplicate(path.child("type"), item.type));
      types.add(item.type);
      return [...errors, ...validItem(item, path)];
    });
  },
});

/** Limits default to the maximum, requests to the limit or else to the minimum. */
function defaultContainerLimits(item: LimitRangeItem): void {
  const limit = { ...item.max, ...item.default };
  const request = { ...item.min, ...limit, ...item.defaultRequest };
  if (Object.keys(limit).length > 0) item.default = limit;
  if (Object.keys(request).length > 0) item.defaultRequest = request;
}

function validType(type: string, path: FieldPath): FieldError[] {
  const errors = obeys(type, qualifiedNameProblems, path);
  if (errors.length > 0 || type.includes("/") || standardTypes.includes(type)) return errors;
  return [invalid(path, type, "must be a standard limit type or fully qualified")];
}

function validItem(item: LimitRangeItem, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const list of lists) {
    if (item.type === "Pod" && (list === "default" || list === "defaultRequest")) {
      if (Object.keys(item[list] ?? {}).length > 0) {
        errors.push(forbidden(path.child(list), "may not be specified when `type` is 'Pod'"));
      }
      continue;
    }
    for (const name of Object.keys(item[list] ?? {}).sort()) {
      names.add(name);
      const rule = item.type === "PersistentVolumeClaim" ? validResourceName : validContainerResourceName;
      errors.push(...rule(name, path.child(list).key(name)));
    }
  }
  if (item.type === "PersistentVolumeClaim" && !item.min?.["storage"] && !item.max?.["storage"]) {
    const detail = "either minimum or maximum storage value is required, but neither was provided";
    errors.push(required(path.child("limits"), detail));
  }
  for (const name of [...names].sort()) errors.push(...validAmounts(item, name, path));
  return errors;
}

function validAmounts(item: LimitRangeItem, name: string, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const isPod = item.type === "Pod";
  const max = item.max?.[name];
  const min = item.min?.[name];
  const limit = isPod ? undefined : item.default?.[name];
  const request = isPod ? undefined : item.defaultRequest?.[name];
  const ratio = item.maxLimitRequestRatio?.[name];
  const exceeds = (a: string | undefined, b: string | undefined) =>
    a !== undefined && b !== undefined && Quantity.parse(a).compare(Quantity.parse(b)) > 0;
  const complain = (list: string, value: string | undefined, detail: string) =>
    errors.push(invalid(path.child(list).key(name), value, detail));

  if (exceeds(min, max)) complain("min", min, `min value ${min} is greater than max value ${max}`);
  if (exceeds(min, request)) {
    complain("defaultRequest", request, `min value ${min} is greater than default request value ${request}`);
  }
  if (exceeds(request, max)) {
    complain("defaultRequest", request, `default request value ${request} is greater than max value ${max}`);
  }
  if (exceeds(request, limit)) {
    complain(
      "defaultRequest",
      request,
      `default request value ${request} is greater than default limit value ${limit}`,
    );
  }
  // Upstream shows the bound, not the value, in these two.
  if (exceeds(min, limit)) complain("default", min, `min value ${min} is greater than default value ${limit}`);
  if (exceeds(limit, max)) complain("default", max, `default value ${limit} is greater than max value ${max}`);
  if (exceeds("1", ratio)) complain("maxLimitRequestRatio", ratio, `ratio ${ratio} is less than 1`);
  if (ratio !== undefined && min !== undefined && max !== undefined) {
    const widest = Quantity.parse(max).toNumber() / Quantity.parse(min).toNumber();
    if (Quantity.parse(ratio).toNumber() > widest) {
      complain("maxLimitRequestRatio", ratio, `ratio ${ratio} is greater than max/min = ${widest.toFixed(6)}`);
    }
  }
  if (!allowsOvercommit(name) && limit !== undefined && request !== undefined && limit !== request) {
    complain(
      "defaultRequest",
      request,
      `default value ${limit} must equal to defaultRequest value ${request} in ${name}`,
    );
  }
  return errors;
}
