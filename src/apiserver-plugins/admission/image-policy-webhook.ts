/** ImagePolicyWebhook: another server is asked whether a pod's images may run here (imagepolicy.k8s.io). */
import type { Pod } from "../../api/core/v1.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { Clock } from "../../base/clock.ts";
import type { WebhookCaller, WebhookTarget } from "../webhooks/webhook-caller.ts";
import { refuse } from "./refusal.ts";

export interface ImagePolicyConfiguration {
  /** A file's path: whose cluster is the webhook. */
  kubeConfigFile: string;
  /** Seconds for which an answer holds. Default 50. */
  allowTTL?: number;
  denyTTL?: number;
  /** Whether pods come in while nobody answers. */
  defaultAllow?: boolean;
}

export interface ImagePolicyOptions {
  configuration: ImagePolicyConfiguration;
  /** Reads the file, once. */
  target(): Promise<WebhookTarget>;
  caller: WebhookCaller;
  clock: Pick<Clock, "now">;
}

interface Said {
  allowed: boolean;
  reason: string;
  untilMs: number;
}

const timeoutMs = 30_000;
const mostAnswers = 1024;
const ownAnnotations = ".image-policy.k8s.io/";

export function imagePolicyWebhook({ configuration, target, caller, clock }: ImagePolicyOptions): AdmissionPlugin {
  const answers = new Map<string, Said>();
  let asked: Promise<WebhookTarget> | undefined;
  const ask = async (spec: object): Promise<Said> => {
    asked ??= target();
    const review = { apiVersion: "imagepolicy.k8s.io/v1alpha1", kind: "ImageReview", spec, status: {} };
    const answer = (await caller.call(await asked, review, { timeoutMs })) as {
      status?: { allowed?: boolean; reason?: string };
    } | null;
    const { allowed = false, reason = "" } = answer?.status ?? {};
    const seconds = (allowed ? configuration.allowTTL : configuration.denyTTL) ?? 50;
    return { allowed, reason, untilMs: clock.now() + seconds * 1000 };
  };
  return {
    name: "ImagePolicyWebhook",
    handles: concernsImages,
    async validate(request) {
      const { metadata, spec } = request.object as Pod;
      const containers = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
      const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => key.includes(ownAnnotations));
      const question = {
        containers: containers.map(({ image = "" }) => ({ image })),
        ...(annotations.length > 0 ? { annotations: Object.fromEntries(annotations) } : {}),
        namespace: request.namespace,
      };
      const key = JSON.stringify(question);
      let said = answers.get(key);
      if (!said || said.untilMs <= clock.now()) {
        try {
          said = await ask(question);
        } catch (error) {
          request.annotate(
            "imagepolicywebhook.image-policy.k8s.io/failed-open",
            String(configuration.defaultAllow ?? false),
          );
          if (configuration.defaultAllow) return;
          throw refuse(request, (error as Error).message);
        }
        answers.delete(key);
        if (answers.size >= mostAnswers) answers.delete(answers.keys().next().value!);
        answers.set(key, said);
      }
      if (said.allowed) return;
      throw refuse(
        request,
        said.reason
          ? `image policy webhook backend denied one or more images: ${said.reason}`
          : "one or more images rejected by webhook backend",
      );
    },
  };
}

function concernsImages({ definition, operation, subresource }: AdmissionRequest): boolean {
  if (definition.group !== "" || definition.plural !== "pods") return false;
  if (subresource === "ephemeralcontainers") return operation === "UPDATE";
  return subresource === "" && (operation === "CREATE" || operation === "UPDATE");
}
