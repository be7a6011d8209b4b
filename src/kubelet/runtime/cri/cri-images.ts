/** Images in a CRI runtime's store. The runtime resolves names and registries by its own configuration; substitutes are not for it. */
import { statfsSync } from "node:fs";
import type { Clock } from "../../../base/clock.ts";
import { type GrpcChannel, GrpcError, grpcCode } from "../../grpc/channel.ts";
import type { Read } from "../../grpc/message.ts";
import { type ImageAccess, withAccess } from "../../images/image-access.ts";
import {
  ImageError,
  type ImageErrorReason,
  type ImageRootfs,
  type ImageService,
  type PullOptions,
  type RegistryCredentials,
  type ResolvedImage,
  type StoredImage,
} from "../../images/image-service.ts";
import { formatReference, parseReference } from "../../images/reference.ts";
import { cri } from "./cri-api.ts";

type CriImage = Read<(typeof cri.listImages.response)["fields"]>["images"][number];

export class CriImages implements ImageService {
  readonly #channel: GrpcChannel;
  readonly #clock: Clock;
  readonly #holders = new Map<string, Set<string>>();
  readonly #lastUsedAtMs = new Map<string, number>();
  readonly #pulls = new Map<string, Promise<StoredImage>>();
  /** By an image's id, of those that this process pulled. */
  readonly #access = new Map<string, ImageAccess>();
  /** As the runtime last told. */
  #images: StoredImage[] = [];

  constructor(channel: GrpcChannel, clock: Clock) {
    this.#channel = channel;
    this.#clock = clock;
  }

  async open(): Promise<void> {
    await this.refresh();
  }

  async close(): Promise<void> {}

  /** Others bring images to the runtime, too. */
  async refresh(): Promise<void> {
    const { images } = await this.#channel.call(cri.listImages, {}, { timeoutMs: answerMs });
    this.#images = images.map((image) => this.#stored(image));
  }

  resolve(name: string): ResolvedImage {
    const requested = formatReference(parseReference(name));
    return { requested, image: requested };
  }

  status(nameOrId: string): StoredImage | undefined {
    const byId = this.#images.find(({ id }) => id === nameOrId);
    if (byId) return byId;
    const { requested } = this.resolve(nameOrId);
    return this.#images.find(({ names, digests }) => names.includes(requested) || digests.includes(requested));
  }

  pull(name: string, options: PullOptions = {}): Promise<StoredImage> {
    const { requested } = this.resolve(name);
    // Who shows other credentials is not to profit from what these bring.
    const key = JSON.stringify([requested, options.credentials ?? []]);
    const pending = this.#pulls.get(key) ?? this.#pull(requested, options);
    this.#pulls.set(key, pending);
    const forget = () => this.#pulls.delete(key);
    pending.then(forget, forget);
    return pending;
  }

  async #pull(name: string, { credentials = [], signal }: PullOptions): Promise<StoredImage> {
    const options = { timeoutMs: pullMs, ...(signal ? { signal } : {}) };
    let refusal: unknown;
    for (const each of credentials.length > 0 ? credentials : [undefined]) {
      try {
        const request = { image: { image: name }, ...(each ? { auth: authOf(each) } : {}) };
        const { image_ref } = await this.#channel.call(cri.pullImage, request, options);
        await this.refresh();
        const image = this.#images.find(({ id, digests }) => id === image_ref || digests.includes(image_ref));
        if (image) {
          const access = withAccess(this.#access.get(image.id), name, each);
          this.#access.set(image.id, access);
          return Object.assign(image, { access });
        }
        throw new ImageError(
          "Internal",
          `image ${JSON.stringify(name)} was pulled as ${image_ref}, which is not there`,
        );
      } catch (error) {
        if (signal?.aborted) throw error;
        refusal = error;
      }
    }
    throw imageError(refusal);
  }

  list(): StoredImage[] {
    // It is asked for with each renewal of the node's lease: a good time to look what others brought.
    void this.refresh().catch(() => {});
    return this.#images.map((image) => (this.#holders.get(image.id)?.size ? { ...image, inUse: true } : image));
  }

  async remove(nameOrId: string): Promise<void> {
    await this.#channel.call(cri.removeImage, { image: { image: nameOrId } }, { timeoutMs: answerMs });
    await this.refresh();
  }

  async usage() {
    const { image_filesystems } = await this.#channel.call(cri.imageFsInfo, {}, { timeoutMs: answerMs });
    const filesystem = image_filesystems[0];
    const { blocks, bavail, bsize } = statfsSync(filesystem?.fs_id?.mountpoint || "/");
    return {
      usedBytes: filesystem?.used_bytes ?? 0,
      filesystemBytes: blocks * bsize,
      availableBytes: bavail * bsize,
    };
  }

  async rootfs(): Promise<ImageRootfs> {
    throw new ImageError("Internal", "image volumes are not supported with a CRI runtime");
  }

  hold(imageId: string, holder: string): void {
    const holders = this.#holders.get(imageId) ?? new Set();
    this.#holders.set(imageId, holders.add(holder));
    this.#lastUsedAtMs.set(imageId, this.#clock.now());
  }

  release(imageId: string, holder: string): void {
    this.#holders.get(imageId)?.delete(holder);
    this.#lastUsedAtMs.set(imageId, this.#clock.now());
  }

  #stored(image: CriImage): StoredImage {
    const { id, repo_tags: names, repo_digests: digests, size: sizeBytes, uid, username, pinned } = image;
    const access = this.#access.get(id);
    return {
      ...(access ? { access } : {}),
      id,
      names,
      digests,
      sizeBytes,
      ...(uid !== undefined ? { uid } : {}),
      ...(username ? { username } : {}),
      lastUsedAtMs: this.#lastUsedAtMs.get(id) ?? 0,
      pinned,
    };
  }
}

function authOf({ username = "", password = "", identityToken = "", registryToken = "" }: RegistryCredentials) {
  return { username, password, identity_token: identityToken, registry_token: registryToken };
}

/** The runtime's words are the ones that users know. */
function imageError(error: unknown): unknown {
  if (!(error instanceof GrpcError)) return error;
  return new ImageError(reasonOf(error), error.message, { cause: error });
}

function reasonOf({ code, message }: GrpcError): ImageErrorReason {
  if (code === grpcCode.notFound || /not found/.test(message)) return "NotFound";
  if (/SignatureValidationFailed/.test(message)) return "SignatureValidationFailed";
  if (/unauthorized|authorization failed/i.test(message)) return "Unauthorized";
  if (/RegistryUnavailable|dial tcp|failed to do request/.test(message)) return "RegistryUnavailable";
  return "Internal";
}

const answerMs = 120_000;
/** Upstream gives a pull that makes progress all the time it needs; the runtime itself ends one that makes none. */
const pullMs = 3_600_000;
