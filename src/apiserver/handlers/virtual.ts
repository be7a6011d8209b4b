/** Requests for resources that nothing is stored of. */
import type { KubeObject } from "../../api/object.ts";
import { methodNotSupportedError } from "../../apimachinery/status-error.ts";
import type { Entry } from "../../storage/watch-cache-contract.ts";
import type { Answer, ListAnswer } from "../answer.ts";
import { type Body, decodeBody } from "../decode-body.ts";
import { bookUpdate } from "../field-management.ts";
import { dropSystemFields } from "../object-meta.ts";
import { namespaceMismatch } from "../object-writer.ts";
import type { ListOptions, WriteOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import { selectionOf } from "../selection.ts";
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
  const { metadata } = object;
  if (namespace && metadata.namespace && metadata.namespace !== namespace) throw namespaceMismatch();
  if (namespace) metadata.namespace = namespace;
  else delete metadata.namespace;
  dropSystemFields(metadata);
  definition.defaults?.(object);
  bookUpdate(resource, object, undefined, options.fieldManager || context.defaultManager, "", services.clock.now());
  const answer = await virtual.create(object, { context, namespace, name: "", query: {} });
  return { kind: "object", code: 201, object: answer };
}

export async function getVirtual(
  context: RequestContext,
  resource: ServedResource,
  virtual: VirtualResource,
  namespace: string,
  name: string,
): Promise<Answer> {
  if (!virtual.get) throw methodNotSupportedError(resource.groupResource, "get");
  const object = await virtual.get({ context, namespace, name, query: {} });
  return { kind: "object", code: 200, object, resource };
}

/** Selectors hold; there are no pages, for there is no state that they could be pages of. */
export async function listVirtual(
  context: RequestContext,
  resource: ServedResource,
  virtual: VirtualResource,
  namespace: string,
  { labelSelector, fieldSelector }: Pick<ListOptions, "labelSelector" | "fieldSelector">,
): Promise<ListAnswer> {
  if (!virtual.list) throw methodNotSupportedError(resource.groupResource, "list");
  const { selection } = selectionOf(resource, labelSelector, fieldSelector);
  const items = (await virtual.list({ context, namespace, name: "", query: {} })) as readonly KubeObject[];
  const selected = selection ? items.filter((object) => selection.matches(object)) : items;
  const entries = selected.map((object) => entryOf(object));
  return { kind: "list", resource, entries, revision: 0, continue: undefined, remaining: undefined };
}

/** As if it stood in a cache, for those who render lists. */
function entryOf(object: KubeObject): Entry<KubeObject> {
  const { name } = object.metadata;
  return { key: name, object, modRevision: 0, encoded: (encoder) => encoder.encode(object) };
}
