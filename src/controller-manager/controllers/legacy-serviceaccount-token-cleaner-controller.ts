/** Marks, and a year later deletes, token Secrets that were once made for every ServiceAccount and that nobody has used for a year. */
import type { Pod, Secret, ServiceAccount } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { ConfigMaps, Pods, Secrets, ServiceAccounts } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { objectKey } from "../../controller-runtime/cache.ts";
import { type ControllerDefinition, defineController } from "../../controller-runtime/controller.ts";
import { tokenSecretType } from "./serviceaccount-token-controller.ts";

const dayMs = 24 * 3600_000;
const unusedMs = 365 * dayMs;
const lastUsedLabel = "kubernetes.io/legacy-token-last-used";
const invalidSinceLabel = "kubernetes.io/legacy-token-invalid-since";
/** Since when the API server keeps count of uses; before that nothing is known to be unused. */
const trackingConfigMap = objectKey("kube-apiserver-legacy-service-account-token-tracking", "kube-system");

export const legacyServiceAccountTokenCleanerController: ControllerDefinition = defineController<Secret>({
  name: "legacy-serviceaccount-token-cleaner-controller",
  reconciles: Secrets,
  when: ({ type, object }) => type !== "DELETED" && object.type === tokenSecretType,
  reads: [ConfigMaps, Pods, ServiceAccounts],
  writes: [Secrets],
  async reconcile({ key, cache, api, clock }) {
    const secret = cache.get(Secrets, key);
    if (secret?.type !== tokenSecretType) return;
    const { namespace, uid, resourceVersion } = secret.metadata;
    const verdict = judgeToken(
      secret,
      cache.list(ServiceAccounts, namespace),
      cache.list(Pods, namespace),
      cache.get(ConfigMaps, trackingConfigMap)?.data?.["since"],
      clock.now(),
    );
    const preconditions = { uid, resourceVersion };
    const label = (value: string | null) =>
      api.patch(Secrets, refOf(secret), {
        type: "merge",
        body: { metadata: { ...preconditions, labels: { [invalidSinceLabel]: value } } },
      });
    try {
      if (verdict === "delete") await api.delete(Secrets, refOf(secret), { preconditions });
      else if (verdict === "mark") await label(new Date(clock.now()).toISOString().slice(0, 10));
      else if (verdict === "unmark") await label(null);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return { afterMs: dayMs };
  },
});

/** What becomes of a token Secret. `trackedSince` is a date (2026-11-21); dates count whole days. */
export function judgeToken(
  secret: DeepReadonly<Secret>,
  accounts: readonly DeepReadonly<ServiceAccount>[],
  pods: readonly DeepReadonly<Pod>[],
  trackedSince: string | undefined,
  nowMs: number,
): "keep" | "mark" | "unmark" | "delete" {
  const { name, annotations, creationTimestamp = "", labels = {} } = secret.metadata;
  const account = accounts.find(
    ({ metadata }) => metadata.name === annotations?.["kubernetes.io/service-account.name"],
  );
  // Only what a ServiceAccount lists was made for it; a Secret that a user asked for stays.
  if (!account?.secrets?.some((reference) => reference.name === name)) return "keep";
  if (trackedSince === undefined) return "keep";
  const isMounted = pods.some(({ spec }) => spec.volumes?.some((volume) => volume.secret?.secretName === name));
  const known = [labels[lastUsedLabel], labels[lastUsedLabel] ? undefined : trackedSince].filter(Boolean) as string[];
  const lastMs = Math.max(...known.map((date) => Date.parse(date)), Date.parse(creationTimestamp) || 0);
  const markedAt = labels[invalidSinceLabel];
  if (isMounted || lastMs + unusedMs > nowMs) return markedAt === undefined ? "keep" : "unmark";
  if (markedAt === undefined || Number.isNaN(Date.parse(markedAt))) return "mark";
  return Date.parse(markedAt) + unusedMs <= nowMs ? "delete" : "keep";
}
