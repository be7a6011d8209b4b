/** Which flow a request belongs to: the first FlowSchema, by precedence, that a rule of matches. */
import type {
  FlowSchema,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
  Subject,
} from "../../api/flowcontrol/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import type { Attributes } from "../../apiserver/authorization.ts";

export interface Flow {
  schema: string;
  /** The FlowSchema's. */
  uid: string;
  priorityLevel: string;
  /** Tells apart those that are to be treated equally: the schema, and a user or a namespace of it. */
  key: string;
  /** That user or namespace; empty when the schema tells nobody apart. */
  distinguisher: string;
}

/** In the order in which they are asked. */
export function orderedSchemas(schemas: Iterable<DeepReadonly<FlowSchema>>): DeepReadonly<FlowSchema>[] {
  const precedence = ({ spec }: DeepReadonly<FlowSchema>) => spec.matchingPrecedence ?? 1000;
  return [...schemas].sort((a, b) => precedence(a) - precedence(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
}

export function flowOf(attributes: Attributes, ordered: readonly DeepReadonly<FlowSchema>[]): Flow | undefined {
  for (const { metadata, spec } of ordered) {
    if (!spec.rules?.some((rule) => matches(rule, attributes))) continue;
    const method = spec.distinguisherMethod?.type;
    const distinguisher =
      method === "ByUser" ? attributes.user.name : method === "ByNamespace" ? attributes.namespace : "";
    const schema = metadata.name;
    return {
      schema,
      uid: metadata.uid,
      priorityLevel: spec.priorityLevelConfiguration.name,
      key: `${schema}\0${distinguisher}`,
      distinguisher,
    };
  }
  return undefined;
}

function matches(rule: DeepReadonly<PolicyRulesWithSubjects>, attributes: Attributes): boolean {
  if (!rule.subjects.some((subject) => isSubject(subject, attributes.user))) return false;
  return attributes.isResource
    ? (rule.resourceRules ?? []).some((one) => matchesResource(one, attributes))
    : (rule.nonResourceRules ?? []).some((one) => matchesPath(one, attributes));
}

function isSubject({ kind, user, group, serviceAccount }: DeepReadonly<Subject>, { name, groups }: UserInfo): boolean {
  switch (kind) {
    case "User":
      return user?.name === "*" || user?.name === name;
    case "Group":
      return group?.name === "*" || groups.includes(group?.name ?? "");
    case "ServiceAccount": {
      const prefix = `system:serviceaccount:${serviceAccount?.namespace}:`;
      return serviceAccount?.name === "*" ? name.startsWith(prefix) : name === prefix + serviceAccount?.name;
    }
    default:
      return false;
  }
}

function matchesResource(rule: DeepReadonly<ResourcePolicyRule>, attributes: Attributes): boolean {
  const { verb, group, resource, subresource, namespace } = attributes;
  if (!holds(rule.verbs, verb) || !holds(rule.apiGroups, group)) return false;
  if (!holds(rule.resources, subresource ? `${resource}/${subresource}` : resource)) return false;
  return namespace === "" ? rule.clusterScope === true : holds(rule.namespaces ?? [], namespace);
}

function matchesPath(
  { verbs, nonResourceURLs }: DeepReadonly<NonResourcePolicyRule>,
  { verb, path }: Attributes,
): boolean {
  if (!holds(verbs, verb)) return false;
  return nonResourceURLs.some((url) => (url.endsWith("*") ? path.startsWith(url.slice(0, -1)) : url === path));
}

function holds(list: readonly string[], value: string): boolean {
  return list.includes("*") || list.includes(value);
}
