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
      let course: Course | undefined;
      for await (const invocation of webhooks.invocations(request)) {
        if (!course) {
          course = courses.get(request) ?? new Course();
          courses.set(request, course);
          course.begin(request);
        }
        const { id, webhook, configuration } = invocation.hook;
        const round = `round_${request.pass > 1 ? 1 : 0}_index_${invocation.index}`;
        const note = (mutated: boolean) =>
          request.annotate(
            `mutation.webhook.admission.k8s.io/${round}`,
            JSON.stringify({ configuration, webhook: webhook.name, mutated }),
          );
        if (!course.takesPart(id, request)) continue;
        const objects = await webhooks.versions.objects(request, invocation.as);
        if (!webhooks.passesConditions(invocation, request, objects)) continue;
        let changed = false;
        try {
          const answer = await webhooks.ask(invocation, request, objects);
          if (!answer) request.annotate(`failed-open.mutation.webhook.admission.k8s.io/${round}`, webhook.name);
          else changed = await take(answer, invocation, request, objects, webhooks, round);
        } finally {
          note(changed);
        }
        if (changed) {
          course.changed();
          request.reinvoke = true;
        }
        if (webhook.reinvocationPolicy === "IfNeeded") course.settle(id);
      }
      course?.end(request);
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
  round: string,
): Promise<boolean> {
  const { webhook, configuration } = invocation.hook;
  for (const [key, value] of Object.entries(answer.auditAnnotations)) request.annotate(`${webhook.name}/${key}`, value);
  for (const warning of answer.warnings) request.warn(warning);
  if (!answer.allowed) throw denied(webhook.name, answer.status);
  const { patch } = answer;
  if (patch === undefined || (Array.isArray(patch) && patch.length === 0)) return false;
  if (!request.object) {
    throw internalError(
      `admission webhook ${JSON.stringify(webhook.name)} attempted to modify the object, which is not supported for this operation`,
    );
  }
  try {
    const { as } = invocation;
    const made = decodedAs(applyJsonPatch(object, readJsonPatch(patch)), as, request);
    request.annotate(
      `patch.webhook.admission.k8s.io/${round}`,
      JSON.stringify({ configuration, webhook: webhook.name, patch, patchType: "JSONPatch" }),
      "Request",
    );
    return replaceObject(request, await versions.restored(made, as, request));
  } catch (error) {
    throw internalError((error as Error).message, { cause: error });
  }
}
