/** PriorityLevelConfigurations: how many requests of a kind run at once. They are kept; this server queues nothing by them. */
import type {
  ExemptPriorityLevelConfiguration,
  LimitedPriorityLevelConfiguration,
  LimitResponse,
  PriorityLevelConfiguration,
  QueuingConfiguration,
} from "../../api/flowcontrol/v1.ts";
import type { ObjectMeta } from "../../api/meta/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  metadata as metadataPath,
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
import { inRange } from "../validation/rules.ts";
import { fixedLevelSpec } from "./fixed-specs.ts";

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
    const queuing = limited.limitResponse?.queuing;
    if (!queuing) return;
    queuing.queues ||= 64;
    queuing.handSize ||= 8;
    queuing.queueLengthLimit ||= 50;
  },
  beforeCreate: firstGeneration<PriorityLevelConfiguration>({}),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: ({ metadata, spec }) => [
    ...unmarked(metadata),
    ...validLevel(metadata.name ?? "", spec),
    ...fixedLevelSpec(metadata.name ?? "", spec),
  ],
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

/** Versions gone by kept a note of shares that are zero; what has none of that is not to carry it. */
const preservedZero = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";

function unmarked({ annotations }: ObjectMeta): FieldError[] {
  if (annotations?.[preservedZero] === undefined) return [];
  return [forbidden(metadataPath.child("annotations"), `annotation '${preservedZero}' is forbidden`)];
}

function validLevel(levelName: string, spec: PriorityLevelConfiguration["spec"]): FieldError[] {
  const typePath = specPath.child("type");
  const limitedPath = specPath.child("limited");
  const exemptPath = specPath.child("exempt");
  const { type = "", limited, exempt } = spec;
  const errors: FieldError[] = [];
  if ((levelName === "exempt") !== (type === "Exempt")) {
    errors.push(invalid(typePath, type, "must be 'Exempt' if and only if `name` is 'exempt'"));
  }
  switch (type) {
    case "Exempt":
      if (limited) errors.push(forbidden(limitedPath, "must be nil if the type is not Limited"));
      return [...errors, ...validExempt(exempt, exemptPath)];
    case "Limited":
      if (exempt) errors.push(forbidden(exemptPath, "must be nil if the type is Limited"));
      if (!limited) return [...errors, required(limitedPath, "must not be empty when type is Limited")];
      return [...errors, ...validLimited(limited, limitedPath)];
    default:
      return [...errors, notSupported(typePath, type, ["Exempt", "Limited"])];
  }
}

function validExempt(exempt: ExemptPriorityLevelConfiguration | undefined, path: FieldPath): FieldError[] {
  return exempt ? [...validShares(exempt, path), ...validLending(exempt, path)] : [];
}

function validLimited(limited: LimitedPriorityLevelConfiguration, path: FieldPath): FieldError[] {
  const { limitResponse, borrowingLimitPercent = 0 } = limited;
  const errors = [
    ...validShares(limited, path),
    ...validResponse(limitResponse, path.child("limitResponse")),
    ...validLending(limited, path),
  ];
  if (borrowingLimitPercent >= 0) return errors;
  const detail = "if specified, must be a non-negative integer";
  return [...errors, invalid(path.child("borrowingLimitPercent"), borrowingLimitPercent, detail)];
}

type Shares = Pick<LimitedPriorityLevelConfiguration, "nominalConcurrencyShares" | "lendablePercent">;

function validShares({ nominalConcurrencyShares: shares }: Shares, path: FieldPath): FieldError[] {
  if ((shares ?? 0) >= 0) return [];
  return [invalid(path.child("nominalConcurrencyShares"), shares, "must be a non-negative integer")];
}

const validLending = ({ lendablePercent }: Shares, path: FieldPath): FieldError[] =>
  inRange(lendablePercent, 0, 100, path.child("lendablePercent"));

function validResponse(response: LimitResponse | undefined, path: FieldPath): FieldError[] {
  const queuingPath = path.child("queuing");
  const { type = "", queuing } = response ?? {};
  switch (type) {
    case "Reject":
      return queuing ? [forbidden(queuingPath, "must be nil if limited.limitResponse.type is not Limited")] : [];
    case "Queue":
      if (!queuing) return [required(queuingPath, "must not be empty if limited.limitResponse.type is Limited")];
      return validQueuing(queuing, queuingPath);
    default:
      return [notSupported(path.child("type"), type, ["Queue", "Reject"])];
  }
}

const mostQueues = 10_000_000;
/** Of the 64 bits that tell flows apart, those that dealing a hand may use up. */
const mostEntropyBits = 60;

function validQueuing(
  { queueLengthLimit = 0, queues = 0, handSize = 0 }: QueuingConfiguration,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (field: string, value: number, detail: string) =>
    errors.push(invalid(path.child(field), value, detail));
  if (queueLengthLimit <= 0) refuse("queueLengthLimit", queueLengthLimit, "must be positive");
  if (queues <= 0) refuse("queues", queues, "must be positive");
  else if (queues > mostQueues) refuse("queues", queues, `must not be greater than ${mostQueues}`);
  if (handSize <= 0) refuse("handSize", handSize, "must be positive");
  else if (handSize > queues) refuse("handSize", handSize, `should not be greater than queues (${queues})`);
  else if (Math.ceil(Math.log2(queues) * handSize) > mostEntropyBits) {
    const deal = `deckSize ${queues} and handSize ${handSize}`;
    refuse("handSize", handSize, `required entropy bits of ${deal} should not be greater than ${mostEntropyBits}`);
  }
  return errors;
}
