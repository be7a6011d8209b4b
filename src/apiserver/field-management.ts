/** Books which manager set which field (managedFields), on behalf of the handlers. */
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { TypeSchema } from "../api/schema.ts";
import { type FieldSet, fieldSetOf } from "../apimachinery/patch/field-set.ts";
import { MissingKeyError } from "../apimachinery/patch/list-key.ts";
import { type OtherVersions, updateManagers } from "../apimachinery/patch/managed-fields.ts";
import { rfc3339 } from "../base/clock.ts";
import type { ServedResource } from "./resource-registry.ts";

/** Notes the fields that `next` changed against `previous` under `manager`, in `next.metadata.managedFields`. */
export function bookUpdate(
  resource: ServedResource,
  next: KubeObject,
  previous: DeepReadonly<KubeObject> | undefined,
  manager: string,
  subresource: string,
  now: number,
): void {
  let managedFields: ReturnType<typeof updateManagers>;
  try {
    managedFields = updateManagers({
      live: previous as KubeObject | undefined,
      next,
      type: schemaOfResource(resource),
      manager,
      subresource,
      apiVersion: resource.apiVersion,
      time: rfc3339(now),
      ignore: untouchable(resource, subresource),
      otherVersions: otherVersionsOf(resource),
    });
  } catch (error) {
    // An object whose items cannot be told apart has no owners; whether it may be at all, validation says.
    if (!(error instanceof MissingKeyError)) throw error;
  }
  if (managedFields)
    next.metadata.managedFields = managedFields as NonNullable<KubeObject["metadata"]["managedFields"]>;
  else delete next.metadata.managedFields;
}

/** Versions that a webhook converts to cannot be asked in passing. */
export function otherVersionsOf(resource: ServedResource): OtherVersions {
  return (apiVersion) => {
    const other = apiVersion === resource.apiVersion ? undefined : resource.inVersion(apiVersion);
    if (!other?.schema || other.definition.storedAs?.convert || resource.definition.storedAs?.convert) return undefined;
    // Copies: conversions are remembered by the object they were made from, and this one is still being written.
    return {
      type: other.schema,
      convert: (object) => other.fromStored({ ...resource.toStored({ ...object } as KubeObject) }),
    };
  };
}

const statusFields = fieldSetOf(["f:status"]);
const besideStatus = {
  all: fieldSetOf(["f:spec"]),
  labels: fieldSetOf(["f:spec"], ["f:metadata", "f:labels"]),
  metadata: fieldSetOf(["f:spec"], ["f:metadata"]),
};

/** Fields that a request to this subresource cannot set, whatever it sends. */
export function untouchable(resource: ServedResource, subresource: string): FieldSet | undefined {
  if (subresource === "status") return besideStatus[statusKeepsOf(resource) ?? "all"];
  return resource.definition.hasStatus && subresource === "" ? statusFields : undefined;
}

/** What of the metadata a write of the status leaves as it is. */
export function statusKeepsOf({ definition }: ServedResource): "metadata" | "labels" | undefined {
  return definition.type?.custom ? "metadata" : definition.statusKeeps;
}

/** Kinds without a schema of their own are no kinds that can be written. */
export function schemaOfResource(resource: ServedResource): TypeSchema {
  const { schema } = resource;
  if (!schema) throw new Error(`no schema for ${resource.kind} in ${resource.apiVersion}`);
  return schema;
}
