/** How admission plugins refuse, and how they recognise what concerns them. */
import type { ObjectMeta } from "../../api/meta/v1.ts";
import { groupResourceText } from "../../apimachinery/group-version.ts";
import { forbiddenError, type StatusError } from "../../apimachinery/status-error.ts";
import type { AdmissionRequest, Operation } from "../../apiserver/admission.ts";

/** A 403 that names the object, or what its name will begin with. */
export function refuse(request: AdmissionRequest, why: string): StatusError {
  return forbiddenError(resourceOf(request), nameOf(request), why);
}

function resourceOf({ definition }: AdmissionRequest) {
  return { group: definition.group, resource: definition.plural };
}

function nameOf({ name, object }: AdmissionRequest): string {
  const meta = object?.metadata as ObjectMeta | undefined;
  return name || meta?.name || meta?.generateName || "Unknown";
}

/** Whether a request writes objects of this resource, `pods` or `ingresses.networking.k8s.io`; not a subresource. */
export function writes(request: AdmissionRequest, resource: string, ...operations: Operation[]): boolean {
  if (request.subresource !== "" || !operations.includes(request.operation)) return false;
  const { definition } = request;
  if (definition.group === "") return definition.plural === resource;
  return groupResourceText(resourceOf(request)) === resource;
}
