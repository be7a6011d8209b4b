/**
 * Makes the ResourceClaims that Pods ask for by template, and gives up what Pods that are over had: their reservations, with the
 * last one the devices, and the claims that were made for them. Its keys are Pods' and, after `claim:`, claims'.
 */
import type { Pod, PodResourceClaim } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { ResourceClaim, ResourceClaimTemplate } from "../../api/resource/v1.ts";
import { Pods, ResourceClaims, ResourceClaimTemplates } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { keyOf, type ObjectKey, objectKey } from "../../controller-runtime/cache.ts";
import { defineController, index, type Reconcile, wake } from "../../controller-runtime/controller.ts";
import {
  canBeReserved,
  claimFinalizer,
  claimNamesOf,
  isPodDone,
  isReservedFor,
  owningPod,
  podClaimName,
  whyNotForPod,
} from "../../controller-runtime/pod-resource-claims.ts";
import { controllerReferenceTo } from "../ownership.ts";

type ReadPod = DeepReadonly<Pod>;
type ReadClaim = DeepReadonly<ResourceClaim>;
type Context = Pick<Reconcile, "cache" | "api" | "events">;

const podClaimAnnotation = "resource.kubernetes.io/pod-claim-name";
const fieldManager = "ResourceClaimController";
const claimPrefix = "claim:";
const usersIndex = "resourceClaims";

export const resourceClaimController = defineController<Pod>({
  name: "resourceclaim-controller",
  eventSource: "resource_claim",
  reconciles: Pods,
  when: ({ type, object }) => type !== "DELETED" && (object.spec.resourceClaims?.length ?? 0) > 0,
  wakesOn: [
    wake<Pod>({
      resource: Pods,
      when: ({ type, object }) => type === "DELETED" || isPodDone(object),
      keys: (pod) => [...claimKeysOf(pod)].map(claimKey),
    }),
    wake<ResourceClaim>({
      resource: ResourceClaims,
      *keys(claim, cache) {
        yield claimKey(keyOf(claim));
        for (const pod of cache.byIndex(Pods, usersIndex, keyOf(claim))) yield keyOf(pod);
        const owner = owningPod(claim);
        if (owner) yield objectKey(owner.name, claim.metadata.namespace);
      },
    }),
    wake<ResourceClaimTemplate>({
      resource: ResourceClaimTemplates,
      when: ({ type }) => type === "ADDED",
      *keys({ metadata }, cache) {
        for (const pod of cache.list(Pods, metadata.namespace)) {
          if (pod.spec.resourceClaims?.some((entry) => entry.resourceClaimTemplateName === metadata.name))
            yield keyOf(pod);
        }
      },
    }),
  ],
  indexes: [index<Pod>({ resource: Pods, name: usersIndex, values: claimKeysOf })],
  writes: [ResourceClaims, { statusOf: ResourceClaims }, { statusOf: Pods }],
  async reconcile({ key, ...context }) {
    if (key.startsWith(claimPrefix)) {
      const claim = context.cache.get(ResourceClaims, key.slice(claimPrefix.length) as ObjectKey);
      if (claim) await reconcileClaim(context, claim);
      return;
    }
    const pod = context.cache.get(Pods, key);
    if (pod && !pod.metadata.deletionTimestamp && !isPodDone(pod)) await reconcilePod(context, pod);
  },
});

const claimKey = (key: ObjectKey) => `${claimPrefix}${key}` as ObjectKey;

function* claimKeysOf(pod: ReadPod): Iterable<ObjectKey> {
  for (const name of claimNamesOf(pod)) yield objectKey(name, pod.metadata.namespace);
}

async function reconcilePod(context: Context, pod: ReadPod): Promise<void> {
  const { api, cache, events } = context;
  const made: { name: string; resourceClaimName: string }[] = [];
  for (const entry of pod.spec.resourceClaims ?? []) {
    try {
      const resourceClaimName = await ensureClaim(context, pod, entry);
      if (resourceClaimName) made.push({ name: entry.name, resourceClaimName });
    } catch (error) {
      const why = `PodResourceClaim ${entry.name}: ${(error as Error).message}`;
      events.event(pod, "Warning", "FailedResourceClaimCreation", why);
      throw new Error(`pod ${keyOf(pod)}, ${why}`, { cause: error });
    }
  }
  if (made.length > 0) {
    const body = { metadata: { uid: pod.metadata.uid }, status: { resourceClaimStatuses: made } };
    await api.patch(Pods, refOf(pod), { type: "strategic", body }, { subresource: "status", fieldManager });
  }
  // The scheduler reserves claims along with their allocation; a Pod that came with its Node did not meet it.
  if (!pod.spec.nodeName) return;
  for (const entry of pod.spec.resourceClaims ?? []) {
    const named = podClaimName(pod, entry);
    const claim = named.kind === "named" && cache.get(ResourceClaims, objectKey(named.name, pod.metadata.namespace));
    if (!claim || (named.isGenerated && whyNotForPod(pod, claim))) continue;
    if (!claim.status?.allocation || isReservedFor(pod, claim) || !canBeReserved(claim)) continue;
    const { name, uid } = pod.metadata;
    const reservedFor = [...(claim.status.reservedFor ?? []), { resource: "pods", name, uid }];
    await api.updateStatus(ResourceClaims, { ...claim, status: { ...claim.status, reservedFor } });
  }
}

/** The name of a claim that the Pod's status does not say yet. */
async function ensureClaim(
  { api, cache }: Context,
  pod: ReadPod,
  entry: DeepReadonly<PodResourceClaim>,
): Promise<string | undefined> {
  const { namespace } = pod.metadata;
  const templateName = entry.resourceClaimTemplateName;
  if (templateName === undefined) return undefined;
  const named = podClaimName(pod, entry);
  if (named.kind === "none") return undefined;
  if (named.kind === "named") {
    const present = cache.get(ResourceClaims, objectKey(named.name, namespace));
    if (present && !whyNotForPod(pod, present)) return undefined;
  }
  // Made before, but the Pod's status was not written.
  const known = cache
    .ownedBy(ResourceClaims, pod)
    .find(({ metadata }) => metadata.annotations?.[podClaimAnnotation] === entry.name);
  if (known) return known.metadata.name;
  const template = cache.get(ResourceClaimTemplates, objectKey(templateName, namespace));
  if (!template) {
    const missing = `resourceclaimtemplate.resource.k8s.io ${JSON.stringify(templateName)} not found`;
    throw new Error(`resource claim template ${JSON.stringify(templateName)}: ${missing}`);
  }
  const { labels, annotations } = template.spec.metadata ?? {};
  const claim = await api.create(ResourceClaims, {
    metadata: {
      generateName: generatedPrefix(pod.metadata.name, entry.name),
      namespace,
      ...(labels ? { labels: { ...labels } } : {}),
      annotations: { ...annotations, [podClaimAnnotation]: entry.name },
      ownerReferences: [controllerReferenceTo(Pods, pod)],
    },
    // The server copies what it is given.
    spec: template.spec.spec as ResourceClaim["spec"],
  });
  return claim.metadata.name;
}

/** Room for five more characters in 63; both names are cut in proportion, so that something of each is left. */
export function generatedPrefix(podName: string, claimName: string): string {
  const most = 57;
  const prefix = `${podName}-${claimName}-`;
  if (prefix.length <= most) return prefix;
  const cut = (text: string) => text.slice(0, Math.floor((text.length * most) / prefix.length));
  return `${cut(podName)}-${cut(claimName)}`;
}

async function reconcileClaim({ api, cache }: Context, present: ReadClaim): Promise<void> {
  const { namespace, uid } = present.metadata;
  const before = present.status?.reservedFor ?? [];
  const valid: (typeof before)[number][] = [];
  for (const consumer of before) {
    if (consumer.apiGroup || consumer.resource !== "pods") {
      valid.push(consumer); // Nothing is known of others.
      continue;
    }
    const key = objectKey(consumer.name, namespace);
    // A Pod that is not seen yet may be the one that is being scheduled: only the API knows.
    const pod = cache.get(Pods, key) ?? (await podOf(api, consumer.name, namespace));
    if (pod?.metadata.uid === consumer.uid && !isPodDone(pod)) valid.push(consumer);
  }

  let claim = present;
  const isHeld = () => claim.metadata.finalizers?.includes(claimFinalizer) ?? false;
  const letGo = async () => {
    const finalizers = claim.metadata.finalizers?.filter((name) => name !== claimFinalizer) ?? [];
    claim = await api.update(ResourceClaims, { ...claim, metadata: { ...claim.metadata, finalizers } });
  };
  const { allocation: _, ...free } = claim.status ?? {};
  if (valid.length < before.length) {
    // With its last user the claim loses its devices: whoever comes next may be somewhere else.
    const status = valid.length === 0 && isHeld() ? free : { ...claim.status };
    claim = await api.updateStatus(ResourceClaims, { ...claim, status: { ...status, reservedFor: valid } });
    if (isHeld() && !claim.status?.allocation) await letGo();
  } else if (isHeld() && claim.metadata.deletionTimestamp && valid.length === 0) {
    if (claim.status?.allocation) claim = await api.updateStatus(ResourceClaims, { ...claim, status: free });
    await letGo();
  }

  const owner = valid.length === 0 && !claim.metadata.deletionTimestamp ? owningPod(claim) : undefined;
  const pod = owner && cache.get(Pods, objectKey(owner.name, namespace));
  // A Pod that is gone takes its claims with it by the garbage collector.
  if (!pod || (pod.metadata.uid === owner?.uid && !isPodDone(pod))) return;
  try {
    await api.delete(ResourceClaims, refOf(claim), { preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function podOf(api: Context["api"], name: string, namespace: string): Promise<ReadPod | undefined> {
  try {
    return await api.get(Pods, { name, namespace });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
