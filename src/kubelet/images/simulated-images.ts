/** Images for simulated nodes: every well-formed name is present and empty. */
import type { ImageRootfs, ImageService, ResolvedImage, StoredImage } from "./image-service.ts";

export class SimulatedImages implements ImageService {
  readonly #images = new Map<string, StoredImage>();

  async open(): Promise<void> {}
  async close(): Promise<void> {}

  resolve(name: string): ResolvedImage {
    return { requested: name, image: name };
  }

  status(nameOrId: string): StoredImage {
    let image = this.#images.get(nameOrId);
    if (!image) {
      image = { id: nameOrId, names: [nameOrId], digests: [nameOrId], sizeBytes: 0, lastUsedAtMs: 0, pinned: true };
      this.#images.set(nameOrId, image);
    }
    return image;
  }

  async pull(name: string): Promise<StoredImage> {
    return this.status(name);
  }

  list(): StoredImage[] {
    return [...this.#images.values()];
  }

  async remove(nameOrId: string): Promise<void> {
    this.#images.delete(nameOrId);
  }

  async usage() {
    return { usedBytes: 0, filesystemBytes: 0, availableBytes: 0 };
  }

  async rootfs(imageId: string): Promise<ImageRootfs> {
    return { layers: [], config: {}, reference: imageId };
  }

  hold(): void {}
  release(): void {}
}
