/** The query of `pods/log` (PodLogOptions), checked in upstream's words. */
import { type FieldError, FieldPath, forbidden, invalid, notSupported } from "../apimachinery/field-error.ts";
import { badRequestError, invalidError } from "../apimachinery/status-error.ts";
import { booleanParameter, parameter, type Query } from "../apiserver/request-info.ts";
import type { PodLogOptions } from "../kubelet/pod-api.ts";

export interface PodLogRequest extends PodLogOptions {
  container: string | undefined;
}

const root = FieldPath.root;

export function podLogOptionsOf(query: Query): PodLogRequest {
  const tailLines = integer(query, "tailLines");
  const limitBytes = integer(query, "limitBytes");
  const sinceSeconds = integer(query, "sinceSeconds");
  const sinceTime = parameter(query, "sinceTime");
  const stream = parameter(query, "stream") ?? "All";
  const errors: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0)
    errors.push(invalid(root.child("tailLines"), tailLines, "must be greater than or equal to 0"));
  if (limitBytes !== undefined && limitBytes < 1)
    errors.push(invalid(root.child("limitBytes"), limitBytes, "must be greater than 0"));
  if (sinceSeconds !== undefined && sinceTime !== undefined) {
    errors.push(forbidden(root, "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
    errors.push(invalid(root.child("sinceSeconds"), sinceSeconds, "must be greater than 0"));
  }
  if (!["All", "Stdout", "Stderr"].includes(stream))
    errors.push(notSupported(root.child("stream"), stream, ["All", "Stderr", "Stdout"]));
  if (tailLines !== undefined && stream !== "All") {
    errors.push(forbidden(root, "`tailLines` and specific `stream` are mutually exclusive for now"));
  }
  if (errors.length > 0) throw invalidError({ group: "", kind: "PodLogOptions" }, "", errors);
  return {
    container: parameter(query, "container") || undefined,
    follow: booleanParameter(query, "follow"),
    previous: booleanParameter(query, "previous"),
    timestamps: booleanParameter(query, "timestamps"),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
    ...(sinceTime === undefined ? {} : { sinceMs: timeOf(sinceTime) }),
    ...(stream === "All" ? {} : { stream: stream === "Stdout" ? ("stdout" as const) : ("stderr" as const) }),
  };
}

function integer(query: Query, name: string): number | undefined {
  const text = parameter(query, name);
  if (text === undefined || text === "") return undefined;
  if (!/^-?\d{1,18}$/.test(text))
    throw badRequestError(
      `unable to decode query parameters: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return Number(text);
}

function timeOf(text: string): number {
  const milliseconds = Date.parse(text);
  if (Number.isNaN(milliseconds))
    throw badRequestError(`unable to decode query parameters: parsing time ${JSON.stringify(text)} as RFC 3339 failed`);
  return milliseconds;
}
