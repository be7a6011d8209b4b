/** The scale subresource of any kind that has one: a view of two numbers and a selector (autoscaling/v1 Scale). */
import type { LabelSelector } from "../../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { FieldPath, invalid } from "../../apimachinery/field-error.ts";
import type { ScaleDefinition } from "../../apimachinery/resource-definition.ts";
import { labelMapMatcher, labelSelectorMatcher } from "../../apimachinery/selectors.ts";
import { badRequestError, invalidError, notFoundError } from "../../apimachinery/status-error.ts";
import { type Answer, objectOf } from "../answer.ts";
import { type Body, decodeBody } from "../decode-body.ts";
import { bookUpdate } from "../field-management.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { WriteOptions } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import type { RequestContext, Services } from "../services.ts";
import { get } from "./get.ts";
import { Patcher, type PatchRequest } from "./patch.ts";

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
  const given = sent.metadata.name;
  if (given && given !== name) {
    throw badRequestError(`the name of the object (${given}) does not match the name on the URL (${name})`);
  }
  return write(objects, context, resource, namespace, name, options, () => sent);
}

export async function patchScale(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  request: PatchRequest,
): Promise<Answer> {
  if (request.type === "apply")
    throw badRequestError("server-side apply of a Scale is not supported; patch it instead");
  const patcher = new Patcher(context, request, scaleKind);
  return write(
    objects,
    context,
    resource,
    namespace,
    name,
    request.options,
    (standing) => patcher.apply(standing) as Scale,
  );
}

async function write(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  options: WriteOptions,
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
    admissionKind: scaleKind,
    async transform(previous) {
      const scale = await wanted(scaleOf(definition, previous!));
      const replicas = scale.spec?.replicas ?? 0;
      if (replicas < 0) {
        throw invalidError(scaleKind, name, [
          invalid(FieldPath.root.child("spec", "replicas"), replicas, "must be greater than or equal to 0"),
        ]);
      }
      const next = structuredClone(previous) as KubeObject;
      setPath(next, definition.specReplicasPath, replicas);
      next.metadata.resourceVersion = scale.metadata.resourceVersion;
      return next;
    },
    book: (next, previous) => bookUpdate(resource, next, previous, manager, "scale", now),
  });
  return scaleAnswer(resource, answer);
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
