/** What the pods of each node refer to: the only Secrets, ConfigMaps, claims and accounts that its kubelet has business with. */
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { ResourceSlice } from "../../api/resource/v1.ts";
import {
  PersistentVolumeClaims,
  PersistentVolumes,
  Pods,
  ResourceSlices,
  VolumeAttachments,
} from "../../api/resources.ts";
import type { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { claimNamesOf } from "../../controller-runtime/pod-resource-claims.ts";

export type NodeDependency =
  | "secrets"
  | "configmaps"
  | "persistentvolumeclaims"
  | "persistentvolumes"
  | "serviceaccounts"
  | "resourceclaims"
  | "volumeattachments";

/** Follows pods from the first question on; clusters whose kubelets run in process never ask. */
export class NodeGraph {
  readonly #cache: () => InformerCache;
  /** By node, then by pod: what the pod needs, as `secrets/namespace/name`. */
  readonly #needs = new Map<string, Map<string, ReadonlySet<string>>>();
  /** By `namespace/name` of a claim: its volume. */
  readonly #volumes = new Map<string, string>();
  /** By a volume's name: the Secrets that mounting it takes, as `namespace/name`. */
  readonly #volumeSecrets = new Map<string, ReadonlySet<string>>();
  /** ResourceSlices by name: the node whose devices they describe. */
  readonly #slices = new Map<string, string>();
  /** VolumeAttachments by name: the node that they are for. */
  readonly #attachments = new Map<string, string>();
  #ready: Promise<void> | undefined;
  #isReady = false;

  constructor(cache: () => InformerCache) {
    this.#cache = cache;
  }

  /** At once when the graph is current. */
  ready(): Promise<void> | undefined {
    if (this.#isReady) return undefined;
    this.#ready ??= this.#follow();
    return this.#ready;
  }

  /** Whether a pod of the node refers to the object. */
  needs(node: string, dependency: NodeDependency, namespace: string, name: string): boolean {
    if (dependency === "volumeattachments") return this.#attachments.get(name) === node;
    const pods = this.#needs.get(node);
    if (!pods) return false;
    const key = `${dependency}/${namespace}/${name}`;
    for (const needs of pods.values()) if (needs.has(key)) return true;
    for (const volume of dependency === "persistentvolumes" || dependency === "secrets" ? this.#volumesOf(pods) : []) {
      if (dependency === "persistentvolumes" && volume === name) return true;
      if (dependency === "secrets" && this.#volumeSecrets.get(volume)?.has(`${namespace}/${name}`)) return true;
    }
    return false;
  }

  /** The volumes behind the claims of these pods. */
  *#volumesOf(pods: ReadonlyMap<string, ReadonlySet<string>>): Iterable<string> {
    for (const needs of pods.values()) {
      for (const need of needs) {
        const [kind, namespace, claim] = need.split("/");
        const volume = kind === "persistentvolumeclaims" ? this.#volumes.get(`${namespace}/${claim}`) : undefined;
        if (volume) yield volume;
      }
    }
  }

  /** Whether the pod is bound to the node. */
  runs(node: string, namespace: string, name: string): boolean {
    return this.#needs.get(node)?.has(`${namespace}/${name}`) ?? false;
  }

  /** Whether the ResourceSlice describes devices of the node. */
  describes(node: string, slice: string): boolean {
    return this.#slices.get(slice) === node;
  }

  async #follow(): Promise<void> {
    const cache = this.#cache();
    const pods = cache.informer(Pods);
    pods.addHandler(({ type, object }) => this.#see(object, type === "DELETED"));
    const claims = cache.informer(PersistentVolumeClaims);
    claims.addHandler(({ type, object }) => this.#seeClaim(object, type === "DELETED"));
    const slices = cache.informer(ResourceSlices);
    slices.addHandler(({ type, object }) => this.#seeSlice(object, type === "DELETED"));
    const volumes = cache.informer(PersistentVolumes);
    volumes.addHandler(({ type, object }) => this.#seeVolume(object, type === "DELETED"));
    const attachments = cache.informer(VolumeAttachments);
    attachments.addHandler(({ type, object: { metadata, spec } }) => {
      if (type === "DELETED") this.#attachments.delete(metadata.name);
      else this.#attachments.set(metadata.name, spec.nodeName);
    });
    await Promise.all([pods, claims, slices, volumes, attachments].map(({ synced }) => synced));
    this.#isReady = true;
  }

  #see(pod: DeepReadonly<Pod>, gone: boolean): void {
    const { nodeName } = pod.spec;
    if (!nodeName) return;
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
    let pods = this.#needs.get(nodeName);
    if (gone) {
      pods?.delete(key);
      if (pods?.size === 0) this.#needs.delete(nodeName);
      return;
    }
    if (!pods) this.#needs.set(nodeName, (pods = new Map()));
    pods.set(key, dependenciesOf(pod));
  }

  #seeSlice({ metadata, spec }: DeepReadonly<ResourceSlice>, gone: boolean): void {
    if (gone || !spec.nodeName) this.#slices.delete(metadata.name);
    else this.#slices.set(metadata.name, spec.nodeName);
  }

  #seeVolume({ metadata, spec }: DeepReadonly<PersistentVolume>, gone: boolean): void {
    const { nodePublishSecretRef, nodeStageSecretRef, nodeExpandSecretRef } = spec.csi ?? {};
    const secrets = [nodePublishSecretRef, nodeStageSecretRef, nodeExpandSecretRef].flatMap((reference) =>
      reference ? [`${reference.namespace}/${reference.name}`] : [],
    );
    if (gone || secrets.length === 0) this.#volumeSecrets.delete(metadata.name);
    else this.#volumeSecrets.set(metadata.name, new Set(secrets));
  }

  #seeClaim(claim: DeepReadonly<PersistentVolumeClaim>, gone: boolean): void {
    const key = `${claim.metadata.namespace}/${claim.metadata.name}`;
    if (gone || !claim.spec.volumeName) this.#volumes.delete(key);
    else this.#volumes.set(key, claim.spec.volumeName);
  }
}

function dependenciesOf(pod: DeepReadonly<Pod>): ReadonlySet<string> {
  const { metadata, spec } = pod;
  const found = new Set<string>();
  const add = (kind: NodeDependency, name: string | undefined) => {
    if (name) found.add(`${kind}/${metadata.namespace}/${name}`);
  };
  add("serviceaccounts", spec.serviceAccountName);
  for (const { name } of spec.imagePullSecrets ?? []) add("secrets", name);
  for (const container of [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])]) {
    for (const { configMapRef, secretRef } of container.envFrom ?? []) {
      add("configmaps", configMapRef?.name);
      add("secrets", secretRef?.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      add("configmaps", valueFrom?.configMapKeyRef?.name);
      add("secrets", valueFrom?.secretKeyRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) {
    add("secrets", volume.secret?.secretName);
    add("configmaps", volume.configMap?.name);
    add("persistentvolumeclaims", volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral) add("persistentvolumeclaims", `${metadata.name}-${volume.name}`);
    add("secrets", volume.csi?.nodePublishSecretRef?.name);
    for (const source of volume.projected?.sources ?? []) {
      add("secrets", source.secret?.name);
      add("configmaps", source.configMap?.name);
    }
  }
  for (const name of claimNamesOf(pod)) add("resourceclaims", name);
  return found;
}
