/** The scale subresource of any kind that has one: a view of two numbers and a selector (autoscaling/v1 Scale). */
import type { LabelSelector } from "../../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { schemaForKind } from "../../api/schema.ts";
import { FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { apiVersionOf } from "../../apimachinery/group-version.ts";
import { applyPatch as applyConfiguration } from "../../apimachinery/patch/apply.ts";
import { fieldSetOf } from "../../apimachinery/patch/field-set.ts";
import type { ManagedFields } from "../../apimachinery/patch/managed-fields.ts";
import { managersFromScale, managersOfScale } from "../../apimachinery/patch/scale-managers.ts";
import type { ScaleDefinition } from "../../apimachinery/resource-definition.ts";
import { labelMapMatcher, labelSelectorMatcher } from "../../apimachinery/selectors.ts";
import { conflictError, invalidError, notFoundError } from "../../apimachinery/status-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { type Answer, objectOf } from "../answer.ts";
import { type Body, decodeBody } from "../decode-body.ts";
import { bookUpdate } from "../field-management.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { WriteOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { RequestContext, Services } from "../services.ts";
import { checkConfiguration, configurationOf } from "./apply.ts";
import { get } from "./get.ts";
import { Patcher, type PatchRequest } from "./patch.ts";
import { checkIdentity } from "./update.ts";

interface Scale extends KubeObject {
  spec?: { replicas?: number };
  status?: { replicas: number; selector?: string };
}

const scaleKind = { group: "autoscaling", version: "v1", kind: "Scale" };

export async function getScale(
  services: Services,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
): Promise<Answer> {
  const answer = await get(services, context, resource, namespace, name, "");
  return scaleAnswer(resource, answer);
}

export async function updateScale(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  body: Body,
  options: WriteOptions,
): Promise<Answer> {
  const sent = (await decodeBody(context, body, scaleKind, options.fieldValidation)) as Scale;
  checkIdentity(sent, resource, namespace, name);
  const { uid } = sent.metadata;
  return write(objects, context, resource, namespace, name, { ...options, expectedUid: uid }, () => sent);
}

export async function patchScale(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  request: PatchRequest,
): Promise<Answer> {
  if (request.type === "apply") return applyScale(objects, context, resource, namespace, name, request);
  const patcher = new Patcher(context, request, scaleKind);
  return write(objects, context, resource, namespace, name, request.options, (standing) => {
    const patched = patcher.apply(standing) as Scale;
    checkIdentity(patched, resource, namespace, name);
    if (patched.metadata.uid && patched.metadata.uid !== standing.metadata.uid) {
      const why = `Precondition failed: UID in precondition: ${patched.metadata.uid}, UID in object meta: ${standing.metadata.uid}`;
      const { group, resource: plural } = resource.groupResource;
      throw conflictError({ group, resource: `${plural}/scale` }, name, why);
    }
    return patched;
  });
}

/** Server-side apply of a Scale: its one field is merged, and owned, as the object's number of replicas. */
async function applyScale(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  request: PatchRequest,
): Promise<Answer> {
  const { options } = request;
  const definition = definitionOf(resource, name);
  const applied = await configurationOf(context, request);
  checkConfiguration(applied, { apiVersion: apiVersionOf(scaleKind), kind: scaleKind.kind }, name);
  const type = schemaForKind(scaleKind.group, scaleKind.version, scaleKind.kind)!;
  const time = rfc3339(objects.services.clock.now());
  const { specReplicasPath } = definition;
  const answer = await objects.update(context, {
    resource,
    namespace,
    name,
    subresource: "scale",
    dryRun: options.dryRun,
    unconditional: true,
    admissionKind: scaleKind,
    transform(previous) {
      const standing = scaleOf(definition, previous!);
      const recorded = previous!.metadata.managedFields as ManagedFields | undefined;
      const managers = managersOfScale(recorded, specReplicasPath);
      const live = { ...standing, metadata: { ...standing.metadata, managedFields: managers } };
      const { object, managedFields } = applyConfiguration({
        live,
        applied,
        type,
        manager: options.fieldManager,
        subresource: "scale",
        apiVersion: apiVersionOf(scaleKind),
        time,
        force: options.force ?? false,
        ignore: fieldSetOf(["f:status"]),
      });
      const next = scaled(definition, previous!, object as Scale, name);
      next.metadata.resourceVersion = applied.metadata?.resourceVersion ?? "";
      if (object === live) return next;
      const entries = managersFromScale(recorded, managedFields, specReplicasPath, resource.apiVersion);
      next.metadata.managedFields = entries as NonNullable<KubeObject["metadata"]["managedFields"]>;
      return next;
    },
  });
  return scaleAnswer(resource, answer);
}

async function write(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  options: WriteOptions & { expectedUid?: string | undefined },
  wanted: (standing: Scale) => Scale | Promise<Scale>,
): Promise<Answer> {
  const definition = definitionOf(resource, name);
  const manager = options.fieldManager || context.defaultManager;
  const now = objects.services.clock.now();
  const answer = await objects.update(context, {
    resource,
    namespace,
    name,
    subresource: "scale",
    dryRun: options.dryRun,
    unconditional: true,
    ...(options.expectedUid ? { expectedUid: options.expectedUid } : {}),
    admissionKind: scaleKind,
    async transform(previous) {
      const scale = await wanted(scaleOf(definition, previous!));
      const next = scaled(definition, previous!, scale, name);
      next.metadata.resourceVersion = scale.metadata.resourceVersion;
      return next;
    },
    book: (next, previous) => bookUpdate(resource, next, previous, manager, "scale", now),
  });
  return scaleAnswer(resource, answer);
}

/** A private copy of the object with the number of replicas that the Scale asks for. Throws a 422 for fewer than none. */
function scaled(definition: ScaleDefinition, object: DeepReadonly<KubeObject>, scale: Scale, name: string): KubeObject {
  const replicas = scale.spec?.replicas ?? 0;
  if (replicas < 0) {
    throw invalidError(scaleKind, name, [
      invalid(FieldPath.root.child("spec", "replicas"), replicas, "must be greater than or equal to 0"),
    ]);
  }
  const next = structuredClone(object) as KubeObject;
  setPath(next, definition.specReplicasPath, replicas);
  return next;
}

function definitionOf(resource: ServedResource, name: string): ScaleDefinition {
  const { scale } = resource.definition;
  if (!scale) throw notFoundError(resource.groupResource, name);
  return scale;
}

function scaleAnswer(resource: ServedResource, answer: Answer): Answer {
  const code = answer.kind === "list" ? 200 : answer.code;
  const object = objectOf(answer) as DeepReadonly<KubeObject>;
  return { kind: "object", code, object: scaleOf(definitionOf(resource, object.metadata.name), object) };
}

function scaleOf(definition: ScaleDefinition, object: DeepReadonly<KubeObject>): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata as KubeObject["metadata"] & {
    namespace?: string;
  };
  const selector = definition.selectorPath ? selectorText(getPath(object, definition.selectorPath)) : "";
  const replicas = getPath(object, definition.specReplicasPath) as number | undefined;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, ...(namespace ? { namespace } : {}), uid, resourceVersion, creationTimestamp },
    spec: replicas ? { replicas } : {},
    status: {
      replicas: (getPath(object, definition.statusReplicasPath) as number | undefined) ?? 0,
      ...(selector ? { selector } : {}),
    },
  } as Scale;
}

/** A selector of any of the shapes that kinds have, in the query's syntax. */
function selectorText(selector: unknown): string {
  if (typeof selector === "string") return selector;
  if (typeof selector !== "object" || selector === null) return "";
  const isLabelSelector = "matchLabels" in selector || "matchExpressions" in selector;
  if (isLabelSelector) return labelSelectorMatcher(selector as LabelSelector).toString();
  return labelMapMatcher(selector as Record<string, string>).toString();
}

function getPath(object: unknown, path: string): unknown {
  let value = object;
  for (const step of steps(path)) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

function setPath(object: object, path: string, value: unknown): void {
  const names = steps(path);
  const last = names.pop()!;
  let at = object as Record<string, unknown>;
  for (const step of names) at = (at[step] ??= {}) as Record<string, unknown>;
  at[last] = value;
}

/** Dotted, with or without the leading dot that CustomResourceDefinitions write. */
function steps(path: string): string[] {
  return path.split(".").filter((step) => step !== "");
}
