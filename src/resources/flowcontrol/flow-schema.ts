/** FlowSchemas: which requests belong together. They are kept; this server queues nothing by them. */
import type { FlowSchema } from "../../api/flowcontrol/v1.ts";
import {
  type FieldError,
  invalid,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange, firstGeneration } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { distinctConditions } from "../validation/conditions.ts";
import { each, validDnsSubdomain } from "../validation/rules.ts";
import { fixedSchemaSpec } from "./fixed-specs.ts";
import { validRule } from "./policy-rules.ts";

export const flowSchemas = defineResource<FlowSchema>({
  ...served("flowcontrol.apiserver.k8s.io/v1", "flowschemas"),
  metadataLooks: { update: ["whole"], status: [] },
  statusKeeps: "metadata",
  defaults({ spec }) {
    spec.matchingPrecedence ||= 1000;
  },
  beforeCreate: firstGeneration<FlowSchema>({}),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ metadata, spec }) => [
    ...validFlowSchema(metadata.name ?? "", spec),
    ...fixedSchemaSpec(metadata.name ?? "", spec),
  ],
  validateStatus: ({ status }) => distinctConditions(status.conditions, statusPath.child("conditions")),
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

const highestPrecedence = 10_000;

function validFlowSchema(schemaName: string, spec: FlowSchema["spec"]): FieldError[] {
  const precedence = spec.matchingPrecedence ?? 0;
  const precedencePath = specPath.child("matchingPrecedence");
  const errors: FieldError[] = [];
  if (precedence <= 0) errors.push(invalid(precedencePath, precedence, "must be a positive value"));
  if (precedence > highestPrecedence) {
    errors.push(invalid(precedencePath, precedence, `must not be greater than ${highestPrecedence}`));
  }
  if (precedence === 1 && schemaName !== "exempt") {
    const detail = "only the schema named 'exempt' may have matchingPrecedence 1";
    errors.push(invalid(precedencePath, precedence, detail));
  }
  const method = spec.distinguisherMethod;
  if (method && !["ByNamespace", "ByUser"].includes(method.type)) {
    const shown = { Type: method.type };
    errors.push(notSupported(specPath.child("distinguisherMethod", "type"), shown, ["ByNamespace", "ByUser"]));
  }
  const levelPath = specPath.child("priorityLevelConfiguration", "name");
  const level = spec.priorityLevelConfiguration?.name;
  errors.push(
    ...(level ? validDnsSubdomain(level, levelPath) : [required(levelPath, "must reference a priority level")]),
  );
  return [...errors, ...each(spec.rules, specPath.child("rules"), validRule)];
}
