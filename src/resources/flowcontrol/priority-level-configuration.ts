/** PriorityLevelConfigurations: how many requests of a kind run at once. They are kept; this server queues nothing by them. */
import type {
  LimitedPriorityLevelConfiguration,
  LimitResponse,
  PriorityLevelConfiguration,
} from "../../api/flowcontrol/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
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

export const priorityLevelConfigurations = defineResource<PriorityLevelConfiguration>({
  ...served("flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations"),
  metadataLooks: { update: ["whole"], status: [] },
  statusKeeps: "metadata",
  defaults({ spec: { exempt, limited } }) {
    if (exempt) {
      exempt.nominalConcurrencyShares ??= 0;
      exempt.lendablePercent ??= 0;
    }
    if (!limited) return;
    limited.nominalConcurrencyShares ??= 30;
    limited.lendablePercent ??= 0;
    if (limited.limitResponse?.type !== "Queue") return;
    limited.limitResponse.queuing ??= {};
    limited.limitResponse.queuing.queues ||= 64;
    limited.limitResponse.queuing.handSize ||= 8;
    limited.limitResponse.queuing.queueLengthLimit ||= 50;
  },
  beforeCreate: firstGeneration<PriorityLevelConfiguration>({}),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ metadata, spec }) => validLevel(metadata.name ?? "", spec),
  validateStatus: ({ status }) => distinctConditions(status.conditions, statusPath.child("conditions")),
  columns: [
    name,
    text("Type", ({ spec }) => spec.type),
    text("NominalConcurrencyShares", ({ spec }) => (spec.limited ?? spec.exempt)?.nominalConcurrencyShares ?? none),
    text("Queues", ({ spec }) => spec.limited?.limitResponse?.queuing?.queues ?? none),
    text("HandSize", ({ spec }) => spec.limited?.limitResponse?.queuing?.handSize ?? none),
    text("QueueLengthLimit", ({ spec }) => spec.limited?.limitResponse?.queuing?.queueLengthLimit ?? none),
    age,
  ],
});

function validLevel(levelName: string, spec: PriorityLevelConfiguration["spec"]): FieldError[] {
  const typePath = specPath.child("type");
  const limitedPath = specPath.child("limited");
  const exemptPath = specPath.child("exempt");
  const errors: FieldError[] = [];
  if ((levelName === "exempt") !== (spec.type === "Exempt")) {
    errors.push(invalid(typePath, spec.type, "type must be 'Exempt' if and only if `name` is 'exempt'"));
  }
  switch (spec.type) {
    case "Exempt":
      if (spec.limited) errors.push(forbidden(limitedPath, "must be nil if the type is not Limited"));
      return [...errors, ...validShares(spec.exempt, exemptPath)];
    case "Limited":
      if (spec.exempt) errors.push(forbidden(exemptPath, "must be nil if the type is Limited"));
      if (!spec.limited) return [...errors, required(limitedPath, "must not be empty when type is Limited")];
      return [
        ...errors,
        ...validShares(spec.limited, limitedPath),
        ...validResponse(spec.limited.limitResponse, limitedPath.child("limitResponse")),
      ];
    default:
      return [...errors, notSupported(typePath, spec.type, ["Exempt", "Limited"])];
  }
}

type Shares = Pick<
  LimitedPriorityLevelConfiguration,
  "nominalConcurrencyShares" | "lendablePercent" | "borrowingLimitPercent"
>;

function validShares(shares: Shares | undefined, path: FieldPath): FieldError[] {
  const { lendablePercent = 0, borrowingLimitPercent = 0 } = shares ?? {};
  const nominal = shares?.nominalConcurrencyShares ?? 0;
  const errors: FieldError[] = [];
  if (nominal < 0) {
    errors.push(invalid(path.child("nominalConcurrencyShares"), nominal, "must be a non-negative integer"));
  }
  if (lendablePercent < 0 || lendablePercent > 100) {
    errors.push(invalid(path.child("lendablePercent"), lendablePercent, "must be between 0 and 100, inclusive"));
  }
  if (borrowingLimitPercent < 0) {
    errors.push(
      invalid(
        path.child("borrowingLimitPercent"),
        borrowingLimitPercent,
        "if specified, must be a non-negative integer",
      ),
    );
  }
  return errors;
}

const mostQueues = 10_000_000;

function validResponse(response: LimitResponse | undefined, path: FieldPath): FieldError[] {
  const queuingPath = path.child("queuing");
  const queuing = response?.queuing;
  switch (response?.type) {
    case "Reject":
      return queuing ? [forbidden(queuingPath, "must be nil if limited.limitResponse.type is not Limited")] : [];
    case "Queue": {
      if (!queuing) return [required(queuingPath, "must not be empty if limited.limitResponse.type is Limited")];
      const { queueLengthLimit = 0, queues = 0, handSize = 0 } = queuing;
      const errors: FieldError[] = [];
      const positive = (field: string, value: number) => {
        if (value <= 0) errors.push(invalid(queuingPath.child(field), value, "must be positive"));
      };
      positive("queueLengthLimit", queueLengthLimit);
      positive("queues", queues);
      if (queues > mostQueues) {
        errors.push(invalid(queuingPath.child("queues"), queues, `must not be greater than ${mostQueues}`));
      }
      positive("handSize", handSize);
      if (handSize > queues) {
        const detail = `should not be greater than queues (${queues})`;
        errors.push(invalid(queuingPath.child("handSize"), handSize, detail));
      }
      return errors;
    }
    default:
      return [notSupported(path.child("type"), response?.type ?? "", ["Queue", "Reject"])];
  }
}
