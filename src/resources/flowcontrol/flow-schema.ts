/** FlowSchemas: which requests belong together. They are kept; this server queues nothing by them. */
import type { FlowSchema } from "../../api/flowcontrol/v1.ts";
import { invalid, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange, firstGeneration } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { each, oneOf, validDnsSubdomain } from "../validation/rules.ts";

export const flowSchemas = defineResource<FlowSchema>({
  ...served("flowcontrol.apiserver.k8s.io/v1", "flowschemas"),
  statusKeeps: "metadata",
  defaults({ spec }) {
    spec.matchingPrecedence ||= 1000;
  },
  beforeCreate: firstGeneration<FlowSchema>({}),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate({ spec }) {
    const precedence = spec.matchingPrecedence ?? 0;
    const levelPath = specPath.child("priorityLevelConfiguration", "name");
    const level = spec.priorityLevelConfiguration?.name;
    return [
      ...(precedence < 1 || precedence > 10000
        ? [
            invalid(
              specPath.child("matchingPrecedence"),
              precedence,
              precedence < 1 ? "must be a positive value" : "must not be greater than 10000",
            ),
          ]
        : []),
      ...(spec.distinguisherMethod
        ? oneOf(
            spec.distinguisherMethod.type,
            ["ByNamespace", "ByUser"],
            specPath.child("distinguisherMethod").child("type"),
          )
        : []),
      ...(level ? validDnsSubdomain(level, levelPath) : [required(levelPath, "must reference a priority level")]),
      ...each(spec.rules, specPath.child("rules"), (rule, at) => [
        ...(rule.subjects?.length ? [] : [required(at.child("subjects"), "subjects must contain at least one value")]),
        ...(rule.resourceRules?.length || rule.nonResourceRules?.length
          ? []
          : [required(at, "at least one of resourceRules and nonResourceRules has to be non-empty")]),
      ]),
    ];
  },
  columns: [
    name,
    text("PriorityLevel", ({ spec }) => spec.priorityLevelConfiguration?.name ?? ""),
    text("MatchingPrecedence", ({ spec }) => spec.matchingPrecedence ?? 0),
    text("DistinguisherMethod", ({ spec }) => spec.distinguisherMethod?.type ?? none),
    age,
    text("MissingPL", ({ status }) => {
      const dangling = status?.conditions?.find(({ type }) => type === "Dangling");
      return dangling?.status === "True" || dangling?.status === "False" ? dangling.status : "?";
    }),
  ],
});
