/** MutatingAdmissionWebhook: asks one webhook after the other, each seeing what those before it made of the object. */
import type { KubeObject } from "../../../api/object.ts";
import { MutatingWebhookConfigurations } from "../../../api/resources.ts";
import { deepEqual } from "../../../apimachinery/patch/deep-equal.ts";
import { applyJsonPatch, readJsonPatch } from "../../../apimachinery/patch/json.ts";
import { decodeValue } from "../../../apimachinery/serializer/json.ts";
import { internalError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import { schemaOfDefinition } from "../../../apiserver/resource-registry.ts";
import { denied, type VerifiedResponse } from "./review.ts";
import { type Invocation, type WebhookAdmissionOptions, Webhooks } from "./webhooks.ts";

/** What happened to a request so far: webhooks that want to see later changes are called once more. */
interface Course {
  /** Webhooks with `IfNeeded` that were called, and of which nothing has changed since. */
  settled: Set<string>;
  /** Those to call again in the next pass. */
  again: Set<string>;
  /** What the last webhook left. */
  last: KubeObject | undefined;
}

export function mutatingAdmissionWebhook(options: WebhookAdmissionOptions): AdmissionPlugin {
  const webhooks = new Webhooks(options, MutatingWebhookConfigurations as never, true);
  const courses = new WeakMap<AdmissionRequest, Course>();
  return {
    name: "MutatingAdmissionWebhook",
    handles: (request) => webhooks.concerns(request),
    async mutate(request) {
      const invocations = await webhooks.invocations(request);
      if (invocations.length === 0) return;
      const course = courses.get(request) ?? { settled: new Set(), again: new Set(), last: undefined };
      courses.set(request, course);
      if (request.pass > 1 && course.last && !deepEqual(course.last, request.object)) recall(course);
      for (const invocation of invocations) {
        const { id, webhook } = invocation.hook;
        if (request.pass > 1 && !course.again.delete(id)) continue;
        if (!webhooks.passesConditions(invocation, request)) continue;
        const answer = await webhooks.ask(invocation, request);
        const changed = answer ? take(answer, invocation, request, webhooks) : false;
        if (changed) {
          recall(course);
          request.reinvoke = true;
        }
        if (webhook.reinvocationPolicy === "IfNeeded") course.settled.add(id);
      }
      course.last = structuredClone(request.object);
    },
  };
}

/** Something has changed: everybody who was content wants to look again. */
function recall({ settled, again }: Course): void {
  for (const id of settled) again.add(id);
  settled.clear();
}

/** Applies an answer; says whether the object changed. */
function take(
  answer: VerifiedResponse,
  invocation: Invocation,
  request: AdmissionRequest,
  webhooks: Webhooks,
): boolean {
  const { webhook } = invocation.hook;
  for (const [key, value] of Object.entries(answer.auditAnnotations)) request.annotate(`${webhook.name}/${key}`, value);
  for (const warning of answer.warnings) request.warn(warning);
  if (!answer.allowed) throw denied(webhook.name, answer.status);
  if (answer.patch === undefined || !request.object) return false;
  try {
    return replaceObject(request, patched(answer.patch, invocation, request, webhooks));
  } catch (error) {
    throw internalError((error as Error).message, { cause: error });
  }
}

function patched(patch: unknown, { as }: Invocation, request: AdmissionRequest, webhooks: Webhooks): KubeObject {
  const operations = readJsonPatch(patch);
  const before = webhooks.seen(request, as);
  const after = applyJsonPatch(before, operations);
  const schema = schemaOfDefinition(as.converted?.definition ?? request.definition);
  const decoded = schema ? decodeValue<KubeObject>(after, schema).object : (after as KubeObject);
  (as.converted?.definition ?? request.definition).defaults?.(decoded);
  return webhooks.restored(decoded, as, request);
}

/** The object and its metadata are private to the request, and others hold on to them: their content is exchanged. */
function replaceObject(request: AdmissionRequest, next: KubeObject): boolean {
  const target = request.object as unknown as Record<string, unknown>;
  if (deepEqual(target, next)) return false;
  const { metadata } = request.object!;
  exchange(metadata as unknown as Record<string, unknown>, next.metadata as unknown as Record<string, unknown>);
  exchange(target, { ...next, metadata });
  return true;
}

function exchange(target: Record<string, unknown>, next: Record<string, unknown>): void {
  for (const key of Object.keys(target)) delete target[key];
  Object.assign(target, next);
}
