/** MutatingAdmissionWebhook: asks one webhook after the other, each seeing what those before it made of the object. */
import type { KubeObject } from "../../../api/object.ts";
import { MutatingWebhookConfigurations } from "../../../api/resources.ts";
import { applyJsonPatch, readJsonPatch } from "../../../apimachinery/patch/json.ts";
import { internalError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import { Course, decodedAs, replaceObject } from "../generic/replace-object.ts";
import { denied, type VerifiedResponse } from "./review.ts";
import { type Invocation, type WebhookAdmissionOptions, Webhooks } from "./webhooks.ts";

export function mutatingAdmissionWebhook(options: WebhookAdmissionOptions): AdmissionPlugin {
  const webhooks = new Webhooks(options, MutatingWebhookConfigurations as never, true);
  const courses = new WeakMap<AdmissionRequest, Course>();
  return {
    name: "MutatingAdmissionWebhook",
    handles: (request) => webhooks.concerns(request),
    async mutate(request) {
      const invocations = await webhooks.invocations(request);
      if (invocations.length === 0) return;
      const course = courses.get(request) ?? new Course();
      courses.set(request, course);
      course.begin(request);
      for (const invocation of invocations) {
        const { id, webhook } = invocation.hook;
        if (!course.takesPart(id, request)) continue;
        if (!webhooks.passesConditions(invocation, request)) continue;
        const answer = await webhooks.ask(invocation, request);
        const changed = answer ? take(answer, invocation, request, webhooks) : false;
        if (changed) {
          course.changed();
          request.reinvoke = true;
        }
        if (webhook.reinvocationPolicy === "IfNeeded") course.settle(id);
      }
      course.end(request);
    },
  };
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
  return webhooks.restored(decodedAs(after, as, request), as, request);
}
