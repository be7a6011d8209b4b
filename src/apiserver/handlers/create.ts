/** POST to a collection. */
import type { Answer } from "../answer.ts";
import { type Body, decodeBody } from "../decode-body.ts";
import { bookUpdate } from "../field-management.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { WriteOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { RequestContext } from "../services.ts";

export async function create(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  body: Body,
  options: WriteOptions,
): Promise<Answer> {
  const { definition } = resource;
  const object = await decodeBody(context, body, definition, options.fieldValidation);
  if (resource.namespaced && namespace) (object.metadata as { namespace?: string }).namespace ??= namespace;
  definition.defaults?.(object);
  const manager = options.fieldManager || context.defaultManager;
  const now = objects.services.clock.now();
  return objects.create(context, {
    resource,
    object,
    namespace,
    dryRun: options.dryRun,
    book: (created) => bookUpdate(resource, created, undefined, manager, "", now),
  });
}
