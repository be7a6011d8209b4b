/** Which names a CustomResourceDefinition may have, and the conditions that tell (pure). */
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionStatus,
} from "../../api/apiextensions/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { approvalOf, isProtectedGroup } from "../../apimachinery/api-approval.ts";
import { caBundleProblem } from "../../apimachinery/ca-bundle.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";

type Definition = DeepReadonly<CustomResourceDefinition>;
type Names = DeepReadonly<CustomResourceDefinitionNames>;
type Condition = CustomResourceDefinitionCondition;

export function isEstablished({ status }: Definition): boolean {
  return conditionOf(status?.conditions, "Established")?.status === "True";
}

/** The status that the definition should have beside these others of its group. The same object when nothing changes. */
export function plannedStatus(
  definition: Definition,
  others: readonly Definition[],
  time: string,
): DeepReadonly<CustomResourceDefinitionStatus> {
  const { status, spec } = definition;
  const taken = others.filter((other) => other.spec.group === spec.group && other !== definition);
  const { accepted, conflict } = acceptNames(spec.names, status?.acceptedNames, taken);
  let conditions = (status?.conditions ?? []) as Condition[];
  const approval = approvalCondition(definition);
  if (approval) conditions = withCondition(conditions, approval, time);
  conditions = withCondition(
    conditions,
    conflict ?? { type: "NamesAccepted", status: "True", reason: "NoConflicts", message: "no conflicts found" },
    time,
  );
  if (!isEstablished(definition)) {
    conditions = withCondition(conditions, establishment(definition, conflict !== undefined), time);
  }
  if (conditions === status?.conditions && semanticEqual(accepted, status?.acceptedNames)) return status;
  return { ...status, conditions, acceptedNames: accepted as CustomResourceDefinitionNames };
}

/** Whether it begins to be served. Once it is, it stays so. */
function establishment({ spec }: Definition, isConflict: boolean): Omit<Condition, "lastTransitionTime"> {
  const type = "Established";
  if (isConflict) return { type, status: "False", reason: "NotAccepted", message: "not all names are accepted" };
  if (caBundleProblem(spec.conversion?.webhook?.clientConfig?.caBundle ?? "")) {
    return {
      type,
      status: "False",
      reason: "InvalidCABundle",
      message: "The conversion webhook CABundle is invalid",
    };
  }
  return { type, status: "True", reason: "InitialNamesAccepted", message: "the initial names have been accepted" };
}

/** What is said of a definition in one of the project's own groups; undefined of all others. */
function approvalCondition({ spec, metadata }: Definition): Omit<Condition, "lastTransitionTime"> | undefined {
  if (!isProtectedGroup(spec.group)) return undefined;
  const { state, message } = approvalOf(metadata.annotations);
  const status = state === "Approved" ? "True" : "False";
  return { type: "KubernetesAPIApprovalPolicyConformant", status, reason: `${state}Annotation`, message };
}

/** Each name is accepted unless another definition of the group has it; those that are not keep what was accepted before. */
function acceptNames(
  wanted: Names,
  current: Names | undefined,
  others: readonly Definition[],
): { accepted: Names; conflict: Condition | undefined } {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { status } of others) {
    const names = status?.acceptedNames;
    if (!names) continue;
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])]) if (name) resources.add(name);
    for (const kind of [names.kind, names.listKind]) if (kind) kinds.add(kind);
  }
  // Of several conflicts the last is told, as upstream.
  let found: { reason: string; message: string } | undefined;
  const inUse = (name: string) => `${JSON.stringify(name)} is already in use`;
  const accept = <T extends string | undefined>(value: T, before: T, taken: Set<string>, reason: string): T => {
    if (!value || value === before || !taken.has(value)) return value;
    found = { reason, message: inUse(value) };
    return before;
  };
  const plural = accept(wanted.plural, current?.plural ?? "", resources, "PluralConflict");
  const singular = accept(wanted.singular, current?.singular, resources, "SingularConflict");
  const taken = (wanted.shortNames ?? []).filter((name) => resources.has(name) && !current?.shortNames?.includes(name));
  if (taken.length > 0) {
    const problems = [...new Set(taken.map(inUse))];
    const message = problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]`;
    found = { reason: "ShortNamesConflict", message };
  }
  const shortNames = taken.length > 0 ? current?.shortNames : wanted.shortNames;
  const kind = accept(wanted.kind, current?.kind ?? "", kinds, "KindConflict");
  const listKind = accept(wanted.listKind, current?.listKind, kinds, "ListKindConflict");
  const accepted: Names = {
    plural,
    ...(singular ? { singular } : {}),
    ...(shortNames ? { shortNames } : {}),
    kind,
    ...(listKind ? { listKind } : {}),
    ...(wanted.categories ? { categories: wanted.categories } : {}),
  };
  const conflict = found && ({ type: "NamesAccepted", status: "False", ...found } as Condition);
  return { accepted, conflict };
}

function conditionOf(conditions: DeepReadonly<Condition[]> | undefined | null, type: string) {
  return conditions?.find((condition) => condition.type === type);
}

/** The same list when it says so already; the time of the last transition stays unless the status changes. */
export function withCondition(
  conditions: Condition[],
  wanted: Omit<Condition, "lastTransitionTime">,
  time: string,
): Condition[] {
  const standing = conditions.find(({ type }) => type === wanted.type);
  if (standing?.status === wanted.status && standing.reason === wanted.reason && standing.message === wanted.message)
    return conditions;
  const lastTransitionTime = standing && standing.status === wanted.status ? standing.lastTransitionTime : time;
  const { type, status, reason, message } = wanted;
  const condition = {
    type,
    status,
    lastTransitionTime,
    ...(reason ? { reason } : {}),
    ...(message ? { message } : {}),
  } as Condition;
  return standing ? conditions.map((one) => (one === standing ? condition : one)) : [...conditions, condition];
}
