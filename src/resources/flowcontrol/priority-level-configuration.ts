/** PriorityLevelConfigurations: how many requests of a kind run at once. They are kept; this server queues nothing by them. */
import type { PriorityLevelConfiguration } from "../../api/flowcontrol/v1.ts";
import { forbidden, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { bumpGenerationOnSpecChange, firstGeneration } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { oneOf } from "../validation/rules.ts";

export const priorityLevelConfigurations = defineResource<PriorityLevelConfiguration>({
  ...served("flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations"),
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
  validate({ spec }) {
    const limitedPath = specPath.child("limited");
    const errors = oneOf(spec.type, ["Exempt", "Limited"], specPath.child("type"));
    if (spec.type === "Exempt" && spec.limited) {
      errors.push(forbidden(limitedPath, "must be nil if the type is not Limited"));
    }
    if (spec.type === "Limited") {
      if (spec.exempt) errors.push(forbidden(specPath.child("exempt"), "must be nil if the type is Limited"));
      if (!spec.limited) errors.push(required(limitedPath, "must not be empty when type is Limited"));
      else
        errors.push(
          ...oneOf(spec.limited.limitResponse?.type, ["Queue", "Reject"], limitedPath.child("limitResponse", "type")),
        );
    }
    return errors;
  },
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
