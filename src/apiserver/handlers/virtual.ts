/** Requests for resources that nothing is stored of. */
import type { KubeObject } from "../../api/object.ts";
import { methodNotSupportedError } from "../../apimachinery/status-error.ts";
import type { Entry } from "../../storage/watch-cache.ts";
import type { Answer } from "../answer.ts";
import { type Body, decodeBody } from "../decode-body.ts";
import { bookUpdate } from "../field-management.ts";
import type { WriteOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { RequestContext, Services } from "../services.ts";
import type { VirtualResource } from "../virtual-resource.ts";

export async function createVirtual(
  services: Services,
  context: RequestContext,
  resource: ServedResource,
  virtual: VirtualResource,
  namespace: string,
  body: Body,
  options: WriteOptions,
): Promise<Answer> {
  if (!virtual.create) throw methodNotSupportedError(resource.groupResource, "create");
  const { definition } = resource;
  const object = await decodeBody(context, body, definition, options.fieldValidation);
  definition.defaults?.(object);
  bookUpdate(resource, object, undefined, options.fieldManager || context.defaultManager, "", services.clock.now());
  const answer = await virtual.create(object, { context, namespace, name: "", query: {} });
  return { kind: "object", code: 201, object: answer };
}

export async function readVirtual(
  context: RequestContext,
  resource: ServedResource,
  virtual: VirtualResource,
  namespace: string,
  name: string,
): Promise<Answer> {
  const request = { context, namespace, name, query: {} };
  if (name) {
    if (!virtual.get) throw methodNotSupportedError(resource.groupResource, "get");
    return { kind: "object", code: 200, object: await virtual.get(request), resource };
  }
  if (!virtual.list) throw methodNotSupportedError(resource.groupResource, "list");
  const items = (await virtual.list(request)) as readonly KubeObject[];
  const entries = items.map((object) => entryOf(object));
  return { kind: "list", resource, entries, revision: 0, continue: undefined, remaining: undefined };
}

/** As if it stood in a cache, for those who render lists. */
function entryOf(object: KubeObject): Entry<KubeObject> {
  const { name } = object.metadata;
  return { key: name, object, modRevision: 0, encoded: (encoder) => encoder.encode(object) };
}
