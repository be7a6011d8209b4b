/** What a method and a URL ask for, before anything is looked up (RequestInfo upstream). */
import { parse as parseQueryString } from "node:querystring";

/** Query parameters; a repeated one is an array. */
export type Query = Readonly<Record<string, string | string[] | undefined>>;

export interface RequestInfo {
  path: string;
  query: Query;
  /** `get`, `list`, `watch`, `create`, ... for resources; the method in lower case otherwise. Empty for methods the API does not know. */
  verb: string;
  isResource: boolean;
  /** `api` or `apis` for resources. */
  group: string;
  version: string;
  /** Empty: cluster scope, or all namespaces. */
  namespace: string;
  resource: string;
  name: string;
  subresource: string;
  /** The verb stands in the path, as of old (`/api/v1/watch/pods`): what selects says nothing to authorization then. */
  hasVerbInPath: boolean;
  /** What follows the subresource: the path for a proxy. Undefined when nothing does. */
  rest: string | undefined;
}

const noQuery: Query = {};

const verbs: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** `target` is the request line's: path and query. */
export function requestInfoOf(method: string, target: string): RequestInfo {
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const query: Query = mark < 0 ? noQuery : parseQueryString(target.slice(mark + 1));
  const info: RequestInfo = {
    path,
    query,
    verb: method.toLowerCase(),
    isResource: false,
    group: "",
    version: "",
    namespace: "",
    resource: "",
    name: "",
    subresource: "",
    hasVerbInPath: false,
    rest: undefined,
  };
  const parts = path.split("/");
  // parts[0] is the nothing before the first slash. A slash at the end names nothing either.
  let end = parts.length;
  if (end > 1 && parts[end - 1] === "") end--;
  let at = 1;
  if (parts[at] === "api") {
    at++;
  } else if (parts[at] === "apis") {
    if (end < 4) return info;
    info.group = parts[++at]!;
    at++;
  } else {
    return info;
  }
  if (at + 1 >= end) return info; // No resource named: discovery.
  info.version = parts[at++]!;
  info.isResource = true;
  info.verb = verbs[method] ?? "";
  let legacyWatch = false;
  if (parts[at] === "watch" || parts[at] === "proxy") {
    if (at + 1 >= end) {
      info.resource = parts[at]!;
      return info;
    }
    legacyWatch = parts[at] === "watch";
    info.verb = parts[at]!;
    info.hasVerbInPath = true;
    at++;
  }
  if (parts[at] === "namespaces") {
    if (at + 1 < end) {
      const namespace = decoded(parts[at + 1]!);
      // A namespace's own subresources look like resources inside it.
      if (at + 2 < end && !namespaceSubresources.has(parts[at + 2]!)) {
        info.namespace = namespace;
        at += 2;
      } else {
        info.namespace = namespace;
      }
    }
  }
  info.resource = parts[at++]!;
  if (at < end) info.name = decoded(parts[at++]!);
  if (at < end) info.subresource = parts[at++]!;
  if (at < parts.length && info.subresource) info.rest = parts.slice(at).join("/");
  if (info.rest === "") info.rest = end < parts.length ? "" : undefined;
  if (info.name === "" && !legacyWatch) {
    if (info.verb === "get") info.verb = booleanParameter(query, "watch") ? "watch" : "list";
    else if (info.verb === "delete") info.verb = "deletecollection";
  }
  return info;
}

const namespaceSubresources = new Set(["status", "finalize"]);

function decoded(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // Names nothing that exists.
  }
}

/** A parameter's first value. */
export function parameter(query: Query, name: string): string | undefined {
  const value = query[name];
  return Array.isArray(value) ? value[0] : value;
}

export function parameters(query: Query, name: string): string[] {
  const value = query[name];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** Anything but `false` and `0` is true, also an empty value, as upstream reads them. */
export function booleanParameter(query: Query, name: string): boolean {
  const value = parameter(query, name);
  return value !== undefined && value !== "0" && value.toLowerCase() !== "false";
}
