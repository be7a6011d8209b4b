/** Leases: who holds a role and until when; nodes prove their life with them. */
import type { Lease } from "../../api/coordination/v1.ts";
import { type FieldError, forbidden, required, spec } from "../../apimachinery/field-error.ts";
import { qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { nonNegative, obeys, oneOf, positive } from "../validation/rules.ts";

export const leases = defineResource<Lease>({
  ...served("coordination.k8s.io/v1", "leases"),
  anyFinalizers: true,
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  validate: (lease) => validLeaseSpec(lease),
  columns: [name, text("Holder", (lease) => lease.spec?.holderIdentity ?? ""), age],
});

function validLeaseSpec({ spec: lease }: Lease): FieldError[] {
  if (!lease) return [];
  const errors: FieldError[] = [];
  if (lease.leaseDurationSeconds !== undefined)
    errors.push(...positive(lease.leaseDurationSeconds, spec.child("leaseDurationSeconds")));
  errors.push(...nonNegative(lease.leaseTransitions, spec.child("leaseTransitions")));
  if (lease.strategy !== undefined) {
    errors.push(
      ...(lease.strategy.includes("/")
        ? obeys(lease.strategy, qualifiedNameProblems, spec.child("strategy"))
        : oneOf(lease.strategy, ["OldestEmulationVersion"], spec.child("strategy"))),
    );
  }
  if (lease.preferredHolder !== undefined && lease.preferredHolder !== "" && !lease.strategy) {
    errors.push(forbidden(spec.child("preferredHolder"), "may only be specified when `strategy` is defined"));
  }
  if (lease.strategy !== undefined && lease.holderIdentity === "") errors.push(required(spec.child("holderIdentity")));
  return errors;
}
