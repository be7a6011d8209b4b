/** ValidatingAdmissionWebhook: asks all webhooks that are concerned, at once. */
import { ValidatingWebhookConfigurations } from "../../../api/resources.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import { denied } from "./review.ts";
import { type Invocation, type WebhookAdmissionOptions, Webhooks } from "./webhooks.ts";

export function validatingAdmissionWebhook(options: WebhookAdmissionOptions): AdmissionPlugin {
  const webhooks = new Webhooks(options, ValidatingWebhookConfigurations as never, false);
  const ask = async (invocation: Invocation, index: number, request: AdmissionRequest) => {
    const objects = await webhooks.versions.objects(request, invocation.as);
    if (!webhooks.passesConditions(invocation, request, objects)) return;
    const answer = await webhooks.ask(invocation, request, objects);
    const { name } = invocation.hook.webhook;
    if (!answer) {
      request.annotate(`failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`, name);
      return;
    }
    for (const [key, value] of Object.entries(answer.auditAnnotations)) request.annotate(`${name}/${key}`, value);
    for (const warning of answer.warnings) request.warn(warning);
    if (!answer.allowed) throw denied(name, answer.status);
  };
  return {
    name: "ValidatingAdmissionWebhook",
    handles: (request) => webhooks.concerns(request),
    async validate(request) {
      const invocations: Invocation[] = [];
      for await (const invocation of webhooks.invocations(request)) invocations.push(invocation);
      if (invocations.length === 0) return;
      const outcomes = await Promise.allSettled(invocations.map((invocation, i) => ask(invocation, i, request)));
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    },
  };
}
