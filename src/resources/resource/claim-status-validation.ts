/** What the status of a ResourceClaim must fulfil: an allocation does not change, and only what is allocated is reserved. */
import type { ResourceClaim, ResourceClaimConsumerReference } from "../../api/resource/v1.ts";
import { type FieldError, type FieldPath, forbidden, required, status } from "../../apimachinery/field-error.ts";
import { unchanged } from "../validation/rules.ts";
import { eachNamed } from "./claim-validation.ts";

const maximumReservations = 256;

export function validClaimStatus(next: ResourceClaim, previous: ResourceClaim): FieldError[] {
  const { allocation, reservedFor = [] } = next.status;
  const path = status.child("reservedFor");
  const errors = eachNamed(
    reservedFor,
    maximumReservations,
    path,
    ({ uid }) => ({ name: uid, field: "uid" }),
    validConsumer,
  );
  const before = new Set((previous.status?.reservedFor ?? []).map(({ uid }) => uid));
  if (reservedFor.length > 0 && !allocation)
    errors.push(forbidden(path, "may not be specified when `allocated` is not set"));
  if (next.metadata.deletionTimestamp && reservedFor.some(({ uid }) => !before.has(uid)))
    errors.push(forbidden(path, "new reservations may not be added while `deletionTimestamp` is set"));
  if (allocation && previous.status?.allocation)
    errors.push(...unchanged(allocation, previous.status.allocation, status.child("allocation")));
  return errors;
}

function validConsumer({ resource, name, uid }: ResourceClaimConsumerReference, path: FieldPath): FieldError[] {
  const missing = Object.entries({ resource, name, uid }).filter(([, value]) => !value);
  return missing.map(([field]) => required(path.child(field)));
}
