/** What a volume type must do. One file a type; the catalog is in pod-volumes.ts. */
import type { ClusterTrustBundleProjection, ConfigMap, Secret, Volume } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import type { Clock } from "../../base/clock.ts";
import type { Client } from "../../client/client.ts";
import type { CsiVolumes } from "../csi/csi-volumes.ts";
import type { FieldFacts } from "../fields.ts";
import type { ImageFailureReason, PodObject } from "../pod-state.ts";
import type { TokenFile } from "./projections.ts";

export interface VolumePlugin<Type extends keyof Volume = keyof Volume> {
  /** The field of a Volume that asks for this type. */
  readonly type: Type;
  /** Folder name below a pod's volumes, as upstream's: `kubernetes.io~empty-dir`. */
  readonly folder: string;
  /** Content that must not reach a disk. */
  readonly isVolatile?: boolean;
  /** fsGroup applies to its content. */
  readonly isOwnedByPod?: boolean;
  /**
   * Makes the volume ready and says where it is. Idempotent: called again for a pod adopted after a restart, and again when an
   * object that it refers to has changed. Rejects with the words that follow `MountVolume.SetUp failed for volume "x" : `.
   */
  prepare(
    volume: DeepReadonly<Volume>,
    source: DeepReadonly<NonNullable<Volume[Type]>>,
    context: VolumeContext,
  ): Promise<PreparedVolume>;
}

export interface VolumeContext {
  pod: PodObject;
  /** The volume's own folder; the plugin creates it. */
  folder: string;
  client: Client;
  clock: Clock;
  facts: FieldFacts;
  signal: AbortSignal;
  /** The pod's tokens in use, kept from one preparation to the next. */
  tokens: Map<string, TokenFile>;
  /** The node's CSI drivers. Absent: it has none. */
  csi?: CsiVolumes | undefined;
  /** The folders of the pod, for what a claim's volume leaves there. */
  podRoot: string;
  /** Brings an image here as its pull policy says, holds it for the pod and says where its layers lie, topmost first. Rejects with an ImageVolumeError. */
  image(reference: string, pullPolicy: string | undefined): Promise<readonly string[]>;
  /** The authorities that a source selects, as PEM. From here on the pod is told of their changes. Rejects when there are none. */
  trustBundles(source: DeepReadonly<ClusterTrustBundleProjection>): Promise<string>;
  get<T extends ConfigMap | Secret>(resource: Resource<T>, name: string): Promise<DeepReadonly<T> | undefined>;
}

export interface PreparedVolume {
  /** What is mounted into containers: a folder, or for some hostPath types a file. */
  path: string;
  /** A block device, for `volumeDevices`; not to be mounted. */
  isBlock?: boolean;
  /** The content follows objects: prepare again when they change. */
  isRefreshable?: boolean;
  /** Prepare again at this time, such as before a token expires. */
  refreshAtMs?: number;
  /** Mounts of it are read-only, whatever they say. */
  readOnly?: boolean;
  /** The path is an overlay of these folders, topmost first. */
  layers?: readonly string[];
  /** Its image has not come: it keeps those containers from starting that mount it, and no others. */
  imageFailure?: ImageVolumeError;
  /** fsGroup applies to its content: overrides what the plugin says of all its volumes. */
  isOwnedByPod?: boolean;
}

/** The image of a volume could not be brought here. `reason` is what a container's `waiting` says of its own image then. */
export class ImageVolumeError extends Error {
  override name = "ImageVolumeError";
  readonly reason: ImageFailureReason;

  constructor(reason: ImageFailureReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Binds the plugin's source type once; the catalog keeps plugins of all types. */
export function defineVolumePlugin<Type extends keyof Volume>(plugin: VolumePlugin<Type>): VolumePlugin<Type> {
  return plugin;
}
