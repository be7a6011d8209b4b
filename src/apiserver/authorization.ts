/** Who may do what: the contract that authorizers fulfil, and the wording of a refusal. */
import { StatusError } from "../apimachinery/status-error.ts";
import type { UserInfo } from "./authentication.ts";

/** What is being asked for. For requests outside the resource tree only `verb` and `path` say something. */
export interface Attributes {
  user: UserInfo;
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `impersonate`, ...; the method in lower case outside the resource tree. */
  verb: string;
  isResource: boolean;
  group: string;
  version: string;
  /** Plural. */
  resource: string;
  subresource: string;
  /** Empty for cluster scope and for all namespaces. */
  namespace: string;
  /** Empty for collections. */
  name: string;
  /** Of the URL; empty when the request came in process. */
  path: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export type Decision =
  | { kind: "allow"; reason?: string }
  | { kind: "deny"; reason: string }
  | { kind: "no-opinion"; reason: string };

export const allow: Decision = { kind: "allow" };

export interface Authorizer {
  name: string;
  /** Answers synchronously where it can: this stands on every request's path. */
  authorize(attributes: Attributes): Decision | Promise<Decision>;
}

/** The first authorizer that allows or denies decides; when none has an opinion the request is refused with all their reasons. */
export async function authorizeByAll(authorizers: readonly Authorizer[], attributes: Attributes): Promise<Decision> {
  const reasons: string[] = [];
  for (const authorizer of authorizers) {
    const answer = authorizer.authorize(attributes);
    const decision = answer instanceof Promise ? await answer : answer;
    if (decision.kind !== "no-opinion") return decision;
    if (decision.reason) reasons.push(decision.reason);
  }
  return { kind: "no-opinion", reason: reasons.join("\n") };
}

/** The 403 that a refused request ends with. */
export function forbiddenRequest(attributes: Attributes, reason: string): StatusError {
  const user = JSON.stringify(attributes.user.name);
  if (!attributes.isResource) {
    const text = `forbidden: User ${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`;
    return new StatusError(403, "Forbidden", reason ? `${text}: ${reason}` : text, {});
  }
  const { group, resource, subresource, namespace, name } = attributes;
  const fullResource = subresource ? `${resource}/${subresource}` : resource;
  const qualified = group ? `${resource}.${group}` : resource;
  const subject = name ? `${qualified} ${JSON.stringify(name)}` : qualified;
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : "at the cluster scope";
  const text = `${subject} is forbidden: User ${user} cannot ${attributes.verb} resource ${JSON.stringify(fullResource)} in API group ${JSON.stringify(group)} ${where}`;
  return new StatusError(403, "Forbidden", reason ? `${text}: ${reason}` : text, {
    ...(name ? { name } : {}),
    ...(group ? { group } : {}),
    kind: resource,
  });
}
