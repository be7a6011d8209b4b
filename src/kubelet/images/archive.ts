/** Takes in images from files: what `docker save` writes, and OCI archives, plain or compressed. */
import { createWriteStream, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import { decompressed } from "./compression.ts";
import { type Descriptor, digestOf } from "./content-store.ts";
import { choosePlatform, machinePlatform, parseImageConfig, parseManifest } from "./image-config.ts";
import { ImageError } from "./image-service.ts";
import type { FetchedImage, ImageTarget } from "./image-store.ts";
import { type ImageReference, parseReference } from "./reference.ts";

export interface LoadedImage {
  references: ImageReference[];
  image: FetchedImage;
}

/** `temporary` is a folder for the archive's files; it is removed afterwards. */
export async function loadArchive(
  file: string,
  temporary: string,
  target: ImageTarget,
  findProgram: (name: string) => string | undefined,
): Promise<LoadedImage[]> {
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  try {
    const archive = await Archive.unpack(decompressed(file, findProgram), temporary);
    if (archive.has("manifest.json")) return await loadDocker(archive, target);
    if (archive.has("index.json")) return await loadOci(archive, target);
    throw new ImageError("Corrupt", `${file} is no image archive: it has neither manifest.json nor index.json`);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** The archive's files, and nothing else of it, in a folder. */
class Archive {
  readonly #folder: string;
  /** Old docker versions link equal layers to each other. */
  readonly #links = new Map<string, string>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async unpack(tar: Readable, folder: string): Promise<Archive> {
    const archive = new Archive(folder);
    const entries = extract();
    tar.once("error", (error) => entries.destroy(error));
    tar.pipe(entries);
    for await (const entry of entries) {
      const { name, type, linkname } = entry.header;
      const path = plainName(name);
      if (type === "symlink") archive.#links.set(path, plainName(posix.join(posix.dirname(path), linkname)));
      else if (type === "link") archive.#links.set(path, plainName(linkname));
      if (type === "file" && path !== "") {
        mkdirSync(join(folder, dirname(path)), { recursive: true });
        await pipeline(entry as unknown as Readable, createWriteStream(join(folder, path)));
      } else entry.resume();
    }
    return archive;
  }

  has(name: string): boolean {
    return lstatSync(this.path(name), { throwIfNoEntry: false })?.isFile() ?? false;
  }

  path(name: string): string {
    let path = plainName(name);
    for (let depth = 0; depth < 10 && this.#links.has(path); depth++) path = this.#links.get(path)!;
    return join(this.#folder, path);
  }

  read(name: string): Buffer {
    if (!this.has(name)) throw new ImageError("Corrupt", `the archive has no ${name}`);
    return readFileSync(this.path(name));
  }

  /** Verified. */
  blob(descriptor: Descriptor): Buffer {
    const bytes = this.read(blobName(descriptor.digest));
    if (digestOf(bytes) !== descriptor.digest)
      throw new ImageError("Corrupt", `${blobName(descriptor.digest)} has digest ${digestOf(bytes)}`);
    return bytes;
  }
}

async function loadDocker(archive: Archive, target: ImageTarget): Promise<LoadedImage[]> {
  const list = JSON.parse(archive.read("manifest.json").toString("utf8")) as {
    Config: string;
    RepoTags?: string[] | null;
    Layers: string[];
  }[];
  const loaded: LoadedImage[] = [];
  for (const { Config, RepoTags, Layers } of list) {
    const image = await takeIn(archive, archive.read(Config), Layers, target);
    loaded.push({ references: (RepoTags ?? []).map(parseReference), image });
  }
  return loaded;
}

async function loadOci(archive: Archive, target: ImageTarget): Promise<LoadedImage[]> {
  const index = parseManifest(archive.read("index.json"));
  if (index.kind !== "index") throw new ImageError("Corrupt", "index.json is no index");
  const loaded: LoadedImage[] = [];
  for (const descriptor of index.manifests) {
    let parsed = parseManifest(archive.blob(descriptor));
    if (parsed.kind === "index")
      parsed = parseManifest(archive.blob(choosePlatform(parsed.manifests, machinePlatform())));
    if (parsed.kind === "index") throw new ImageError("Corrupt", "indexes within indexes within indexes");
    const layers = parsed.manifest.layers.map((layer) => blobName(layer.digest));
    const image = await takeIn(archive, archive.blob(parsed.manifest.config), layers, target);
    loaded.push({ references: namesOf(descriptor), image: { ...image, manifestDigest: descriptor.digest } });
  }
  return loaded;
}

async function takeIn(
  archive: Archive,
  config: Buffer,
  layers: readonly string[],
  target: ImageTarget,
): Promise<FetchedImage> {
  const { diffIds } = parseImageConfig(config);
  if (diffIds.length !== layers.length) {
    throw new ImageError(
      "Corrupt",
      `mismatched image rootfs and manifest layers: ${diffIds.length} and ${layers.length}`,
    );
  }
  let sizeBytes = config.length;
  for (const [i, name] of layers.entries()) {
    if (!archive.has(name)) throw new ImageError("Corrupt", `the archive has no ${name}`);
    sizeBytes += lstatSync(archive.path(name)).size;
    // The unpacked content is verified against the config, whatever the file is called.
    await target.layers.unpack(diffIds[i]!, archive.path(name), diffIds[i]!);
  }
  return { id: target.content.write(config), sizeBytes };
}

/** containerd writes the whole name, others only the tag. */
function namesOf({ annotations }: Descriptor): ImageReference[] {
  const name = annotations?.["io.containerd.image.name"] ?? annotations?.["org.opencontainers.image.ref.name"];
  if (!name) return [];
  try {
    return [parseReference(name)];
  } catch {
    return [];
  }
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** No archive writes beside its folder. */
function plainName(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw new ImageError("Corrupt", `archive entry ${JSON.stringify(name)}: the path climbs out of its folder`);
  return parts.join("/");
}
