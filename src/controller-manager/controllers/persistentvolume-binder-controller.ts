/**
 * Binds PersistentVolumeClaims to PersistentVolumes, and says what became of volumes whose claim is gone.
 *
 * Claims and volumes are looked at one at a time, so that no two claims take one volume: a key with a slash is a claim's, one
 * without is a volume's. Making volumes is a provisioner's work; this controller only calls for it.
 */
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { PersistentVolumeClaims, PersistentVolumes, Pods, StorageClasses } from "../../api/resources.ts";
import type { StorageClass } from "../../api/storage/v1.ts";
import { semanticEqual } from "../../apimachinery/semantic-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { keyOf, type ObjectKey, objectKey, type ReadCache, splitKey } from "../../controller-runtime/cache.ts";
import { defineController, index, type Reconcile, statusOf, wake } from "../../controller-runtime/controller.ts";
import {
  bindCompleted,
  boundByController,
  classAnnotation,
  classNameOf,
  findVolume,
  isReservedFor,
  mismatch,
  modeOf,
  provisionedBy,
  type ReadClaim,
  type ReadVolume,
  selectedNode,
} from "../../controller-runtime/volume-matching.ts";

import { claimKeysOf, isPodActive } from "../pod-facts.ts";

const storageProvisioner = "volume.kubernetes.io/storage-provisioner";
const oldStorageProvisioner = "volume.beta.kubernetes.io/storage-provisioner";
/** Provisioners that upstream once had built in, and that drivers have taken over: their volumes are made elsewhere. */
const migrated = /^kubernetes\.io\/(aws-ebs|gce-pd|azure-disk|azure-file|cinder|vsphere-volume|portworx-volume)$/;
const byClaim = "claim";
const byVolume = "volume";
const unplacedByClaim = "claims of Pods without a Node";

export const persistentVolumeBinderController = defineController<PersistentVolumeClaim>({
  name: "persistentvolume-binder-controller",
  eventSource: "persistentvolume-controller",
  reconciles: PersistentVolumeClaims,
  concurrency: 1,
  wakesOn: [
    wake<PersistentVolume>({
      resource: PersistentVolumes,
      *keys(volume, cache) {
        yield keyOf(volume);
        const { claimRef } = volume.spec;
        if (claimRef) yield objectKey(claimRef.name ?? "", claimRef.namespace);
        else if (volume.status?.phase === "Available") yield* unboundClaims(cache, classNameOf(volume));
        // Those that ask for it by name, or miss it.
        for (const claim of cache.byIndex(PersistentVolumeClaims, byVolume, volume.metadata.name)) yield keyOf(claim);
      },
    }),
    // A claim that waits for a Pod says which, once that cannot be placed at once.
    wake<Pod>({
      resource: Pods,
      when: ({ type, object, previous }) =>
        type !== "DELETED" && isUnplaced(object) && !(previous && isUnplaced(previous)),
      keys: (pod) => claimKeysOf(pod),
    }),
    wake<StorageClass>({
      resource: StorageClasses,
      *keys(storageClass, cache) {
        yield* unboundClaims(cache, storageClass.metadata.name);
        if (!isDefaultClass(storageClass)) return;
        for (const claim of cache.list(PersistentVolumeClaims))
          if (!isBound(claim) && isClassless(claim)) yield keyOf(claim);
      },
    }),
  ],
  indexes: [
    index<PersistentVolume>({
      resource: PersistentVolumes,
      name: byClaim,
      values: ({ spec: { claimRef } }) => (claimRef ? objectKey(claimRef.name ?? "", claimRef.namespace) : undefined),
    }),
    index<PersistentVolumeClaim>({
      resource: PersistentVolumeClaims,
      name: byVolume,
      values: ({ spec }) => spec.volumeName,
    }),
    index<Pod>({
      resource: Pods,
      name: unplacedByClaim,
      values: (pod) => (pod.spec.nodeName ? undefined : claimKeysOf(pod)),
    }),
  ],
  writes: [PersistentVolumeClaims, statusOf(PersistentVolumeClaims), PersistentVolumes, statusOf(PersistentVolumes)],
  async reconcile(context) {
    const { key, cache } = context;
    if (splitKey(key).namespace === undefined) {
      const volume = cache.get(PersistentVolumes, key);
      return volume && (await settleVolume(context, volume));
    }
    const claim = cache.get(PersistentVolumeClaims, key);
    if (claim) await settleClaim(context, claim);
    for (const volume of cache.byIndex(PersistentVolumes, byClaim, key)) await settleVolume(context, volume);
  },
});

function* unboundClaims(cache: ReadCache, className: string): Iterable<ObjectKey> {
  for (const claim of cache.list(PersistentVolumeClaims)) {
    if (!isBound(claim) && classNameOf(claim) === className) yield keyOf(claim);
  }
}

/** Nobody has said which class: the default one is given to it, also when that comes later. */
function isClassless({ metadata, spec }: ReadClaim): boolean {
  return spec.storageClassName === undefined && metadata.annotations?.[classAnnotation] === undefined;
}

function isDefaultClass({ metadata }: DeepReadonly<StorageClass>): boolean {
  return ["", "beta."].some(
    (version) => metadata.annotations?.[`storageclass.${version}kubernetes.io/is-default-class`] === "true",
  );
}

/** The newest of several. */
function defaultClass(cache: ReadCache): DeepReadonly<StorageClass> | undefined {
  const [newest] = cache
    .list(StorageClasses)
    .filter(isDefaultClass)
    .sort((a, b) => {
      const [earlier, later] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
      if (earlier === later) return a.metadata.name < b.metadata.name ? -1 : 1;
      return earlier > later ? -1 : 1;
    });
  return newest;
}

function isUnplaced({ status }: DeepReadonly<Pod>): boolean {
  return status?.conditions?.some((one) => one.type === "PodScheduled" && one.status === "False") === true;
}

const isBound = ({ metadata }: ReadClaim) => metadata.annotations?.[bindCompleted] !== undefined;

async function settleClaim(context: Reconcile, claim: ReadClaim): Promise<void> {
  if (isBound(claim)) return settleBoundClaim(context, claim);
  // A claim on its way out gets nothing any more.
  if (claim.metadata.deletionTimestamp) return;
  return claim.spec.volumeName ? settleNamedVolume(context, claim) : settleFreeClaim(context, claim);
}

/** The claim has a volume: is it still there, and still the claim's? */
async function settleBoundClaim(context: Reconcile, claim: ReadClaim): Promise<void> {
  const { volumeName } = claim.spec;
  if (!volumeName) {
    const message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
    return setLost(context, claim, "ClaimLost", message);
  }
  const volume = await newestVolume(context, volumeName);
  if (!volume) {
    const message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    return setLost(context, claim, "ClaimLost", message);
  }
  const { claimRef } = volume.spec;
  if (!claimRef || (claimRef.uid === claim.metadata.uid && isReservedFor(volume, claim)))
    return bind(context, volume, claim);
  const message = "Two claims are bound to the same volume, this one is bound incorrectly";
  return setLost(context, claim, "ClaimMisbound", message);
}

/** The claim asks for one volume by name. */
async function settleNamedVolume(context: Reconcile, claim: ReadClaim): Promise<void> {
  const { events } = context;
  const volume = await newestVolume(context, claim.spec.volumeName!);
  if (!volume) return setPending(context, claim);
  const { claimRef } = volume.spec;
  if (claimRef && !isReservedFor(volume, claim)) {
    const owner = `${claimRef.namespace}/${claimRef.name}`;
    const message = `volume ${JSON.stringify(volume.metadata.name)} already bound to a different claim (${owner}).`;
    events.event(claim, "Warning", "FailedBinding", message);
    return setPending(context, claim);
  }
  const problem = claimRef ? undefined : mismatch(volume, claim);
  if (problem) {
    const message = `Cannot bind to requested volume ${JSON.stringify(volume.metadata.name)}: ${problem}`;
    events.event(claim, "Warning", "VolumeMismatch", message);
    return setPending(context, claim);
  }
  return bind(context, volume, claim);
}

async function settleFreeClaim(context: Reconcile, claim: ReadClaim): Promise<void> {
  const { cache, events, api } = context;
  const fallback = isClassless(claim) ? defaultClass(cache) : undefined;
  if (fallback && !findVolume(cache.list(PersistentVolumes), claim)) {
    // The write wakes us.
    await api.update(PersistentVolumeClaims, {
      ...claim,
      spec: { ...claim.spec, storageClassName: fallback.metadata.name },
    });
    return;
  }
  const className = classNameOf(claim);
  const storageClass = className ? cache.get(StorageClasses, objectKey(className)) : undefined;
  const waits =
    storageClass?.volumeBindingMode === "WaitForFirstConsumer" && !claim.metadata.annotations?.[selectedNode];
  const volume = findVolume(cache.list(PersistentVolumes), claim, { onlyReserved: waits });
  if (volume) return bind(context, volume, claim);
  if (waits) {
    const [first, ...more] = cache
      .byIndex(Pods, unplacedByClaim, keyOf(claim))
      .filter((pod) => isPodActive(pod))
      .map(({ metadata }) => metadata.name);
    if (first === undefined) {
      const message = "waiting for first consumer to be created before binding";
      events.event(claim, "Normal", "WaitForFirstConsumer", message);
    } else {
      const pods = more.length > 0 ? `pods ${[first, ...more].join(",")}` : `pod ${first}`;
      events.event(claim, "Normal", "WaitForPodScheduled", `waiting for ${pods} to be scheduled`);
    }
  } else if (className) await callForVolume(context, claim, storageClass);
  else {
    const message = "no persistent volumes available for this claim and no storage class is set";
    events.event(claim, "Normal", "FailedBinding", message);
  }
  return setPending(context, claim);
}

/** Marks the claim for the provisioner that its class names. */
async function callForVolume(
  { api, events }: Reconcile,
  claim: ReadClaim,
  storageClass: DeepReadonly<StorageClass> | undefined,
): Promise<void> {
  if (!storageClass) {
    const message = `storageclass.storage.k8s.io ${JSON.stringify(classNameOf(claim))} not found`;
    events.event(claim, "Warning", "ProvisioningFailed", message);
    return;
  }
  const { provisioner } = storageClass;
  if (provisioner.startsWith("kubernetes.io/") && !migrated.test(provisioner)) {
    events.event(claim, "Warning", "ProvisioningFailed", `no volume plugin matched name: ${provisioner}`);
    return;
  }
  if (claim.metadata.annotations?.[storageProvisioner] !== provisioner) {
    const annotations = { [storageProvisioner]: provisioner, [oldStorageProvisioner]: provisioner };
    const body = { metadata: { uid: claim.metadata.uid, annotations } };
    await api.patch(PersistentVolumeClaims, refOfClaim(claim), { type: "merge", body });
  }
  const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
  events.event(claim, "Normal", "ExternalProvisioning", message);
}

/** Four writes, each of which a restart in between completes: the volume's reference and phase, then the claim's. */
async function bind(context: Reconcile, volume: ReadVolume, claim: ReadClaim): Promise<void> {
  const { api } = context;
  const { name, namespace, uid, resourceVersion } = claim.metadata;
  let current = volume;
  if (volume.spec.claimRef?.uid !== uid) {
    const reference = { kind: "PersistentVolumeClaim", apiVersion: "v1", name, namespace, uid, resourceVersion };
    const annotations = {
      ...volume.metadata.annotations,
      ...(volume.spec.claimRef ? {} : { [boundByController]: "yes" }),
    };
    current = await api.update(PersistentVolumes, {
      ...volume,
      metadata: { ...volume.metadata, annotations },
      spec: { ...volume.spec, claimRef: reference },
    });
  }
  await setPhase(context, current, "Bound");
  let bound = claim;
  if (claim.spec.volumeName !== volume.metadata.name || !isBound(claim)) {
    const annotations = {
      ...claim.metadata.annotations,
      [bindCompleted]: "yes",
      ...(claim.spec.volumeName ? {} : { [boundByController]: "yes" }),
    };
    bound = await api.update(PersistentVolumeClaims, {
      ...claim,
      metadata: { ...claim.metadata, annotations },
      spec: { ...claim.spec, volumeName: volume.metadata.name },
    });
  }
  // A bound claim's capacity is told by whoever enlarges it.
  const capacity = bound.status?.phase === "Bound" ? bound.status.capacity : volume.spec.capacity;
  const attributes = bound.status?.currentVolumeAttributesClassName ?? volume.spec.volumeAttributesClassName;
  const status = {
    ...bound.status,
    phase: "Bound",
    accessModes: volume.spec.accessModes,
    capacity,
    ...(attributes === undefined ? {} : { currentVolumeAttributesClassName: attributes }),
  };
  if (semanticEqual(status, bound.status)) return;
  await api.updateStatus(PersistentVolumeClaims, { ...bound, status } as ReadClaim);
}

async function setPending({ api }: Reconcile, claim: ReadClaim): Promise<void> {
  if (claim.status?.phase === "Pending") return;
  const body = { status: { phase: "Pending" } };
  await api.patch(PersistentVolumeClaims, refOfClaim(claim), { type: "merge", body }, { subresource: "status" });
}

async function setLost({ api, events }: Reconcile, claim: ReadClaim, reason: string, message: string): Promise<void> {
  if (claim.status?.phase === "Lost") return;
  const body = { status: { phase: "Lost", accessModes: null, capacity: null } };
  await api.patch(PersistentVolumeClaims, refOfClaim(claim), { type: "merge", body }, { subresource: "status" });
  events.event(claim, "Warning", reason, message);
}

/** What a volume is, given its claim. */
async function settleVolume(context: Reconcile, volume: ReadVolume): Promise<void> {
  const { cache } = context;
  const { claimRef } = volume.spec;
  if (!claimRef?.uid) return setPhase(context, volume, "Available");
  const key = objectKey(claimRef.name ?? "", claimRef.namespace);
  let claim = cache.get(PersistentVolumeClaims, key);
  if (claim?.metadata.uid !== claimRef.uid) claim = await newestClaim(context, claimRef);
  if (claim?.metadata.uid !== claimRef.uid) {
    const { phase } = volume.status ?? {};
    if (phase !== "Released" && phase !== "Failed") await setPhase(context, volume, "Released");
    return reclaim(context, volume);
  }
  if (claim.spec.volumeName === volume.metadata.name) return setPhase(context, volume, "Bound");
  if (!claim.spec.volumeName) {
    if (modeOf(claim) === modeOf(volume)) return;
    const { events } = context;
    const because = "due to incompatible volumeMode.";
    const asked = `PersistentVolumeClaim ${JSON.stringify(claim.metadata.name)}`;
    events.event(volume, "Warning", "VolumeMismatch", `Cannot bind PersistentVolume to requested ${asked} ${because}`);
    const offered = `PersistentVolume ${JSON.stringify(volume.metadata.name)}`;
    events.event(
      claim,
      "Warning",
      "VolumeMismatch",
      `Cannot bind ${offered} to requested PersistentVolumeClaim ${because}`,
    );
    return;
  }
  // The claim has found another volume.
  if (volume.metadata.annotations?.[provisionedBy] && volume.spec.persistentVolumeReclaimPolicy === "Delete") {
    return setPhase(context, volume, "Released");
  }
  await unbind(context, volume);
}

async function unbind(context: Reconcile, volume: ReadVolume): Promise<void> {
  const { [boundByController]: wasOurs, ...annotations } = volume.metadata.annotations ?? {};
  const { claimRef, ...spec } = volume.spec;
  const { uid: _uid, resourceVersion: _version, ...reservation } = claimRef ?? {};
  const free = await context.api.update(PersistentVolumes, {
    ...volume,
    metadata: { ...volume.metadata, annotations },
    spec: wasOurs ? spec : { ...spec, claimRef: reservation },
  });
  await setPhase(context, free, "Available");
}

/** Volumes that a provisioner made are its to delete. */
async function reclaim(context: Reconcile, volume: ReadVolume): Promise<void> {
  const policy = volume.spec.persistentVolumeReclaimPolicy;
  if (policy === "Delete" && !volume.metadata.annotations?.[provisionedBy]) {
    const message = `error getting deleter volume plugin for volume ${JSON.stringify(volume.metadata.name)}: no volume plugin matched`;
    await setFailed(context, volume, "VolumeFailedDelete", message);
  } else if (policy === "Recycle") {
    await setFailed(context, volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!");
  } else if (policy && policy !== "Delete" && policy !== "Retain") {
    await setFailed(context, volume, "VolumeUnknownReclaimPolicy", "Volume has unrecognized reclaim policy");
  }
}

async function setPhase({ api }: Reconcile, volume: ReadVolume, phase: string): Promise<void> {
  if (volume.status?.phase === phase) return;
  const body = { status: { phase, message: null, reason: null, lastPhaseTransitionTime: null } };
  const ref = { name: volume.metadata.name };
  await api
    .patch(PersistentVolumes, ref, { type: "merge", body }, { subresource: "status" })
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
}

async function setFailed(
  { api, events }: Reconcile,
  volume: ReadVolume,
  reason: string,
  message: string,
): Promise<void> {
  if (volume.status?.phase === "Failed") return;
  const body = { status: { phase: "Failed", message, reason: null, lastPhaseTransitionTime: null } };
  await api.patch(
    PersistentVolumes,
    { name: volume.metadata.name },
    { type: "merge", body },
    { subresource: "status" },
  );
  events.event(volume, "Warning", reason, message);
}

/** The cache may lag behind; nobody is told of lost data for that. */
async function newestVolume({ cache, api }: Reconcile, name: string): Promise<ReadVolume | undefined> {
  return cache.get(PersistentVolumes, objectKey(name)) ?? (await orUndefined(api.get(PersistentVolumes, { name })));
}

async function newestClaim(
  { api }: Reconcile,
  { name = "", namespace }: { readonly name?: string; readonly namespace?: string },
): Promise<ReadClaim | undefined> {
  return orUndefined(api.get(PersistentVolumeClaims, { name, ...(namespace ? { namespace } : {}) }));
}

async function orUndefined<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function refOfClaim({ metadata: { name, namespace } }: ReadClaim) {
  return { name, namespace };
}
