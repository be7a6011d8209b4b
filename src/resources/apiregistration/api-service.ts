/** APIServices: which server answers for which group-version. */
import type { APIService, ServiceReference } from "../../api/apiregistration/v1.ts";
import {
  type FieldError,
  invalid,
  metadata as metadataPath,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { dns1035LabelProblems, pathSegmentProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { rfc3339 } from "../../base/clock.ts";
import { goQuote } from "../../base/go-quote.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, obeys, oneOf, validDnsSubdomain, validPort } from "../validation/rules.ts";

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
  // Depends on the group and the version, and so is looked at with the object.
  validateName: () => [],
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
  const { group, version = "", groupPriorityMinimum: minimum = 0, versionPriority = 0 } = spec;
  const groupPath = specPath.child("group");
  const errors = validName(metadata.name ?? "", `${version}.${group ?? ""}`);
  if (group) errors.push(...validDnsSubdomain(group, groupPath));
  else if (version !== "v1") {
    errors.push(required(groupPath, "only v1 may have an empty group and it better be legacy kube"));
  }
  errors.push(...obeys(version, dns1035LabelProblems, specPath.child("version")));
  if (minimum <= 0 || minimum > 20000) {
    errors.push(invalid(specPath.child("groupPriorityMinimum"), minimum, "must be positive and less than 20000"));
  }
  if (versionPriority <= 0 || versionPriority > 1000) {
    errors.push(invalid(specPath.child("versionPriority"), versionPriority, "must be positive and less than 1000"));
  }
  return [...errors, ...(spec.service ? validRemote(spec, spec.service) : validLocal(spec))];
}

function validName(given: string, expected: string): FieldError[] {
  const problems = pathSegmentProblems(given);
  if (given !== expected && problems.length === 0) {
    problems.push(`must be \`spec.version+"."+spec.group\`: ${goQuote(expected)}`);
  }
  // A missing name has been reported already.
  return given === "" ? [] : problems.map((problem) => invalid(metadataPath.child("name"), given, problem));
}

/** Of a group-version that this server itself answers for. */
function validLocal({ caBundle, insecureSkipTLSVerify }: APIService["spec"]): FieldError[] {
  const errors: FieldError[] = [];
  if (caBundle) {
    const length = `${Buffer.from(caBundle, "base64").length} bytes`;
    errors.push(invalid(specPath.child("caBundle"), length, "local APIServices may not have a caBundle"));
  }
  if (insecureSkipTLSVerify) {
    const detail = "local APIServices may not have insecureSkipTLSVerify";
    errors.push(invalid(specPath.child("insecureSkipTLSVerify"), true, detail));
  }
  return errors;
}

function validRemote({ caBundle, insecureSkipTLSVerify }: APIService["spec"], service: ServiceReference): FieldError[] {
  const path = specPath.child("service");
  const errors: FieldError[] = [];
  if (!service.namespace) errors.push(required(path.child("namespace")));
  if (!service.name) errors.push(required(path.child("name")));
  errors.push(...validPort(service.port ?? 443, path.child("port"), "port is not valid: "));
  if (insecureSkipTLSVerify && caBundle) {
    const detail = "may not be true if caBundle is present";
    errors.push(invalid(specPath.child("insecureSkipTLSVerify"), true, detail));
  }
  return errors;
}
