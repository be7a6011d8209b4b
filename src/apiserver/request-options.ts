/** The options of each verb: read from the query (or DeleteOptions), checked, with upstream's complaints. */

import {
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from "../apimachinery/field-error.ts";
import { pathSegmentProblems } from "../apimachinery/name-validation.ts";
import { parseFieldSelector } from "../apimachinery/selectors.ts";
import { exactNumber } from "../apimachinery/serializer/number-literals.ts";
import { badRequestError, invalidError, StatusError } from "../apimachinery/status-error.ts";
import { booleanParameter, parameter, parameters, type Query, type RequestInfo } from "./request-info.ts";

export type FieldValidation = "Ignore" | "Warn" | "Strict";

export interface WriteOptions {
  dryRun: boolean;
  /** As given; empty when the client left it to the server. */
  fieldManager: string;
  fieldValidation: FieldValidation;
}

export interface PatchOptions extends WriteOptions {
  force: boolean | undefined;
}

export interface ListOptions {
  labelSelector: string;
  fieldSelector: string;
  /** Zero: no limit. */
  limit: number;
  continue: string;
  resourceVersion: string;
  resourceVersionMatch: string;
  allowWatchBookmarks: boolean;
  sendInitialEvents: boolean | undefined;
  timeoutSeconds: number | undefined;
}

export type Propagation = "Orphan" | "Background" | "Foreground";

export interface DeleteOptions {
  dryRun: boolean;
  gracePeriodSeconds: number | undefined;
  orphanDependents: boolean | undefined;
  propagationPolicy: Propagation | undefined;
  preconditions: { uid?: string; resourceVersion?: string } | undefined;
}

const root = FieldPath.root;
const metaGroup = "meta.k8s.io";

export function writeOptionsOf(query: Query, kind: "CreateOptions" | "UpdateOptions"): WriteOptions {
  if (noParameters(query)) return defaultWriteOptions;
  const errors: FieldError[] = [];
  const options = writeOptions(query, errors);
  refuse(kind, errors);
  return options;
}

export const defaultWriteOptions: WriteOptions = { dryRun: false, fieldManager: "", fieldValidation: "Warn" };

/** Options of a caller in this process. */
export function checkedWriteOptions(
  given: { dryRun?: boolean; fieldManager?: string; fieldValidation?: FieldValidation },
  kind: "CreateOptions" | "UpdateOptions" | "PatchOptions",
): WriteOptions {
  const { dryRun = false, fieldManager = "", fieldValidation = "Warn" } = given;
  if (fieldManager) refuse(kind, fieldManagerProblems(fieldManager));
  return { dryRun, fieldManager, fieldValidation };
}

export function checkedPatchOptions(
  given: Parameters<typeof checkedWriteOptions>[0],
  force: boolean | undefined,
  isApply: boolean,
): PatchOptions {
  const options = checkedWriteOptions(given, "PatchOptions");
  if (isApply && !options.fieldManager) refuse("PatchOptions", [managerRequired()]);
  return { ...options, force };
}

function managerRequired(): FieldError {
  return required(root.child("fieldManager"), "is required for apply patch");
}

export function patchOptionsOf(query: Query, isApply: boolean): PatchOptions {
  const errors: FieldError[] = [];
  const force = parameter(query, "force") === undefined ? undefined : booleanParameter(query, "force");
  if (isApply) {
    if (!parameter(query, "fieldManager")) {
      errors.push(managerRequired());
    }
  } else if (force !== undefined) {
    errors.push(forbidden(root.child("force"), "may not be specified for non-apply patch"));
  }
  const options = writeOptions(query, errors);
  refuse("PatchOptions", errors);
  return { ...options, force };
}

function writeOptions(query: Query, errors: FieldError[]): WriteOptions {
  const fieldManager = parameter(query, "fieldManager") ?? "";
  if (fieldManager) errors.push(...fieldManagerProblems(fieldManager));
  const dryRun = dryRunOf(parameters(query, "dryRun"), errors);
  const fieldValidation = parameter(query, "fieldValidation") ?? "";
  if (!["", "Ignore", "Warn", "Strict"].includes(fieldValidation)) {
    errors.push(notSupported(root.child("fieldValidation"), fieldValidation, ["", "Ignore", "Strict", "Warn"]));
  }
  return { dryRun, fieldManager, fieldValidation: (fieldValidation || "Warn") as FieldValidation };
}

function fieldManagerProblems(manager: string): FieldError[] {
  if (Buffer.byteLength(manager) > 128) return [tooLong(root.child("fieldManager"), 128)];
  let position = 0;
  for (const character of manager) {
    if (!/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) {
      const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
      return [invalid(root.child("fieldManager"), manager, `invalid character U+${code} (at position ${position})`)];
    }
    position++;
  }
  return [];
}

function dryRunOf(values: readonly string[], errors: FieldError[]): boolean {
  if (values.some((value) => value !== "All")) errors.push(notSupported(root.child("dryRun"), values, ["All"]));
  return values.length > 0;
}

function refuse(kind: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidError({ group: metaGroup, kind }, "", errors);
}

const defaultListOptions: ListOptions = {
  labelSelector: "",
  fieldSelector: "",
  limit: 0,
  continue: "",
  resourceVersion: "",
  resourceVersionMatch: "",
  allowWatchBookmarks: false,
  sendInitialEvents: undefined,
  timeoutSeconds: undefined,
};

export function listOptionsOf(query: Query, verb: "list" | "watch" | "deletecollection"): ListOptions {
  if (noParameters(query)) return defaultListOptions;
  const sendInitialEvents = parameter(query, "sendInitialEvents");
  return checkedListOptions(
    {
      labelSelector: parameter(query, "labelSelector") ?? "",
      fieldSelector: parameter(query, "fieldSelector") ?? "",
      limit: integerParameter(query, "limit") ?? 0,
      continue: parameter(query, "continue") ?? "",
      resourceVersion: parameter(query, "resourceVersion") ?? "",
      resourceVersionMatch: parameter(query, "resourceVersionMatch") ?? "",
      allowWatchBookmarks: booleanParameter(query, "allowWatchBookmarks"),
      sendInitialEvents: sendInitialEvents === undefined ? undefined : booleanParameter(query, "sendInitialEvents"),
      timeoutSeconds: integerParameter(query, "timeoutSeconds"),
    },
    verb,
  );
}

/** Refuses combinations that mean nothing. */
export function checkedListOptions(options: ListOptions, verb: "list" | "watch" | "deletecollection"): ListOptions {
  const errors: FieldError[] = [];
  const path = root.child("resourceVersionMatch");
  const match = options.resourceVersionMatch;
  if (verb === "watch") {
    if (options.sendInitialEvents !== undefined) {
      if (match !== "NotOlderThan") {
        errors.push(forbidden(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
      }
    } else if (match !== "") {
      errors.push(forbidden(path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
    }
    if (match !== "" && match !== "NotOlderThan") errors.push(notSupported(path, match, ["NotOlderThan"]));
    // A watch from no state in particular asks for initial events, and so for a match, without saying it.
    const begins = options.resourceVersion === "" || options.resourceVersion === "0";
    if (options.continue !== "" && (match !== "" || (options.sendInitialEvents === undefined && begins))) {
      errors.push(forbidden(path, "resourceVersionMatch is forbidden when continue is provided"));
    }
  } else {
    if (match !== "") {
      if (options.resourceVersion === "") {
        errors.push(forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
      }
      if (options.continue !== "") {
        errors.push(forbidden(path, "resourceVersionMatch is forbidden when continue is provided"));
      }
      if (match !== "Exact" && match !== "NotOlderThan") {
        errors.push(notSupported(path, match, ["Exact", "NotOlderThan", ""]));
      }
      if (match === "Exact" && options.resourceVersion === "0") {
        errors.push(forbidden(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
      }
    }
    if (options.sendInitialEvents !== undefined) {
      errors.push(forbidden(root.child("sendInitialEvents"), "sendInitialEvents is forbidden for list"));
    }
  }
  refuse("ListOptions", errors);
  return options;
}

/** DeleteOptions stand in the body when there is one, which then says everything; else in the query. */
export function deleteOptionsOf(query: Query, body: Record<string, unknown> | undefined): DeleteOptions {
  if (!body && noParameters(query)) return defaultDeleteOptions;
  const errors: FieldError[] = [];
  let options: DeleteOptions;
  if (body) {
    const preconditions = body["preconditions"] as DeleteOptions["preconditions"] | null | undefined;
    options = {
      dryRun: dryRunOf((body["dryRun"] as string[] | null | undefined) ?? [], errors),
      gracePeriodSeconds: (body["gracePeriodSeconds"] as number | null | undefined) ?? undefined,
      orphanDependents: (body["orphanDependents"] as boolean | null | undefined) ?? undefined,
      propagationPolicy: (body["propagationPolicy"] as Propagation | null | undefined) ?? undefined,
      preconditions: preconditions ?? undefined,
    };
  } else {
    options = {
      dryRun: dryRunOf(parameters(query, "dryRun"), errors),
      gracePeriodSeconds: integerParameter(query, "gracePeriodSeconds"),
      orphanDependents:
        parameter(query, "orphanDependents") === undefined ? undefined : booleanParameter(query, "orphanDependents"),
      propagationPolicy: parameter(query, "propagationPolicy") as Propagation | undefined,
      preconditions: undefined,
    };
  }
  const policy = options.propagationPolicy;
  if (options.orphanDependents !== undefined && policy !== undefined) {
    const why = "orphanDependents and deletionPropagation cannot be both set";
    errors.push(invalid(root.child("propagationPolicy"), policy, why));
  }
  if (policy !== undefined && policy !== "Foreground" && policy !== "Background" && policy !== "Orphan") {
    errors.push(notSupported(root.child("propagationPolicy"), policy, ["Foreground", "Background", "Orphan", "nil"]));
  }
  refuse("DeleteOptions", errors);
  return options;
}

export const defaultDeleteOptions: DeleteOptions = {
  dryRun: false,
  gracePeriodSeconds: undefined,
  orphanDependents: undefined,
  propagationPolicy: undefined,
  preconditions: undefined,
};

/** How long a client would wait at most: only looked at for whether it is a duration, for no answer here takes that long. Throws a 400. */
export function checkTimeout(query: Query): void {
  const text = parameter(query, "timeout");
  const problem = text ? durationProblem(text) : undefined;
  if (problem) throw badRequestError(`invalid timeout specified in the request URL - time: ${problem}`);
}

/** What Go finds wrong with a duration such as `1m30s`. */
function durationProblem(text: string): string | undefined {
  let rest = text.replace(/^[-+]/, "");
  if (rest === "0") return undefined;
  do {
    const [, number = "", unit = ""] = /^([\d.]*)([^\d.]*)/.exec(rest)!;
    if (!/^(\d+\.?\d*|\.\d+)$/.test(number)) return `invalid duration ${JSON.stringify(text)}`;
    if (unit === "") return `missing unit in duration ${JSON.stringify(text)}`;
    if (!/^(ns|us|µs|μs|ms|s|m|h)$/.test(unit))
      return `unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`;
    rest = rest.slice(number.length + unit.length);
  } while (rest !== "");
  return undefined;
}

function integerParameter(query: Query, name: string): number | undefined {
  const text = parameter(query, name);
  if (text === undefined) return undefined;
  if (!/^[+-]?\d+$/.test(text)) {
    throw badRequestError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  const value = exactNumber(text.replace(/^\+/, ""), Number(text));
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw badRequestError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return value as number;
}

/** The revision a resourceVersion names, `unset` when it is empty. Throws upstream's parse error under `status`. */
export function revisionOf(text: string, wrong: "get" | "list" | "watch"): number | undefined {
  if (text === "") return undefined;
  const problem = notUint64(text);
  if (!problem) return Number(text);
  const message = `resourceVersion: Invalid value: ${JSON.stringify(text)}: ${problem}`;
  if (wrong === "list") throw badRequestError(`invalid resource version: ${message}`);
  throw new StatusError(500, "", message);
}

/** What Go finds wrong with an unsigned number of 64 bits. */
export function notUint64(text: string): string | undefined {
  const isNumber = /^\d{1,20}$/.test(text);
  if (isNumber && BigInt(text) < 1n << 64n) return undefined;
  return `strconv.ParseUint: parsing ${JSON.stringify(text)}: ${/^\d+$/.test(text) ? "value out of range" : "invalid syntax"}`;
}

function noParameters(query: Query): boolean {
  for (const _ in query) return false;
  return true;
}

/** The name that a list or a watch is limited to by its field selector, for authorization. */
export function parameterSelectsOneName({ verb, query, hasVerbInPath }: RequestInfo): string {
  if ((verb !== "list" && verb !== "watch") || hasVerbInPath) return "";
  return selectedName(query);
}

export function selectedName(query: Query): string {
  const selector = parameter(query, "fieldSelector");
  if (!selector?.includes("metadata.name")) return "";
  try {
    const named = parseFieldSelector(selector).find(
      ({ field, operator }) => field === "metadata.name" && operator === "=",
    );
    return named && pathSegmentProblems(named.value).length === 0 ? named.value : "";
  } catch {
    // It is refused later.
    return "";
  }
}
