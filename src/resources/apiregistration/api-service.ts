/** APIServices: which server answers for which group-version. */
import type { APIService } from "../../api/apiregistration/v1.ts";
import {
  type FieldError,
  invalid,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { dns1035LabelProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { rfc3339 } from "../../base/clock.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, obeys, oneOf, validDnsSubdomain } from "../validation/rules.ts";

const localIsAvailable = {
  type: "Available",
  status: "True",
  reason: "Local",
  message: "Local APIServices are always available",
} as const;

export const apiServices = defineResource<APIService>({
  ...served("apiregistration.k8s.io/v1", "apiservices"),
  metadataLooks: { update: ["change", "whole"] },
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  statusKeeps: "metadata",
  validateName: "path-segment",
  defaults({ spec }) {
    if (spec.service) spec.service.port ??= 443;
  },
  beforeCreate(service, { now }) {
    service.status = service.spec.service
      ? {}
      : { conditions: [{ ...localIsAvailable, lastTransitionTime: rfc3339(now) }] };
  },
  beforeUpdate() {},
  validate: validApiService,
  validateStatus: ({ status }) =>
    each(status.conditions, statusPath.child("conditions"), (condition, at) =>
      oneOf(condition.status, ["True", "False", "Unknown"], at.child("status")),
    ),
  columns: [
    name,
    text("Service", ({ spec }) => (spec.service ? `${spec.service.namespace}/${spec.service.name}` : "Local")),
    text("Available", availableText),
    age,
  ],
});

function availableText({ status }: APIService): string {
  const available = status?.conditions?.find(({ type }) => type === "Available");
  if (!available) return "Unknown";
  return available.status === "True" ? "True" : `${available.status} (${available.reason ?? ""})`;
}

function validApiService({ metadata, spec }: APIService): FieldError[] {
  const errors: FieldError[] = [];
  const expected = `${spec.version ?? ""}.${spec.group ?? ""}`;
  if (metadata.name !== expected) {
    const path = specPath.child("..", "metadata", "name");
    errors.push({
      ...invalid(path, metadata.name, `must be \`spec.version+"."+spec.group\`: "${expected}"`),
      field: "metadata.name",
    });
  }
  if (spec.group) errors.push(...validDnsSubdomain(spec.group, specPath.child("group")));
  errors.push(...obeys(spec.version ?? "", dns1035LabelProblems, specPath.child("version")));
  const { groupPriorityMinimum: minimum = 0, versionPriority = 0 } = spec;
  if (minimum <= 0 || minimum > 20000) {
    errors.push(invalid(specPath.child("groupPriorityMinimum"), minimum, "must be positive and less than 20000"));
  }
  if (versionPriority <= 0 || versionPriority > 1000) {
    errors.push(invalid(specPath.child("versionPriority"), versionPriority, "must be positive and less than 1000"));
  }
  if (!spec.service) return errors;
  if (!spec.service.namespace) errors.push(required(specPath.child("service", "namespace")));
  if (!spec.service.name) errors.push(required(specPath.child("service", "name")));
  return errors;
}
