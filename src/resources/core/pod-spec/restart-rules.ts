/** When a container is started again: its own policy, the rules by exit code, and what a resize does. */
import type { Container } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  required,
  tooMany,
} from "../../../apimachinery/field-error.ts";
import { each, oneOf, requiredOneOf } from "../../validation/rules.ts";

const policies = ["Always", "Never", "OnFailure"];
const maximumRules = 20;
const maximumExitCodes = 255;

export function validContainerRestarts(
  { restartPolicy, restartPolicyRules }: Container,
  path: FieldPath,
): FieldError[] {
  const policyPath = path.child("restartPolicy");
  const rulesPath = path.child("restartPolicyRules");
  const errors: FieldError[] = [];
  if (restartPolicy !== undefined) errors.push(...oneOf(restartPolicy, policies, policyPath));
  else if (restartPolicyRules?.length) {
    errors.push(required(policyPath, "must specify restartPolicy when restart rules are used"));
  }
  if ((restartPolicyRules?.length ?? 0) > maximumRules) {
    errors.push(tooMany(rulesPath, restartPolicyRules!.length, maximumRules));
  }
  return [
    ...errors,
    ...each(restartPolicyRules, rulesPath, ({ action, exitCodes }, at) => {
      const found = oneOf(action, ["Restart", "RestartAllContainers"], at.child("action"));
      const codesPath = at.child("exitCodes");
      if (!exitCodes) return [...found, required(codesPath, "must be specified")];
      found.push(...oneOf(exitCodes.operator, ["In", "NotIn"], codesPath.child("operator")));
      const codes = exitCodes.values?.length ?? 0;
      if (codes > maximumExitCodes) found.push(tooMany(codesPath.child("values"), codes, maximumExitCodes));
      return found;
    }),
  ];
}

/** Upstream reports these on the list. */
export function validResizePolicy(
  entries: Container["resizePolicy"],
  podRestartPolicy: string | undefined,
  path: FieldPath,
): FieldError[] {
  const seen = new Set<string>();
  return each(entries, path, ({ resourceName, restartPolicy }, at) => {
    const errors = seen.has(resourceName) ? [duplicate(at, resourceName)] : [];
    seen.add(resourceName);
    errors.push(...requiredOneOf(resourceName, ["cpu", "memory"], path));
    errors.push(...requiredOneOf(restartPolicy, ["NotRequired", "RestartContainer"], path));
    if (podRestartPolicy === "Never" && restartPolicy !== "NotRequired") {
      const detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
      errors.push(invalid(path, restartPolicy ?? "", detail));
    }
    return errors;
  });
}
