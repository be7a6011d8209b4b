/** PriorityClasses: names for how important pods are. */
import type { PriorityClass } from "../../api/scheduling/v1.ts";
import { type FieldError, FieldPath, forbidden, metadata } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, boolean, integer, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { requiredOneOf, unchanged } from "../validation/rules.ts";

const highestUserValue = 1_000_000_000;
const systemClasses: Readonly<Record<string, number>> = {
  "system-node-critical": 2_000_001_000,
  "system-cluster-critical": 2_000_000_000,
};
const root = FieldPath.root;

export const priorityClasses = defineResource<PriorityClass>({
  ...served("scheduling.k8s.io/v1", "priorityclasses"),
  defaults(priorityClass) {
    priorityClass.preemptionPolicy ??= "PreemptLowerPriority";
  },
  beforeCreate(priorityClass) {
    priorityClass.metadata.generation = 1;
  },
  beforeUpdate() {},
  validate: (next, previous) => (previous ? validChange(next, previous) : validPriorityClass(next)),
  columns: [
    name,
    integer("Value", ({ value }) => value),
    boolean("Global-Default", ({ globalDefault }) => globalDefault),
    age,
    text("PreemptionPolicy", ({ preemptionPolicy }) => preemptionPolicy ?? ""),
  ],
});

function validPriorityClass({
  // A missing name has been reported already.
  metadata: { name: className = "" },
  value = 0,
  globalDefault = false,
  preemptionPolicy,
}: PriorityClass): FieldError[] {
  const errors: FieldError[] = [];
  const path = metadata.child("name");
  if (className.startsWith("system-")) {
    const reserved = "priority class names with 'system-' prefix are reserved for system use only. error:";
    const expected = systemClasses[className];
    if (expected === undefined) {
      errors.push(forbidden(path, `${reserved} ${className} is not a known system priority class`));
    } else if (expected !== value) {
      errors.push(forbidden(path, `${reserved} value of ${className} PriorityClass must be ${expected}`));
    } else if (globalDefault) {
      errors.push(forbidden(path, `${reserved} globalDefault of ${className} PriorityClass must be false`));
    }
  } else if (value > highestUserValue) {
    const detail = `maximum allowed value of a user defined priority is ${highestUserValue}`;
    errors.push(forbidden(root.child("value"), detail));
  }
  if (preemptionPolicy !== undefined) {
    errors.push(...requiredOneOf(preemptionPolicy, ["PreemptLowerPriority", "Never"], root.child("preemptionPolicy")));
  }
  return errors;
}

function validChange(next: PriorityClass, previous: PriorityClass): FieldError[] {
  const errors = unchanged(next.preemptionPolicy, previous.preemptionPolicy, root.child("preemptionPolicy"));
  if ((next.value ?? 0) === (previous.value ?? 0)) return errors;
  return [forbidden(root.child("value"), "may not be changed in an update."), ...errors];
}
