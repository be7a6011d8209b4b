/** PUT of an object or of its status. */
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { badRequestError } from "../../apimachinery/status-error.ts";
import type { Answer } from "../answer.ts";
import { type Body, decodeBody } from "../decode-body.ts";
import { bookUpdate, statusKeepsOf } from "../field-management.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { WriteOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { RequestContext } from "../services.ts";

export async function update(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  subresource: string,
  body: Body,
  options: WriteOptions,
): Promise<Answer> {
  const { definition } = resource;
  const sent = await decodeBody(context, body, definition, options.fieldValidation);
  checkIdentity(sent, resource, namespace, name);
  definition.defaults?.(sent);
  const manager = options.fieldManager || context.defaultManager;
  const now = objects.services.clock.now();
  const uid = sent.metadata.uid;
  let rounds = 0;
  const original = sent;
  return objects.update(context, {
    resource,
    namespace,
    name,
    subresource,
    dryRun: options.dryRun,
    unconditional: false,
    ...(uid ? { expectedUid: uid } : {}),
    mayCreate: definition.allowCreateOnUpdate === true && subresource === "",
    transform(previous) {
      // The strategies change what they are given, so a further round begins from a copy.
      const copy = rounds++ === 0 ? sent : structuredClone(original);
      return previous ? onlyPart(resource, subresource, copy, previous) : copy;
    },
    book: (next, previous) => bookUpdate(resource, next, previous, manager, subresource, now),
  });
}

/** The URL and the body must speak of the same object; what the body leaves out the URL says. */
export function checkIdentity(object: KubeObject, resource: ServedResource, namespace: string, name: string): void {
  const meta = object.metadata as KubeObject["metadata"] & { namespace?: string };
  if (resource.namespaced) {
    meta.namespace ||= namespace;
    if (meta.namespace !== namespace) {
      throw badRequestError(`the namespace of the provided object does not match the namespace sent on the request`);
    }
  } else delete meta.namespace;
  if (!meta.name) {
    throw badRequestError(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  }
  if (meta.name !== name) {
    throw badRequestError(`the name of the object (${meta.name}) does not match the name on the URL (${name})`);
  }
}

/** What a write to this subresource makes of the standing object; the sent one itself for the main resource. */
export function onlyPart(
  resource: ServedResource,
  subresource: string,
  sent: KubeObject,
  previous: DeepReadonly<KubeObject>,
): KubeObject {
  if (subresource === "") return sent;
  if (subresource === "status") return onlyStatus(resource, sent, previous);
  const definition = resource.subresources.get(subresource);
  const next = definition?.part?.(sent, previous as KubeObject) ?? sent;
  const source = definition?.takesMetadata ? sent : previous;
  const metadata = { ...source.metadata, resourceVersion: sent.metadata.resourceVersion } as KubeObject["metadata"];
  if (sent.metadata.managedFields) metadata.managedFields = sent.metadata.managedFields;
  return { ...next, metadata };
}

/** The standing object with the status and, where the kind allows it, the metadata of the sent one. */
function onlyStatus(resource: ServedResource, sent: KubeObject, previous: DeepReadonly<KubeObject>): KubeObject {
  const keeps = statusKeepsOf(resource);
  const metadata = { ...(keeps === "metadata" ? previous : sent).metadata } as KubeObject["metadata"];
  metadata.resourceVersion = sent.metadata.resourceVersion;
  if (sent.metadata.managedFields) metadata.managedFields = sent.metadata.managedFields;
  if (keeps === "labels") {
    if (previous.metadata.labels) metadata.labels = { ...previous.metadata.labels };
    else delete metadata.labels;
  }
  const next = { ...previous, metadata } as KubeObject & { status?: unknown };
  const { status } = sent as { status?: unknown };
  if (status === undefined) delete next.status;
  else next.status = status;
  return next;
}
