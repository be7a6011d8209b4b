/** Which methods a resource is served by, and what those hear who come with others: built-in resources and custom ones differ. */
import type { SubresourceDefinition } from "../../apimachinery/resource-definition.ts";
import { badRequestError, StatusError } from "../../apimachinery/status-error.ts";
import { patchTypeOf } from "../handlers/patch.ts";
import { methodNotAllowed, unknownPath } from "../pipeline.ts";
import type { RequestInfo } from "../request-info.ts";
import type { ServedResource } from "../resource-registry.ts";

export interface Asked {
  method: string;
  contentType: string | undefined;
  info: RequestInfo;
}

/** Throws where the resource, or its subresource, is not served by this method. */
export function requireMethod(
  asked: Asked,
  resource: ServedResource,
  subresource: SubresourceDefinition | undefined,
): void {
  if (resource.definition.type?.custom) requireCustomMethod(asked, resource, subresource);
  else requireRoute(asked, resource, subresource);
}

/** Built-in resources have a route for each verb. */
function requireRoute(
  { method, info }: Asked,
  resource: ServedResource,
  subresource: SubresourceDefinition | undefined,
): void {
  const { verb } = info;
  const isProxy = info.subresource === "proxy";
  if (info.rest !== undefined && !isProxy) throw unknownPath();
  // A proxy passes OPTIONS on, which is no verb of the API's.
  const allowed = subresource
    ? subresource.verbs.includes(verb) || (isProxy && method === "OPTIONS")
    : resource.verbs.has(verb) && hasTarget(info);
  if (!allowed || (method === "HEAD" && !isProxy) || (verb === "watch" && method !== "GET")) throw methodNotAllowed();
}

/** PUT, PATCH and the like are for objects, POST is for collections. */
function hasTarget({ verb, name }: RequestInfo): boolean {
  if (verb === "create") return name === "";
  if (verb === "update" || verb === "patch" || verb === "delete" || verb === "get") return name !== "";
  return true;
}

/** Custom resources are served by their verb alone: HEAD reads, and a POST to a name creates what its body names. */
function requireCustomMethod(
  { method, contentType, info }: Asked,
  resource: ServedResource,
  subresource: SubresourceDefinition | undefined,
): void {
  const { verb, name } = info;
  const isServed = subresource ? subresource.verbs.includes(verb) : resource.verbs.has(verb);
  if (!isServed || (verb === "watch" && method !== "GET")) throw methodNotSupported(resource, verb);
  if (name !== "" || (verb !== "update" && verb !== "patch")) return;
  if (verb === "patch") patchTypeOf(contentType, true);
  throw badRequestError("name must be provided");
}

function methodNotSupported({ groupResource }: ServedResource, verb: string): StatusError {
  const { group, resource } = groupResource;
  const message = `${verb} is not supported on resources of kind "${resource}${group ? `.${group}` : ""}"`;
  return new StatusError(405, "MethodNotAllowed", message, { ...(group ? { group } : {}), kind: resource });
}
