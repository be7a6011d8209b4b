/**
 * The image contract: what the kubelet's image manager asks of whatever stores images.
 * Shaped like upstream's CRI ImageService. Pull policy, back-off and events are the caller's.
 */

import type { ImageAccess } from "./image-access.ts";

export interface ImageService {
  /** Prepares the store; finishes or undoes what an interrupted pull left. */
  open(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;

  /**
   * What a name stands for: itself, or its substitute when the configuration names one that is to be used always, or one is in
   * use because the registry could not be reached a while ago. Throws with reason "InvalidImageName" and upstream's words when
   * the name cannot be parsed.
   */
  resolve(name: string): ResolvedImage;

  /** The stored image that a name, digest reference or id means, after substitution. Undefined: not present. Throws as `resolve`. */
  status(nameOrId: string): StoredImage | undefined;

  /**
   * Brings an image to this machine and unpacks it. Pulls of one name at one time share the work. When the registry cannot be
   * reached and there is a substitute, that is brought instead, and `resolve(name).substitutedBy` says so from then on.
   * Rejects with an ImageError whose message is worded as the kubelet shows it:
   * `failed to pull and unpack image "docker.io/library/x:y": …`.
   */
  pull(name: string, options?: PullOptions): Promise<StoredImage>;

  list(): StoredImage[];
  /** Removes a name; the content goes when no name and no container uses it. Unknown: succeeds. */
  remove(nameOrId: string): Promise<void>;
  /** Bytes used by the store and by the filesystem it is on, for image garbage collection. */
  usage(): Promise<{ usedBytes: number; filesystemBytes: number; availableBytes: number }>;
  /** Layers and defaults for a container. Rejects with reason "NotFound". */
  rootfs(imageId: string): Promise<ImageRootfs>;
  /** Marks an image as used by a container, so that neither removal nor garbage collection takes its content. */
  hold(imageId: string, holder: string): void;
  release(imageId: string, holder: string): void;
}

export interface ResolvedImage {
  /** Fully qualified, as containerd writes it: `docker.io/library/nginx:1.27`. */
  requested: string;
  /** What will be used: `requested`, or the substitute. */
  image: string;
  /** Set when a substitute stands in, with the reason for people; say both in the pod's events. */
  substitutedBy?: { image: string; description: string; reason: string };
}

export interface PullOptions {
  /** Ask the registry even where an image of that name is at hand elsewhere on the machine: pull policy Always. */
  anew?: boolean;
  credentials?: readonly RegistryCredentials[];
  signal?: AbortSignal;
  onProgress?: (progress: PullProgress) => void;
}

/** Tried in order; the first that the registry accepts is used. None: anonymous. */
export interface RegistryCredentials {
  username?: string;
  password?: string;
  /** A bearer token to use as it is. */
  registryToken?: string;
  /** An OAuth2 refresh token to exchange. */
  identityToken?: string;
  /** Which Secret they stand in: `<uid>/<namespace>/<name>`. */
  source?: string;
}

export interface PullProgress {
  downloadedBytes: number;
  totalBytes: number;
}

export interface StoredImage {
  /** The config's digest, `sha256:…`, as `docker images --no-trunc` and CRI show it. */
  id: string;
  /** Fully qualified names with tag. */
  names: string[];
  /** Fully qualified names with the manifest's digest: `docker.io/library/nginx@sha256:…`. The first is `containerStatuses[].imageID`. */
  digests: string[];
  sizeBytes: number;
  /** From the image's config: numeric user, else the user's name, else neither (root). */
  uid?: number;
  username?: string;
  /** When a container last used it; for garbage collection. */
  lastUsedAtMs: number;
  /** Never collected. Nothing is pinned by itself: images assembled on this machine are assembled again when they are needed. */
  pinned: boolean;
  /** A container holds it. */
  inUse?: boolean;
  /** Who may use it. Absent: everyone. */
  access?: ImageAccess;
}

export interface ImageRootfs {
  /** Unpacked layers, topmost first, as overlayfs' lowerdir wants them. */
  layers: string[];
  config: ImageConfig;
  /** For containerStatuses[].imageID. */
  reference: string;
}

/** The part of an OCI image config that says how to run it. */
export interface ImageConfig {
  user?: string;
  env?: string[];
  entrypoint?: string[];
  cmd?: string[];
  workingDir?: string;
  stopSignal?: string;
  exposedPorts?: string[];
  volumes?: string[];
  labels?: Record<string, string>;
}

export type ImageErrorReason =
  | "InvalidImageName"
  | "NotFound"
  | "Unauthorized"
  | "RegistryUnavailable"
  | "Corrupt"
  | "NoMatchingPlatform"
  | "SignatureValidationFailed"
  | "NoSpace"
  | "Internal";

export class ImageError extends Error {
  readonly reason: ImageErrorReason;

  constructor(reason: ImageErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ImageError";
    this.reason = reason;
  }
}

export function isImageError(error: unknown, reason?: ImageErrorReason): error is ImageError {
  return error instanceof ImageError && (reason === undefined || error.reason === reason);
}
