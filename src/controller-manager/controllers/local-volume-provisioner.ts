/**
 * Makes volumes for the default StorageClass: folders on the machine of the Node that the scheduler chose. Upstream leaves this to
 * external provisioners (local-path-provisioner is the one that kind and k3s bring); events and annotations are those of their library.
 *
 * A key with a slash is a claim's, one without is a volume's.
 */
import type { Node, PersistentVolume, PersistentVolumeClaim } from "../../api/core/v1.ts";
import type { DeepReadonly, New } from "../../api/object.ts";
import { Nodes, PersistentVolumeClaims, PersistentVolumes, StorageClasses } from "../../api/resources.ts";
import type { StorageClass } from "../../api/storage/v1.ts";
import { isAlreadyExists, isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { keyOf, objectKey, type ReadCache, splitKey } from "../../controller-runtime/cache.ts";
import {
  type ControllerDefinition,
  defineController,
  type Reconcile,
  wake,
} from "../../controller-runtime/controller.ts";
import {
  classNameOf,
  provisionedBy,
  type ReadClaim,
  type ReadVolume,
  requestedStorage,
  selectedNode,
} from "../../controller-runtime/volume-matching.ts";
import { withoutFinalizer } from "../finalizers.ts";
import type { LocalVolumeFolders } from "../local-volume-folders.ts";

/** `provisioner` of the StorageClasses that this controller serves. */
export const localProvisioner = "pinnace.local/local-path";

const called = "volume.kubernetes.io/storage-provisioner";
const finalizer = "external-provisioner.volume.kubernetes.io/finalizer";
const hostnameLabel = "kubernetes.io/hostname";

type ReadClass = DeepReadonly<StorageClass>;
type ReadNode = DeepReadonly<Node>;

export function localVolumeProvisioner(folders: LocalVolumeFolders): ControllerDefinition {
  return defineController<PersistentVolumeClaim>({
    name: "local-volume-provisioner",
    eventSource: localProvisioner,
    reconciles: PersistentVolumeClaims,
    when: ({ type, object }) => type !== "DELETED" && isCalled(object),
    wakesOn: [
      wake<PersistentVolume>({
        resource: PersistentVolumes,
        when: ({ type, object }) => type !== "DELETED" && isOurs(object),
        *keys(volume) {
          yield keyOf(volume);
        },
      }),
    ],
    reads: [StorageClasses, Nodes],
    writes: [PersistentVolumes, PersistentVolumeClaims],
    async reconcile(context) {
      const { key, cache } = context;
      if (splitKey(key).namespace === undefined) {
        const volume = cache.get(PersistentVolumes, key);
        if (volume && isOurs(volume)) await reclaim(context, volume, folders);
        return;
      }
      const claim = cache.get(PersistentVolumeClaims, key);
      if (claim && isCalled(claim) && !claim.metadata.deletionTimestamp) await provision(context, claim, folders);
    },
  });
}

function isCalled({ metadata, spec }: ReadClaim): boolean {
  return !spec.volumeName && metadata.annotations?.[called] === localProvisioner;
}

function isOurs({ metadata }: ReadVolume): boolean {
  return metadata.annotations?.[provisionedBy] === localProvisioner;
}

async function provision(context: Reconcile, claim: ReadClaim, folders: LocalVolumeFolders): Promise<void> {
  const { api, cache, events } = context;
  const className = classNameOf(claim);
  const storageClass = cache.get(StorageClasses, objectKey(className));
  if (storageClass?.provisioner !== localProvisioner) return;
  const chosen = claim.metadata.annotations?.[selectedNode];
  if (storageClass.volumeBindingMode === "WaitForFirstConsumer" && !chosen) return;
  const name = `pvc-${claim.metadata.uid}`;
  if (cache.get(PersistentVolumes, objectKey(name))) return;
  const { namespace } = claim.metadata;
  const message = `External provisioner is provisioning volume for claim "${namespace}/${claim.metadata.name}"`;
  events.event(claim, "Normal", "Provisioning", message);
  const node = chosen ? cache.get(Nodes, objectKey(chosen)) : nodeFor(storageClass, cache);
  const problem = whyNot(claim, node, chosen);
  if (problem || !node) {
    const text = `failed to provision volume with StorageClass "${className}": ${problem}`;
    events.event(claim, "Warning", "ProvisioningFailed", text);
    // The scheduler chooses anew.
    if (chosen && !node) {
      const body = { metadata: { uid: claim.metadata.uid, annotations: { [selectedNode]: null } } };
      await api.patch(PersistentVolumeClaims, refOf(claim), { type: "merge", body });
      return;
    }
    throw new Error(text);
  }
  const path = await folders.create(name);
  try {
    await api.create(PersistentVolumes, volumeFor(claim, storageClass, node, name, path));
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  events.event(claim, "Normal", "ProvisioningSucceeded", `Successfully provisioned volume ${name}`);
}

function whyNot(claim: ReadClaim, node: ReadNode | undefined, chosen: string | undefined): string | undefined {
  if (!node) return chosen ? `node ${JSON.stringify(chosen)} not found` : "no node can hold the volume";
  if (claim.spec.volumeMode === "Block") return "block volumes are not supported by this provisioner";
  if (claim.spec.dataSource || claim.spec.dataSourceRef) return "volumes cannot be made from a data source";
  return undefined;
}

/** For claims that do not wait for a Pod: the Node that takes Pods and has the fewest volumes. */
function nodeFor(storageClass: ReadClass, cache: ReadCache): ReadNode | undefined {
  const counts = new Map<string, number>();
  for (const volume of cache.list(PersistentVolumes)) {
    for (const host of hostsOf(volume)) counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  const load = (node: ReadNode) => counts.get(hostnameOf(node)) ?? 0;
  return cache
    .list(Nodes)
    .filter(({ spec }) => !spec?.unschedulable && !spec?.taints?.some(({ effect }) => effect !== "PreferNoSchedule"))
    .filter((node) => isAllowed(storageClass, node))
    .sort((a, b) => load(a) - load(b) || (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}

function isAllowed({ allowedTopologies }: ReadClass, node: ReadNode): boolean {
  if (!allowedTopologies?.length) return true;
  return allowedTopologies.some((term) =>
    (term.matchLabelExpressions ?? []).every(({ key, values }) => values.includes(node.metadata.labels?.[key] ?? "\0")),
  );
}

const hostnameOf = ({ metadata }: ReadNode) => metadata.labels?.[hostnameLabel] ?? metadata.name;

function hostsOf({ spec }: ReadVolume): readonly string[] {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  return terms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.flatMap(({ key, values = [] }) => (key === hostnameLabel ? values : [])),
  );
}

function volumeFor(
  claim: ReadClaim,
  storageClass: ReadClass,
  node: ReadNode,
  name: string,
  path: string,
): New<PersistentVolume> {
  const { name: claimName, namespace, uid, resourceVersion } = claim.metadata;
  const modes = claim.spec.accessModes ?? [];
  // All Nodes are on this machine: what several Nodes may use at once is bound to none.
  const isShared = modes.includes("ReadWriteMany") || modes.includes("ReadOnlyMany");
  const place = isShared
    ? { key: "kubernetes.io/os", operator: "In", values: [node.metadata.labels?.["kubernetes.io/os"] ?? "linux"] }
    : { key: hostnameLabel, operator: "In", values: [hostnameOf(node)] };
  return {
    metadata: { name, annotations: { [provisionedBy]: localProvisioner }, finalizers: [finalizer] },
    spec: {
      capacity: { storage: requestedStorage(claim) },
      accessModes: [...modes],
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? "Delete",
      storageClassName: storageClass.metadata.name,
      volumeMode: "Filesystem",
      ...(storageClass.mountOptions ? { mountOptions: [...storageClass.mountOptions] } : {}),
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", name: claimName, namespace, uid, resourceVersion },
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [place] }] } },
    },
  };
}

/** Deletes what was released to be deleted, object and folder; of a volume that users delete, what its policy says. */
async function reclaim({ api, events }: Reconcile, volume: ReadVolume, folders: LocalVolumeFolders): Promise<void> {
  const { name, uid, deletionTimestamp } = volume.metadata;
  if (volume.status?.phase === "Bound") return;
  const isToBeDeleted = volume.spec.persistentVolumeReclaimPolicy === "Delete";
  if (!deletionTimestamp) {
    if (!isToBeDeleted || volume.status?.phase !== "Released") return;
    await api.delete(PersistentVolumes, { name }, { preconditions: { uid } }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    return;
  }
  if (isToBeDeleted) {
    try {
      await folders.remove(name);
    } catch (error) {
      events.event(volume, "Warning", "VolumeFailedDelete", (error as Error).message);
      throw error;
    }
  }
  await withoutFinalizer(api, PersistentVolumes, volume, finalizer);
}
