/** Leases: who holds a role and until when; nodes prove their life with them. */
import type { Lease } from "../../api/coordination/v1.ts";
import { type FieldError, spec } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { nonNegative, positive } from "../validation/rules.ts";

export const leases = defineResource<Lease>({
  ...served("coordination.k8s.io/v1", "leases"),
  anyFinalizers: true,
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  beforeCreate: forgetElection,
  beforeUpdate: forgetElection,
  validate: (lease) => validLeaseSpec(lease),
  columns: [name, text("Holder", (lease) => lease.spec?.holderIdentity ?? ""), age],
});

/** Coordinated leader election is off unless someone turns it on, and its fields are forgotten. */
function forgetElection({ spec: lease }: Lease): void {
  delete lease?.strategy;
  delete lease?.preferredHolder;
}

function validLeaseSpec({ spec: lease }: Lease): FieldError[] {
  if (!lease) return [];
  const errors: FieldError[] = [];
  if (lease.leaseDurationSeconds !== undefined)
    errors.push(...positive(lease.leaseDurationSeconds, spec.child("leaseDurationSeconds")));
  errors.push(...nonNegative(lease.leaseTransitions, spec.child("leaseTransitions")));
  return errors;
}
