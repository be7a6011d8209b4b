/**
 * The images of this machine: what they are called, which layers they have, who uses them. Its upstream counterparts are
 * containerd's content and image stores. Several processes may share a store: each sees at once what another has brought or
 * removed, and what one of them uses none of them removes.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Random } from "../../base/random.ts";
import { loadArchive } from "./archive.ts";
import { ContentStore } from "./content-store.ts";
import { type ImageAccess, withAccess } from "./image-access.ts";
import { parseImageConfig } from "./image-config.ts";
import {
  ImageError,
  type ImageRootfs,
  type ImageService,
  isImageError,
  type PullOptions,
  type RegistryCredentials,
  type ResolvedImage,
  type StoredImage,
} from "./image-service.ts";
import { LayerStore } from "./layer-store.ts";
import { layersInUse } from "./layers-in-use.ts";
import { formatReference, type ImageReference, parseReference, repositoryOf } from "./reference.ts";
import { lock, lockBriefly, tryLock } from "./store-lock.ts";
import { builtInSubstitutes, findSubstitute, type Substitute } from "./substitutes.ts";

export interface ImageStoreOptions {
  folder: string;
  clock: Clock;
  random: Random;
  logger: Logger;
  findProgram: (name: string) => string | undefined;
  /** Brings images from registries. Absent: there are only the images of this machine. */
  registry?: ImageSource;
  /** Assembles the images called `pinnace.local/…` from the machine's own programs. */
  local?: ImageSource;
  /** Beside the built-in ones, and before them. */
  substitutes?: readonly Substitute[];
}

/** Where an image can be brought from. */
export interface ImageSource {
  /** Puts the image's content into the store. Does not name it. */
  fetch(reference: ImageReference, target: ImageTarget, options: PullOptions): Promise<FetchedImage>;
}

export interface ImageTarget {
  content: ContentStore;
  layers: LayerStore;
}

export interface FetchedImage {
  /** The digest of the config, which is in the content store by now, as its layers are in the layer store. */
  id: string;
  /** Of the manifest; absent when it came from an archive without one. */
  manifestDigest?: string;
  sizeBytes: number;
  pinned?: boolean;
  /** It was pulled, with these of the credentials that the puller gave, or without. */
  pulledWith?: RegistryCredentials | "none";
}

interface ImageRecord {
  id: string;
  names: string[];
  digests: string[];
  diffIds: string[];
  sizeBytes: number;
  lastUsedAtMs: number;
  pinned: boolean;
  access?: ImageAccess;
}

export class ImageStore implements ImageService {
  readonly #options: ImageStoreOptions;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly #images = new Map<string, ImageRecord>();
  /** By whole name and credentials. */
  readonly #pulling = new Map<string, Promise<StoredImage>>();
  /** Who uses an image, by its id: content that is held stays. */
  readonly #holders = new Map<string, Set<string>>();
  /** Names that a substitute stands in for since their registry could not be reached, and until when. */
  readonly #standIns = new Map<string, { substitute: Substitute; reason: string; untilMs: number }>();
  readonly #rootfs = new Map<string, ImageRootfs>();
  /** Of the index that was read last. */
  #version = "";

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.content = new ContentStore(options.folder);
    this.layers = new LayerStore(options);
  }

  async open(): Promise<void> {
    mkdirSync(this.#options.folder, { recursive: true, mode: 0o700 });
    using alone = tryLock(this.#contentLock, "exclusive");
    if (alone) {
      // What an interrupted pull or load left. With others about, it may be theirs.
      for (const leftover of ["loading", "ingest", "unpacking"])
        rmSync(join(this.#options.folder, leftover), { recursive: true, force: true });
    }
    this.content.open();
    this.layers.open();
    this.#refresh();
  }

  /** Follows what other processes did: one look at a file when they did nothing. */
  #refresh(): void {
    const { ino, mtimeMs } = statSync(this.#indexFile, { throwIfNoEntry: false }) ?? { ino: 0, mtimeMs: 0 };
    const version = `${ino} ${mtimeMs}`;
    if (version === this.#version) return;
    this.#version = version;
    this.layers.open();
    const before = new Map(this.#images);
    this.#images.clear();
    this.#rootfs.clear();
    for (const record of this.#readIndex()) {
      // An image whose content was lost is forgotten; the next pull brings back what is missing.
      if (!this.content.has(record.id) || !record.diffIds.every((diffId) => this.layers.has(diffId))) continue;
      const lastUsedAtMs = Math.max(record.lastUsedAtMs, before.get(record.id)?.lastUsedAtMs ?? 0);
      this.#images.set(record.id, { ...record, lastUsedAtMs });
    }
  }

  /** Changes the index as the only process that does. */
  #change<T>(change: () => T): T {
    using _turn = lockBriefly(join(this.#options.folder, "images.lock"));
    this.#refresh();
    const result = change();
    this.#save();
    return result;
  }

  async close(): Promise<void> {}

  resolve(name: string): ResolvedImage {
    const requested = formatReference(parseReference(name));
    this.#refresh();
    const substitute = findSubstitute(this.#substitutes, name);
    if (substitute?.when === "always") return standIn(requested, substitute, "the configuration says so");
    const current = this.#standIns.get(requested);
    if (current && current.untilMs > this.#options.clock.now() && !this.#find(requested)) {
      return standIn(requested, current.substitute, current.reason);
    }
    return { requested, image: requested };
  }

  status(nameOrId: string): StoredImage | undefined {
    this.#refresh();
    const byId = this.#findById(nameOrId);
    if (byId) return stored(byId, this.content);
    const found = this.#find(this.resolve(nameOrId).image);
    return found && stored(found, this.content);
  }

  pull(name: string, options: PullOptions = {}): Promise<StoredImage> {
    let resolved: ResolvedImage;
    try {
      resolved = this.resolve(name);
    } catch (error) {
      return Promise.reject(error);
    }
    // A stand-in is asked for anew: the registry may be reachable by now.
    const wanted = findSubstitute(this.#substitutes, name)?.when === "always" ? resolved.image : resolved.requested;
    // Who shows other credentials is not to profit from what these bring.
    const key = JSON.stringify([wanted, options.credentials ?? []]);
    const running = this.#pulling.get(key);
    if (running) return running;
    const pulling = this.#pullOrStandIn(wanted, name, options).finally(() => this.#pulling.delete(key));
    this.#pulling.set(key, pulling);
    return pulling;
  }

  async #pullOrStandIn(wanted: string, name: string, options: PullOptions): Promise<StoredImage> {
    try {
      const image = await this.#pull(wanted, options);
      this.#standIns.delete(wanted);
      return image;
    } catch (error) {
      const substitute = findSubstitute(this.#substitutes, name);
      if (!substitute || !isImageError(error, "RegistryUnavailable")) throw error;
      const reason = error.message;
      this.#options.logger.info("using a substitute image", { image: wanted, substitute: substitute.image, reason });
      const image = await this.#pull(formatReference(parseReference(substitute.image)), options);
      this.#standIns.set(wanted, { substitute, reason, untilMs: this.#options.clock.now() + standInMs });
      return image;
    }
  }

  async #pull(wanted: string, options: PullOptions): Promise<StoredImage> {
    const reference = parseReference(wanted);
    const isLocal = reference.domain === localDomain;
    // No image names the layers of a pull in progress yet: until it does, nobody may remove any.
    using _pulling = await lock(this.#contentLock, "shared", this.#options.clock, options.signal);
    this.#refresh();
    const existing = isLocal ? this.#find(wanted) : undefined;
    if (existing) return stored(existing, this.content);
    const source = isLocal ? this.#options.local : this.#options.registry;
    try {
      if (!source)
        throw new ImageError("RegistryUnavailable", `no registry is configured to bring images of ${reference.domain}`);
      const target = { content: this.content, layers: this.layers };
      return this.add(await source.fetch(reference, target, options), [reference]);
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      const failure =
        error instanceof ImageError ? error : new ImageError("Internal", (error as Error).message, { cause: error });
      throw new ImageError(failure.reason, `failed to pull and unpack image "${wanted}": ${failure.message}`, {
        cause: error,
      });
    }
  }

  /** Takes in an image whose content is in the stores, under the given names. A name moves from the image that had it before. */
  add(fetched: FetchedImage, references: readonly ImageReference[]): StoredImage {
    return this.#change(() => this.#add(fetched, references));
  }

  #add(fetched: FetchedImage, references: readonly ImageReference[]): StoredImage {
    const { diffIds } = parseImageConfig(this.content.read(fetched.id));
    const before = this.#images.get(fetched.id);
    const names = new Set(before?.names);
    const digests = new Set<string>();
    for (const reference of references) {
      if (reference.tag) {
        const name = formatReference({ ...reference, digest: undefined });
        for (const record of this.#images.values()) record.names = record.names.filter((each) => each !== name);
        names.add(name);
      }
      if (fetched.manifestDigest) digests.add(`${repositoryOf(reference)}@${fetched.manifestDigest}`);
      // By an index's digest the user asked for it: that name must find it again.
      if (reference.digest) digests.add(`${repositoryOf(reference)}@${reference.digest}`);
    }
    for (const digest of before?.digests ?? []) digests.add(digest);
    const { pulledWith } = fetched;
    let access = before?.access;
    for (const reference of pulledWith ? references : [])
      access = withAccess(access, formatReference(reference), pulledWith === "none" ? undefined : pulledWith);
    // What somebody brings to the machine themselves is for all.
    if (!pulledWith) access = undefined;
    const record: ImageRecord = {
      id: fetched.id,
      names: [...names],
      digests: [...digests],
      diffIds,
      sizeBytes: fetched.sizeBytes,
      lastUsedAtMs: this.#options.clock.now(),
      pinned: fetched.pinned ?? before?.pinned ?? false,
      ...(access ? { access } : {}),
    };
    this.#images.set(record.id, record);
    this.#rootfs.delete(record.id);
    return stored(record, this.content);
  }

  /** An image's config as it came, and its layers' folders, the lowest first: for handing it to another store. */
  contents(imageId: string): { config: Buffer; layers: string[] } {
    const record = this.#findById(imageId);
    if (!record) throw new ImageError("NotFound", `image "${imageId}": not found`);
    return { config: this.content.read(record.id), layers: record.diffIds.map((diffId) => this.layers.path(diffId)) };
  }

  /** Takes in what `docker save` wrote, or an OCI archive. Rejects with reason "Corrupt" when it is neither. */
  async load(file: string): Promise<(StoredImage & { loadedAs: string[] })[]> {
    const temporary = join(this.#options.folder, "loading", this.#options.random.uuid());
    const target = { content: this.content, layers: this.layers };
    using _loading = await lock(this.#contentLock, "shared", this.#options.clock);
    this.#refresh();
    const loaded = await loadArchive(file, temporary, target, this.#options.findProgram);
    return loaded.map(({ image, references }) => ({
      ...this.add(image, references),
      loadedAs: references.map(formatReference),
    }));
  }

  list(): StoredImage[] {
    this.#refresh();
    return [...this.#images.values()].map((record) => ({
      ...stored(record, this.content),
      inUse: this.#holders.has(record.id),
    }));
  }

  async remove(nameOrId: string): Promise<void> {
    this.#change(() => this.#removeNames(nameOrId));
    await this.#collect();
  }

  #removeNames(nameOrId: string): void {
    const byId = this.#findById(nameOrId);
    if (byId) {
      byId.names = [];
      byId.digests = [];
      return;
    }
    const reference = parseReference(nameOrId);
    const name = formatReference(reference);
    const record = this.#find(name);
    if (!record) return;
    const isDigest = reference.digest !== undefined;
    record.names = isDigest ? record.names : record.names.filter((each) => each !== name);
    record.digests = record.digests.filter((each) => (isDigest ? each !== name : record.names.length > 0));
  }

  async usage(): Promise<{ usedBytes: number; filesystemBytes: number; availableBytes: number }> {
    const filesystem = statfsSync(this.#options.folder);
    return {
      usedBytes: this.layers.totalBytes(),
      filesystemBytes: filesystem.blocks * filesystem.bsize,
      availableBytes: filesystem.bavail * filesystem.bsize,
    };
  }

  async rootfs(imageId: string): Promise<ImageRootfs> {
    this.#refresh();
    const cached = this.#rootfs.get(imageId);
    if (cached) return cached;
    const record = this.#findById(imageId) ?? this.#find(this.resolve(imageId).image);
    if (!record) throw new ImageError("NotFound", `image "${imageId}": not found`);
    const { config } = parseImageConfig(this.content.read(record.id));
    const layers = record.diffIds.map((diffId) => this.layers.path(diffId)).reverse();
    const rootfs = { layers: [...new Set(layers)], config, reference: record.digests[0] ?? record.id };
    this.#rootfs.set(record.id, rootfs);
    return rootfs;
  }

  hold(imageId: string, holder: string): void {
    const record = this.#findById(imageId);
    if (record) record.lastUsedAtMs = this.#options.clock.now();
    const holders = this.#holders.get(record?.id ?? imageId) ?? new Set();
    holders.add(holder);
    this.#holders.set(record?.id ?? imageId, holders);
  }

  release(imageId: string, holder: string): void {
    const record = this.#findById(imageId);
    const id = record?.id ?? imageId;
    if (record) record.lastUsedAtMs = this.#options.clock.now();
    const holders = this.#holders.get(id);
    holders?.delete(holder);
    if (holders?.size !== 0) return;
    this.#holders.delete(id);
    if (record && record.names.length === 0 && record.digests.length === 0) void this.#collect();
  }

  /** Forgets images without a name and without a user, and removes what no image needs. */
  async #collect(): Promise<void> {
    // During a pull or load, here or in another process, nothing goes; the next removal takes it along.
    using alone = tryLock(this.#contentLock, "exclusive");
    if (!alone) return;
    const used = this.#change(() => {
      const layers = [...this.#images.values()].flatMap(({ diffIds }) => diffIds);
      const mounted = layersInUse(layers.map((diffId) => this.layers.path(diffId)));
      const isMounted = (diffId: string | undefined) => diffId !== undefined && mounted.has(this.layers.path(diffId));
      for (const record of [...this.#images.values()]) {
        if (record.names.length > 0 || record.digests.length > 0) continue;
        // Containers of this process, running or not; and the running ones of others.
        if (this.#holders.has(record.id) || isMounted(record.diffIds.at(-1))) continue;
        this.#images.delete(record.id);
        this.#rootfs.delete(record.id);
        this.content.remove(record.id);
      }
      const named = [...this.#images.values()].flatMap(({ diffIds }) => diffIds);
      return new Set([...named, ...layers.filter(isMounted)]);
    });
    await this.layers.removeExcept(used);
  }

  #find(name: string): ImageRecord | undefined {
    for (const record of this.#images.values())
      if (record.names.includes(name) || record.digests.includes(name)) return record;
    return undefined;
  }

  #findById(id: string): ImageRecord | undefined {
    const digest = id.startsWith("sha256:") ? id : `sha256:${id}`;
    return this.#images.get(digest);
  }

  get #substitutes(): readonly Substitute[] {
    return [...(this.#options.substitutes ?? []), ...builtInSubstitutes];
  }

  get #indexFile(): string {
    return join(this.#options.folder, "images.json");
  }

  /** Held shared by those who bring content, alone by the one who removes it. */
  get #contentLock(): string {
    return join(this.#options.folder, "content.lock");
  }

  #readIndex(): ImageRecord[] {
    try {
      return (JSON.parse(readFileSync(this.#indexFile, "utf8")) as { images: ImageRecord[] }).images;
    } catch {
      return [];
    }
  }

  #save(): void {
    writeFileSync(`${this.#indexFile}.new`, JSON.stringify({ images: [...this.#images.values()] }));
    renameSync(`${this.#indexFile}.new`, this.#indexFile);
    const { ino, mtimeMs } = statSync(this.#indexFile);
    this.#version = `${ino} ${mtimeMs}`;
  }
}

/** After this the registry is asked again. */
const standInMs = 5 * 60_000;
const localDomain = "pinnace.local";

function standIn(requested: string, substitute: Substitute, reason: string): ResolvedImage {
  const image = formatReference(parseReference(substitute.image));
  return { requested, image, substitutedBy: { image, description: substitute.description, reason } };
}

function stored(record: ImageRecord, content: ContentStore): StoredImage {
  const user = parseImageConfig(content.read(record.id)).config.user?.split(":")[0];
  const isNumber = user !== undefined && /^\d+$/.test(user);
  return {
    id: record.id,
    names: [...record.names],
    digests: [...record.digests],
    sizeBytes: record.sizeBytes,
    uid: isNumber ? Number(user) : undefined,
    username: isNumber ? undefined : user,
    lastUsedAtMs: record.lastUsedAtMs,
    pinned: record.pinned,
    ...(record.access ? { access: record.access } : {}),
  };
}
