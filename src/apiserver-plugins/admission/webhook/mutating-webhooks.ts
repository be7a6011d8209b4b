/** MutatingAdmissionWebhook: asks one webhook after the other, each seeing what those before it made of the object. */
import { MutatingWebhookConfigurations } from "../../../api/resources.ts";
import { applyJsonPatch, readJsonPatch } from "../../../apimachinery/patch/json.ts";
import { internalError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import { Course, decodedAs, replaceObject } from "../generic/replace-object.ts";
import type { SeenObjects } from "../generic/request-versions.ts";
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
        const objects = await webhooks.versions.objects(request, invocation.as);
        if (!webhooks.passesConditions(invocation, request, objects)) continue;
        const answer = await webhooks.ask(invocation, request, objects);
        const changed = answer ? await take(answer, invocation, request, objects, webhooks) : false;
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
async function take(
  answer: VerifiedResponse,
  invocation: Invocation,
  request: AdmissionRequest,
  { object }: SeenObjects,
  { versions }: Webhooks,
): Promise<boolean> {
  const { webhook } = invocation.hook;
  for (const [key, value] of Object.entries(answer.auditAnnotations)) request.annotate(`${webhook.name}/${key}`, value);
  for (const warning of answer.warnings) request.warn(warning);
  if (!answer.allowed) throw denied(webhook.name, answer.status);
  if (answer.patch === undefined || !request.object) return false;
  try {
    const { as } = invocation;
    const made = decodedAs(applyJsonPatch(object, readJsonPatch(answer.patch)), as, request);
    return replaceObject(request, await versions.restored(made, as, request));
  } catch (error) {
    throw internalError((error as Error).message, { cause: error });
  }
}
