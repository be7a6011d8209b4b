/** ClusterRoles: what may be done anywhere, or in whichever namespace a binding names. */
import type { ClusterRole } from "../../api/rbac/v1.ts";
import { FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { matcherOrUndefined } from "../apps/workload.ts";
import { served } from "../served.ts";
import { hasInvalidValue, validLabelSelector } from "../validation/label-selector.ts";
import { each } from "../validation/rules.ts";
import { validRules } from "./policy-rule.ts";

const selectorsPath = FieldPath.root.child("aggregationRule", "clusterRoleSelectors");

export const clusterRoles = defineResource<ClusterRole>({
  ...served("rbac.authorization.k8s.io/v1", "clusterroles"),
  metadataLooks: { update: ["whole", "change"] },
  allowCreateOnUpdate: true,
  validateName: "path-segment",
  validate({ rules, aggregationRule }, previous) {
    const errors = validRules(rules, false);
    if (!aggregationRule) return errors;
    const selectors = aggregationRule.clusterRoleSelectors;
    if (!selectors?.length) {
      errors.push(required(selectorsPath, "at least one clusterRoleSelector required if aggregationRule is non-nil"));
    }
    // What older rules let in stays usable.
    const allowInvalidValues = !!previous?.aggregationRule?.clusterRoleSelectors?.some(hasInvalidValue);
    return [
      ...errors,
      ...each(selectors, selectorsPath, (selector, at) => [
        ...validLabelSelector(selector, at, { allowInvalidValues }),
        ...(matcherOrUndefined(selector) ? [] : [invalid(at, null, "invalid label selector.")]),
      ]),
    ];
  },
});
