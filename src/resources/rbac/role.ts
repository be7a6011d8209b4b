/** Roles: what may be done within a namespace. */
import type { Role } from "../../api/rbac/v1.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { served } from "../served.ts";
import { validRules } from "./policy-rule.ts";

export const roles = defineResource<Role>({
  ...served("rbac.authorization.k8s.io/v1", "roles"),
  metadataLooks: { update: ["whole", "change"] },
  allowCreateOnUpdate: true,
  validateName: "path-segment",
  validate: ({ rules }) => validRules(rules, true),
});
