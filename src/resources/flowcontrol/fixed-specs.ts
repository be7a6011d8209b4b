/**
 * The FlowSchemas and PriorityLevelConfigurations that no cluster goes without, `exempt` and `catch-all`, are what they are: of them all
 * only the shares of the exempt level may be changed.
 */
import type { FlowSchema, PolicyRulesWithSubjects, PriorityLevelConfiguration } from "../../api/flowcontrol/v1.ts";
import { type FieldError, invalid, spec as specPath } from "../../apimachinery/field-error.ts";
import { internalPrinter } from "../internal-printer.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

type SchemaSpec = FlowSchema["spec"];
type LevelSpec = PriorityLevelConfiguration["spec"];

const everythingOf = (...groups: string[]): PolicyRulesWithSubjects => ({
  subjects: groups.map((name) => ({ kind: "Group", group: { name } })),
  resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], clusterScope: true, namespaces: ["*"] }],
  nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
});

const schemas = new Map<string, SchemaSpec>([
  [
    "exempt",
    {
      priorityLevelConfiguration: { name: "exempt" },
      matchingPrecedence: 1,
      rules: [everythingOf("system:masters")],
    },
  ],
  [
    "catch-all",
    {
      priorityLevelConfiguration: { name: "catch-all" },
      matchingPrecedence: 10_000,
      distinguisherMethod: { type: "ByUser" },
      rules: [everythingOf("system:unauthenticated", "system:authenticated")],
    },
  ],
]);

const catchAllLevel: LevelSpec = {
  type: "Limited",
  limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: "Reject" } },
};

/** As upstream declares them; see core/internal-form.ts for the notation. */
const internalForm = internalPrinter({
  FlowSchemaSpec:
    "PriorityLevelConfiguration:Named MatchingPrecedence# DistinguisherMethod:*Typed Rules:[]PolicyRulesWithSubjects",
  Named: "Name",
  Typed: "Type",
  PolicyRulesWithSubjects:
    "Subjects:[]Subject ResourceRules:[]ResourcePolicyRule NonResourceRules:[]NonResourcePolicyRule",
  Subject: "Kind User:*Named Group:*Named ServiceAccount:*ServiceAccount",
  ServiceAccount: "Namespace Name",
  ResourcePolicyRule: "Verbs* APIGroups* Resources* ClusterScope? Namespaces*",
  NonResourcePolicyRule: "Verbs* NonResourceURLs=nonResourceURLs*",
  PriorityLevelConfigurationSpec: "Type Limited:*Limited Exempt:*Exempt",
  Limited: "NominalConcurrencyShares# LimitResponse:LimitResponse LendablePercent* BorrowingLimitPercent*",
  Exempt: "NominalConcurrencyShares* LendablePercent*",
  LimitResponse: "Type Queuing:*Queuing",
  Queuing: "Queues# HandSize# QueueLengthLimit#",
});

/** `name` is the FlowSchema's. */
export function fixedSchemaSpec(name: string, spec: SchemaSpec): FieldError[] {
  const fixed = schemas.get(name);
  if (!fixed || semanticallyEqual(spec, fixed)) return [];
  return [invalid(specPath, internalForm("FlowSchemaSpec", spec), mustEqual(name))];
}

/** `name` is the PriorityLevelConfiguration's. */
export function fixedLevelSpec(name: string, spec: LevelSpec): FieldError[] {
  const shown = () => internalForm("PriorityLevelConfigurationSpec", spec);
  if (name === "exempt" && (spec.type !== "Exempt" || spec.limited)) {
    return [invalid(specPath, shown(), mustEqual("exempt", " except the 'spec.exempt' field"))];
  }
  if (name === "catch-all" && !semanticallyEqual(spec, catchAllLevel)) {
    return [invalid(specPath, shown(), mustEqual("catch-all"))];
  }
  return [];
}

const mustEqual = (name: string, but = "") => `spec of '${name}'${but} must equal the fixed value`;
