/** The one refusal that needs no retry: a Namespace that is being deleted takes nothing new in. */
import { isForbidden, type StatusError } from "../apimachinery/status-error.ts";

export function isNamespaceTerminating(error: unknown): boolean {
  if (!isForbidden(error)) return false;
  return (error as StatusError).details?.causes?.some((cause) => cause.reason === "NamespaceTerminating") === true;
}
