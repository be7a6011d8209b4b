/**
 * Images of a containerd that belongs to a node of this machine. The machine's store brings them, so that mirrors, credentials,
 * substitutes and `pinnace image` mean the same whatever runs the containers; containerd is handed a copy.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "../../../base/clock.ts";
import { findProgram } from "../../../base/node/find-program.ts";
import { spawnProcess } from "../../../base/node/spawn-process.ts";
import { exportImage, runProgram } from "../../images/export-image.ts";
import { isAccessible } from "../../images/image-access.ts";
import {
  ImageError,
  type ImageRootfs,
  type ImageService,
  type PullOptions,
  type ResolvedImage,
  type StoredImage,
} from "../../images/image-service.ts";
import type { ImageStore } from "../../images/image-store.ts";
import type { CriImages } from "./cri-images.ts";

/** What a sandbox of containerd runs while its containers come and go. */
export const pauseImage = "pinnace.local/pause:1";

export interface ContainerdImagesOptions {
  cri: CriImages;
  machine: ImageStore;
  /** containerd's. */
  socket: string;
  /** For what was handed over, and for archives on their way. */
  folder: string;
  clock: Clock;
}

export class ContainerdImages implements ImageService {
  readonly #options: ContainerdImagesOptions;
  /** containerd's id of an image, by the machine's. */
  readonly #handedOver = new Map<string, string>();
  readonly #underWay = new Map<string, Promise<StoredImage>>();

  constructor(options: ContainerdImagesOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { cri, folder } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    rmSync(this.#archives, { recursive: true, force: true });
    for (const [ours, theirs] of readPairs(this.#record)) this.#handedOver.set(ours, theirs);
    await cri.open();
    if (!this.status(pauseImage)) await this.pull(pauseImage);
  }

  async close(): Promise<void> {}

  resolve(name: string): ResolvedImage {
    return this.#options.machine.resolve(name);
  }

  status(nameOrId: string): StoredImage | undefined {
    const { cri } = this.#options;
    const found = cri.status(isId(nameOrId) ? nameOrId : this.resolve(nameOrId).image);
    return found && this.#known(found);
  }

  async pull(name: string, options: PullOptions = {}): Promise<StoredImage> {
    const { machine } = this.#options;
    const known = options.anew ? undefined : machine.status(name);
    const { requested } = machine.resolve(name);
    const present = isAccessible(known?.access, requested, options.credentials ?? []) ? known : undefined;
    const image = present ?? (await machine.pull(name, options));
    const { image: stored } = machine.resolve(name);
    const key = `${image.id} ${stored}`;
    const running = this.#underWay.get(key) ?? this.#handOver(image, stored);
    this.#underWay.set(key, running);
    const forget = () => this.#underWay.delete(key);
    running.then(forget, forget);
    return running;
  }

  async #handOver(image: StoredImage, name: string): Promise<StoredImage> {
    const { cri, machine, clock } = this.#options;
    const names = [...new Set([...image.names, ...(name.includes("@") ? [] : [name])])];
    const id = this.#handedOver.get(image.id);
    const earlier = id === undefined ? undefined : cri.status(id);
    if (earlier && names.every((each) => earlier.names.includes(each))) return this.#known(earlier);
    const folder = join(this.#archives, image.id.replace(/^sha256:/, ""));
    machine.hold(image.id, "handing over");
    try {
      const tar = programOf("tar");
      // One without a tag needs a name all the same to be found by.
      const tags = names.length > 0 ? names : [`pinnace.local/by-digest:${image.id.slice(7, 31)}`];
      const files = await exportImage({ ...machine.contents(image.id), names: tags }, folder, tar);
      const archive = spawnProcess({ file: tar, args: ["-C", folder, "-cf", "-", ...files], fds: { 1: "pipe-out" } });
      await runProgram(
        programOf("ctr"),
        ["--address", this.#options.socket, "--namespace", "k8s.io", "images", "import", "-"],
        archive.readers[1]!,
      );
      for (let waitMs = 5; waitMs < 10_000; waitMs *= 2) {
        await cri.refresh();
        const found = cri.status(tags[0]!);
        // Its own books follow an import; the name may still mean the image that had it before.
        if (found && this.#handedOver.get(image.id) !== found.id && !this.#isOfAnother(found.id, image.id)) {
          this.#handedOver.set(image.id, found.id);
          this.#save();
        }
        if (found && this.#handedOver.get(image.id) === found.id) return this.#known(found);
        await sleep(clock, waitMs);
      }
      throw new ImageError(
        "Internal",
        `image ${JSON.stringify(name)} was handed to containerd, which has not taken it`,
      );
    } finally {
      machine.release(image.id, "handing over");
      rmSync(folder, { recursive: true, force: true });
    }
  }

  #isOfAnother(theirs: string, ours: string): boolean {
    return [...this.#handedOver].some(([known, id]) => id === theirs && known !== ours);
  }

  list(): StoredImage[] {
    return this.#options.cri.list().map((image) => this.#known(image));
  }

  remove(nameOrId: string): Promise<void> {
    return this.#options.cri.remove(nameOrId);
  }

  usage() {
    return this.#options.cri.usage();
  }

  /** For image volumes, which the kubelet mounts itself. */
  rootfs(imageId: string): Promise<ImageRootfs> {
    return this.#options.machine.rootfs(this.#machineId(imageId) ?? imageId);
  }

  hold(imageId: string, holder: string): void {
    const { cri, machine } = this.#options;
    cri.hold(imageId, holder);
    const ours = this.#machineId(imageId);
    if (ours) machine.hold(ours, holder);
  }

  release(imageId: string, holder: string): void {
    const { cri, machine } = this.#options;
    cri.release(imageId, holder);
    const ours = this.#machineId(imageId);
    if (ours) machine.release(ours, holder);
  }

  /** Digests are those it came with: what users compare with their registry's. */
  #known(image: StoredImage): StoredImage {
    const ours = this.#machineId(image.id);
    const { digests, access } = (ours ? this.#options.machine.status(ours) : undefined) ?? {};
    return {
      ...image,
      ...(access ? { access } : {}),
      ...(digests?.length ? { digests } : ours ? { digests: [ours] } : {}),
      ...(image.names.includes(pauseImage) ? { pinned: true } : {}),
    };
  }

  #machineId(containerdId: string): string | undefined {
    for (const [ours, theirs] of this.#handedOver) if (theirs === containerdId) return ours;
    return undefined;
  }

  get #archives(): string {
    return join(this.#options.folder, "archives");
  }

  get #record(): string {
    return join(this.#options.folder, "handed-over.json");
  }

  #save(): void {
    writeFileSync(`${this.#record}.new`, JSON.stringify([...this.#handedOver]));
    renameSync(`${this.#record}.new`, this.#record);
  }
}

function isId(name: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(name);
}

function programOf(name: string): string {
  const file = findProgram(name);
  if (!file) throw new ImageError("Internal", `this machine has no ${name}, which hands images to containerd`);
  return file;
}

function readPairs(file: string): [string, string][] {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as [string, string][];
  } catch {
    return []; // Nothing was handed over yet.
  }
}
