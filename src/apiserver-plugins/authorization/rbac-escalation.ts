/** Nobody hands out more than they have: checks who writes roles and bindings (upstream: the policy-based storage of RBAC). */

import type { DeepReadonly } from "../../api/object.ts";
import type { ClusterRole, PolicyRule, Role, RoleBinding } from "../../api/rbac/v1.ts";
import { ClusterRoles, Roles } from "../../api/resources.ts";
import { deepEqual } from "../../apimachinery/patch/deep-equal.ts";
import { forbiddenError, notFoundError } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import { type Authorizer, authorizeByAll } from "../../apiserver/authorization.ts";
import type { ObjectReader } from "../object-reader.ts";

type Rule = DeepReadonly<PolicyRule>;

export interface EscalationOptions {
  /** All rules that the user has in the namespace; cluster-wide ones alone when it is empty. */
  rulesOf(user: UserInfo, namespace: string): Iterable<Rule>;
  authorizers(): readonly Authorizer[];
  objects: ObjectReader;
}

const group = "rbac.authorization.k8s.io";
const everything: readonly Rule[] = [
  { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
  { verbs: ["*"], nonResourceURLs: ["*"] },
];

/** Always on: it is no admission plugin upstream, and cannot be switched off. */
export function escalationCheck(options: EscalationOptions): AdmissionPlugin {
  return {
    name: "RBACEscalationCheck",
    handles: ({ definition, operation, subresource, user }) =>
      definition.group === group &&
      subresource === "" &&
      (operation === "CREATE" || operation === "UPDATE") &&
      !user.groups.includes("system:masters"),
    async validate(request) {
      const { plural } = request.definition;
      if (plural === "roles" || plural === "clusterroles") await checkRole(request, options);
      else await checkBinding(request, options);
    },
  };
}

async function checkRole(request: AdmissionRequest, options: EscalationOptions): Promise<void> {
  const role = request.object as unknown as Role & Pick<ClusterRole, "aggregationRule">;
  const before = request.oldObject as unknown as DeepReadonly<ClusterRole> | undefined;
  // Who changes nothing but labels grants nothing.
  if (
    before &&
    deepEqual(before.rules ?? [], role.rules ?? []) &&
    deepEqual(before.aggregationRule, role.aggregationRule)
  )
    return;
  if (await may("escalate", request.definition.plural, request.name || role.metadata.name, request, options)) return;
  confirm(role.rules ?? [], request, options, "");
  if (role.aggregationRule)
    confirm(everything, request, options, "must have cluster-admin privileges to use an aggregationRule: ");
}

async function checkBinding(request: AdmissionRequest, options: EscalationOptions): Promise<void> {
  const { roleRef, subjects } = request.object as unknown as RoleBinding;
  const before = request.oldObject as unknown as DeepReadonly<RoleBinding> | undefined;
  if (before && deepEqual(before.roleRef, roleRef) && deepEqual(before.subjects ?? [], subjects ?? [])) return;
  const plural = roleRef.kind === "Role" ? "roles" : "clusterroles";
  if (await may("bind", plural, roleRef.name, request, options)) return;
  const role =
    roleRef.kind === "Role"
      ? await options.objects.get(Roles, request.namespace, roleRef.name)
      : await options.objects.get(ClusterRoles, "", roleRef.name);
  if (!role) throw notFoundError({ group, resource: plural }, roleRef.name);
  confirm((role.rules ?? []) as readonly Rule[], request, options, "");
}

async function may(
  verb: string,
  resource: string,
  name: string,
  request: AdmissionRequest,
  options: EscalationOptions,
): Promise<boolean> {
  const { kind } = await authorizeByAll(options.authorizers(), {
    user: request.user,
    verb,
    isResource: true,
    group,
    version: "v1",
    resource,
    subresource: "",
    namespace: request.namespace,
    name,
    path: "",
  });
  return kind === "allow";
}

function confirm(
  wanted: readonly Rule[],
  request: AdmissionRequest,
  options: EscalationOptions,
  preface: string,
): void {
  const { user, definition, name, object, namespace } = request;
  const held = [...options.rulesOf(user, namespace)];
  const missing = wanted
    .flatMap((rule) => [...singleRules(rule)])
    .filter((rule) => !held.some((one) => covers(one, rule)));
  if (missing.length === 0) return;
  const groups = user.groups.map((one) => JSON.stringify(one)).join(" ");
  const texts = [...new Set(compact(missing).map(ruleText))].sort();
  throw forbiddenError(
    { group, resource: definition.plural },
    name || object?.metadata.name || "",
    `${preface}user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${texts.join("\n")}`,
  );
}

/** One rule for each verb, group, resource and name. */
function* singleRules(rule: Rule): Generator<Rule> {
  for (const verb of rule.verbs) {
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const single = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (!rule.resourceNames?.length) yield single;
        for (const name of rule.resourceNames ?? []) yield { ...single, resourceNames: [name] };
      }
    }
    for (const url of rule.nonResourceURLs ?? []) yield { verbs: [verb], nonResourceURLs: [url] };
  }
}

const has = (values: readonly string[] | undefined, value: string | undefined) =>
  !!values && value !== undefined && (values.includes("*") || values.includes(value));

/** Whether `held` grants all of `wanted`, a single rule. */
function covers(held: Rule, wanted: Rule): boolean {
  if (!has(held.verbs, wanted.verbs[0])) return false;
  const [url] = wanted.nonResourceURLs ?? [];
  if (url !== undefined) {
    return (held.nonResourceURLs ?? []).some(
      (pattern) => pattern === url || (pattern.endsWith("*") && url.startsWith(pattern.slice(0, -1))),
    );
  }
  const [resource = ""] = wanted.resources ?? [];
  const slash = resource.indexOf("/");
  const anyOfSub = slash >= 0 && held.resources?.includes(`*${resource.slice(slash)}`);
  if (!has(held.apiGroups, wanted.apiGroups?.[0]) || !(has(held.resources, resource) || anyOfSub)) return false;
  return !held.resourceNames?.length || held.resourceNames.includes(wanted.resourceNames?.[0] ?? "");
}

/** Rules about the same resource become one with several verbs. */
function compact(rules: readonly Rule[]): Rule[] {
  const merged = new Map<string, { verbs: string[] } & Rule>();
  for (const rule of rules) {
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs]);
    const known = merged.get(key);
    if (!known) merged.set(key, { ...rule, verbs: [...rule.verbs] });
    else known.verbs.push(...rule.verbs.filter((verb) => !known.verbs.includes(verb)));
  }
  return [...merged.values()];
}

function ruleText(rule: Rule): string {
  const part = (title: string, values: readonly string[] | undefined) =>
    values?.length ? [`${title}:[${values.map((value) => JSON.stringify(value)).join(" ")}]`] : [];
  return `{${[
    ...part("APIGroups", rule.apiGroups),
    ...part("Resources", rule.resources),
    ...part("ResourceNames", rule.resourceNames),
    ...part("NonResourceURLs", rule.nonResourceURLs),
    ...part("Verbs", rule.verbs),
  ].join(", ")}}`;
}
