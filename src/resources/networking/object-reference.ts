/** References to objects of kinds that Kubernetes does not know: an Ingress's backend, the parameters of its class. */
import { type FieldError, type FieldPath, required } from "../../apimachinery/field-error.ts";
import { pathSegmentProblems } from "../../apimachinery/name-validation.ts";
import { obeys, validDnsSubdomain } from "../validation/rules.ts";

export function validObjectReference(
  reference: { apiGroup?: string | null; kind?: string; name?: string },
  path: FieldPath,
): FieldError[] {
  const { apiGroup } = reference;
  return [
    ...(apiGroup === undefined || apiGroup === null ? [] : validDnsSubdomain(apiGroup, path.child("apiGroup"))),
    ...(["kind", "name"] as const).flatMap((field) => {
      const value = reference[field];
      return value ? obeys(value, pathSegmentProblems, path.child(field)) : [required(path.child(field))];
    }),
  ];
}
