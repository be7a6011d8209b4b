/** Which requests a webhook or a policy is for. */
import type { NamedRuleWithOperations, RuleWithOperations } from "../../api/admissionregistration/v1.ts";
import { duplicate, type FieldError, type FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { pathSegmentProblems } from "../../apimachinery/name-validation.ts";
import { each, obeys, oneOf, optionalOneOf } from "../validation/rules.ts";

const operations = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

export function validRule(rule: RuleWithOperations, path: FieldPath): FieldError[] {
  const operationsPath = path.child("operations");
  const versionsPath = path.child("apiVersions");
  return [
    ...validList(rule.operations, operationsPath, "operations"),
    ...each(rule.operations, operationsPath, (operation, at) => oneOf(operation, operations, at)),
    ...validList(rule.apiGroups, path.child("apiGroups"), "API groups"),
    ...validList(rule.apiVersions, versionsPath, "API versions"),
    ...each(rule.apiVersions, versionsPath, (version, at) => (version ? [] : [required(at)])),
    ...validResources(rule.resources, path.child("resources")),
    ...optionalOneOf(rule.scope, ["*", "Cluster", "Namespaced"], path.child("scope")),
  ];
}

/** A policy's rule may be for objects of certain names only. */
export function validNamedRule(rule: NamedRuleWithOperations, path: FieldPath): FieldError[] {
  const names = new Set<string>();
  return [
    ...each(rule.resourceNames, path.child("resourceNames"), (name, at) => {
      const errors = obeys(name, pathSegmentProblems, at);
      if (names.has(name)) errors.push(duplicate(at, name));
      names.add(name);
      return errors;
    }),
    ...validRule(rule, path),
  ];
}

function validList(values: readonly string[] | undefined, path: FieldPath, what: string): FieldError[] {
  if (!values?.length) return [required(path)];
  if (values.length === 1 || !values.includes("*")) return [];
  return [invalid(path, values, `if '*' is present, must not specify other ${what}`)];
}

/** `pods`, `pods/log`, `pods/*`, `*\/scale`, `*`, `*\/*`: none may say what another says already. */
function validResources(resources: readonly string[] | undefined, path: FieldPath): FieldError[] {
  if (!resources?.length) return [required(path)];
  const withAllSubresources = new Set<string>();
  const ofAllResources = new Set<string>();
  const errors = each(resources, path, (text, at) => {
    if (!text) return [required(at)];
    const [resource = "", subresource] = text.split(/\/(.*)/s);
    if (subresource === undefined) return [];
    const found: FieldError[] = [];
    const covers = (other: string) =>
      found.push(invalid(at, text, `if '${other}' is present, must not specify ${text}`));
    if (withAllSubresources.has(resource)) covers(`${resource}/*`);
    if (ofAllResources.has(subresource)) covers(`*/${subresource}`);
    if (subresource === "*") withAllSubresources.add(resource);
    if (resource === "*") ofAllResources.add(subresource);
    return found;
  });
  if (resources.length > 1 && resources.includes("*/*")) {
    errors.push(invalid(path, resources, "if '*/*' is present, must not specify other resources"));
  }
  // Upstream looks at the last resource without a subresource.
  const last = resources.findLast((text) => text && !text.includes("/"));
  if (resources.includes("*") && last !== undefined && last !== "*") {
    const detail = "if '*' is present, must not specify other resources without subresources";
    errors.push(invalid(path, resources, detail));
  }
  return errors;
}
