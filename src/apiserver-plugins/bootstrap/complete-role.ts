/** What a start gives back to default roles and bindings that lack it (upstream: the RBAC reconciler). Adds, never takes away. */
import type { ObjectMeta } from "../../api/meta/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { AggregationRule, PolicyRule, Subject } from "../../api/rbac/v1.ts";

/** A Role, a ClusterRole, or a binding of one. */
type RoleOrBinding = DeepReadonly<{
  metadata: Pick<ObjectMeta, "labels" | "annotations">;
  rules?: PolicyRule[];
  aggregationRule?: AggregationRule;
  subjects?: Subject[];
}>;
type Rule = DeepReadonly<PolicyRule>;

const autoupdate = "rbac.authorization.kubernetes.io/autoupdate";

/** The object to write; undefined when it has everything already, or its annotation asks to leave it alone. */
export function completed<T extends RoleOrBinding>(is: T, should: RoleOrBinding): T | undefined {
  if (is.metadata.annotations?.[autoupdate] === "false") return undefined;
  const lackedRules = is.aggregationRule ? [] : lacking(is.rules, should.rules, isCovered);
  const lackedSubjects = lacking(is.subjects, should.subjects, (subject, there) => there.some(isSame(subject)));
  const labels = { ...should.metadata.labels, ...is.metadata.labels };
  const annotations = { ...should.metadata.annotations, ...is.metadata.annotations };
  const isWhole =
    lackedRules.length === 0 &&
    lackedSubjects.length === 0 &&
    size(labels) === size(is.metadata.labels) &&
    size(annotations) === size(is.metadata.annotations);
  if (isWhole) return undefined;
  return {
    ...is,
    metadata: { ...is.metadata, labels, annotations },
    ...(lackedRules.length > 0 ? { rules: [...(is.rules ?? []), ...lackedRules] } : {}),
    ...(lackedSubjects.length > 0 ? { subjects: [...(is.subjects ?? []), ...lackedSubjects] } : {}),
  };
}

function lacking<T>(
  is: readonly T[] = [],
  should: readonly T[] = [],
  isThere: (one: T, there: readonly T[]) => boolean,
): T[] {
  return should.filter((one) => !isThere(one, is));
}

function isSame(subject: DeepReadonly<Subject>) {
  const key = ({ kind, apiGroup = "", name, namespace = "" }: DeepReadonly<Subject>) =>
    `${kind}/${apiGroup}/${namespace}/${name}`;
  return (other: DeepReadonly<Subject>) => key(other) === key(subject);
}

/** Whether one of the rules gives all that this one does. */
function isCovered(rule: Rule, rules: readonly Rule[]): boolean {
  const holds = (has: readonly string[] = [], wants: readonly string[] = []) =>
    has.includes("*") || wants.every((one) => has.includes(one));
  return rules.some(
    (other) =>
      holds(other.verbs, rule.verbs) &&
      holds(other.apiGroups, rule.apiGroups) &&
      holds(other.resources, rule.resources) &&
      holds(other.nonResourceURLs, rule.nonResourceURLs) &&
      ((other.resourceNames ?? []).length === 0 ||
        ((rule.resourceNames ?? []).length > 0 && holds(other.resourceNames, rule.resourceNames))),
  );
}

function size(record: Readonly<Record<string, string>> = {}): number {
  return Object.keys(record).length;
}
