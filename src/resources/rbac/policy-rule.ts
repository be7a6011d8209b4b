/** One rule of a Role or ClusterRole. */
import type { PolicyRule } from "../../api/rbac/v1.ts";
import { type FieldError, FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { each } from "../validation/rules.ts";

const rulesPath = FieldPath.root.child("rules");

export function validRules(rules: readonly PolicyRule[] | undefined | null, namespaced: boolean): FieldError[] {
  return each(rules, rulesPath, (rule, path) => {
    const errors: FieldError[] = [];
    if (!rule.verbs?.length) errors.push(required(path.child("verbs"), "verbs must contain at least one value"));
    if (rule.nonResourceURLs?.length) {
      const urlsPath = path.child("nonResourceURLs");
      if (namespaced) {
        const detail = "namespaced rules cannot apply to non-resource URLs";
        errors.push(invalid(urlsPath, rule.nonResourceURLs, detail));
      }
      if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length) {
        const detail = "rules cannot apply to both regular resources and non-resource URLs";
        errors.push(invalid(urlsPath, rule.nonResourceURLs, detail));
      }
      return errors;
    }
    if (!rule.apiGroups?.length) {
      errors.push(required(path.child("apiGroups"), "resource rules must supply at least one api group"));
    }
    if (!rule.resources?.length) {
      errors.push(required(path.child("resources"), "resource rules must supply at least one resource"));
    }
    return errors;
  });
}
