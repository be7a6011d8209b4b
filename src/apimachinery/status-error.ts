/** The error every API request can end with: a `Status` object, thrown. */
import type { FieldError } from "./field-error.ts";
import { type GroupResource, groupResourceText } from "./group-version.ts";

/** The wire form (meta/v1 Status of a failure). */
export interface FailureStatus {
  kind: "Status";
  apiVersion: "v1";
  metadata: Record<string, never>;
  status: "Failure";
  message: string;
  reason?: string;
  details?: StatusDetails;
  code: number;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: { reason?: string; message?: string; field?: string }[];
  retryAfterSeconds?: number;
}

export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails, options?: ErrorOptions) {
    super(message, options);
    this.name = "StatusError";
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toStatus(): FailureStatus {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }

  /** The reverse of toStatus, for clients. */
  static fromStatus(status: {
    code?: number;
    reason?: string;
    message?: string;
    details?: StatusDetails;
  }): StatusError {
    return new StatusError(status.code ?? 500, status.reason ?? "", status.message ?? "", status.details);
  }
}

function detailsOf(resource: GroupResource, name: string): StatusDetails {
  return { ...(name ? { name } : {}), ...(resource.group ? { group: resource.group } : {}), kind: resource.resource };
}

export function notFoundError(resource: GroupResource, name: string): StatusError {
  return new StatusError(
    404,
    "NotFound",
    `${groupResourceText(resource)} "${name}" not found`,
    detailsOf(resource, name),
  );
}

export function alreadyExistsError(resource: GroupResource, name: string): StatusError {
  return new StatusError(
    409,
    "AlreadyExists",
    `${groupResourceText(resource)} "${name}" already exists`,
    detailsOf(resource, name),
  );
}

export function conflictError(resource: GroupResource, name: string, why: string): StatusError {
  return new StatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${groupResourceText(resource)} "${name}": ${why}`,
    detailsOf(resource, name),
  );
}

/** What a writer with an old resourceVersion gets. */
export function modifiedConflictError(resource: GroupResource, name: string): StatusError {
  return conflictError(
    resource,
    name,
    "the object has been modified; please apply your changes to the latest version and try again",
  );
}

export function forbiddenError(resource: GroupResource, name: string, why: string): StatusError {
  const subject = name ? `${groupResourceText(resource)} "${name}"` : groupResourceText(resource);
  return new StatusError(403, "Forbidden", `${subject} is forbidden: ${why}`, detailsOf(resource, name));
}

/** 422 with one cause per field error. `kind` is the object's kind, `group` its group. */
export function invalidError(
  kind: { group: string; kind: string },
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const texts = [...new Set(errors.map((e) => (e.field ? `${e.field}: ${e.message}` : e.message)))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const title = kind.group ? `${kind.kind}.${kind.group}` : kind.kind;
  return new StatusError(422, "Invalid", `${title} "${name}" is invalid: ${list}`, {
    ...(name ? { name } : {}),
    ...(kind.group ? { group: kind.group } : {}),
    kind: kind.kind,
    causes: errors.map((e) => ({ reason: e.reason, message: e.message, field: e.field })),
  });
}

export function badRequestError(message: string): StatusError {
  return new StatusError(400, "BadRequest", message);
}

export function methodNotSupportedError(resource: GroupResource, verb: string): StatusError {
  return new StatusError(
    405,
    "MethodNotAllowed",
    `${verb} is not supported on resources of kind "${groupResourceText(resource)}"`,
    detailsOf(resource, ""),
  );
}

export function internalError(message: string, options?: ErrorOptions): StatusError {
  return new StatusError(
    500,
    "InternalError",
    `Internal error occurred: ${message}`,
    { causes: [{ message }] },
    options,
  );
}

export const isNotFound = (error: unknown): boolean => hasReason(error, "NotFound");
export const isConflict = (error: unknown): boolean => hasReason(error, "Conflict");
export const isAlreadyExists = (error: unknown): boolean => hasReason(error, "AlreadyExists");
export const isGone = (error: unknown): boolean => hasReason(error, "Expired") || hasReason(error, "Gone");
export const isInvalid = (error: unknown): boolean => hasReason(error, "Invalid");
export const isForbidden = (error: unknown): boolean => hasReason(error, "Forbidden");

function hasReason(error: unknown, reason: string): boolean {
  return error instanceof StatusError && error.reason === reason;
}
