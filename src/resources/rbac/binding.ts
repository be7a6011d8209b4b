/** RoleBindings and ClusterRoleBindings: who has a role. */
import type { ClusterRoleBinding, RoleBinding, Subject } from "../../api/rbac/v1.ts";
import { type FieldError, FieldPath, invalid, notSupported, required } from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, pathSegmentProblems } from "../../apimachinery/name-validation.ts";
import { type Column, defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, obeys } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

type Binding = RoleBinding | ClusterRoleBinding;

const group = "rbac.authorization.k8s.io";
const rolePath = FieldPath.root.child("roleRef");
const subjectsPath = FieldPath.root.child("subjects");

export const roleBindings = defineResource<RoleBinding>({
  ...served(`${group}/v1`, "rolebindings"),
  metadataLooks: { update: ["whole", "change"] },
  allowCreateOnUpdate: true,
  validateName: "path-segment",
  defaults: defaultBinding,
  validate: (next, previous) => validBinding(next, previous, true),
  columns: bindingColumns(),
});

export const clusterRoleBindings = defineResource<ClusterRoleBinding>({
  ...served(`${group}/v1`, "clusterrolebindings"),
  metadataLooks: { update: ["whole", "change"] },
  allowCreateOnUpdate: true,
  validateName: "path-segment",
  defaults: defaultBinding,
  validate: (next, previous) => validBinding(next, previous, false),
  columns: bindingColumns(),
});

function defaultBinding({ roleRef, subjects }: Binding): void {
  if (roleRef) roleRef.apiGroup ||= group;
  for (const subject of subjects ?? []) {
    if (subject.kind === "User" || subject.kind === "Group") subject.apiGroup ||= group;
  }
}

function validBinding(next: Binding, previous: Binding | undefined, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const { roleRef, subjects } = next;
  const kinds = namespaced ? ["Role", "ClusterRole"] : ["ClusterRole"];
  if (roleRef?.apiGroup && roleRef.apiGroup !== group) {
    errors.push(notSupported(rolePath.child("apiGroup"), roleRef.apiGroup, [group]));
  }
  if (!kinds.includes(roleRef?.kind ?? ""))
    errors.push(notSupported(rolePath.child("kind"), roleRef?.kind ?? "", kinds));
  if (!roleRef?.name) errors.push(required(rolePath.child("name")));
  else errors.push(...obeys(roleRef.name, pathSegmentProblems, rolePath.child("name")));
  errors.push(...each(subjects, subjectsPath, (subject, at) => validSubject(subject, namespaced, at)));
  if (previous && !semanticallyEqual(roleRef, previous.roleRef)) {
    const { apiGroup = "", kind = "", name: roleName = "" } = roleRef ?? {};
    errors.push(invalid(rolePath, { APIGroup: apiGroup, Kind: kind, Name: roleName }, "cannot change roleRef"));
  }
  return errors;
}

function validSubject(subject: Subject, namespaced: boolean, path: FieldPath): FieldError[] {
  const errors = subject.name ? [] : [required(path.child("name"))];
  const apiGroup = subject.apiGroup ?? "";
  switch (subject.kind) {
    case "ServiceAccount":
      if (subject.name) errors.push(...obeys(subject.name, dns1123SubdomainProblems, path.child("name")));
      if (apiGroup) errors.push(notSupported(path.child("apiGroup"), apiGroup, [""]));
      if (!namespaced && !subject.namespace) errors.push(required(path.child("namespace")));
      return errors;
    case "User":
    case "Group":
      if (apiGroup !== group) errors.push(notSupported(path.child("apiGroup"), apiGroup, [group]));
      return errors;
    default:
      return [...errors, notSupported(path.child("kind"), subject.kind ?? "", ["ServiceAccount", "User", "Group"])];
  }
}

function bindingColumns(): readonly Column<Binding>[] {
  const namesOf = (kind: string) => (binding: Binding) =>
    (binding.subjects ?? [])
      .filter((subject) => subject.kind === kind)
      .map((subject) => (kind === "ServiceAccount" ? `${subject.namespace ?? ""}/${subject.name}` : subject.name))
      .join(", ");
  return [
    name,
    text("Role", ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
    age,
    wide(text("Users", namesOf("User"))),
    wide(text("Groups", namesOf("Group"))),
    wide(text("ServiceAccounts", namesOf("ServiceAccount"))),
  ];
}
