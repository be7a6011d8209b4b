/** Reads manifests and configs of both families, docker's and OCI's, into what the rest of Pinnace speaks. Pure. */
import type { Descriptor } from "./content-store.ts";
import { type ImageConfig, ImageError } from "./image-service.ts";

export interface Manifest {
  config: Descriptor;
  layers: Descriptor[];
}

export type ManifestOrIndex = { kind: "manifest"; manifest: Manifest } | { kind: "index"; manifests: Descriptor[] };

export const manifestMediaTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];

export function parseManifest(bytes: Buffer): ManifestOrIndex {
  const value = parseJson(bytes, "manifest") as {
    schemaVersion?: number;
    mediaType?: string;
    manifests?: unknown;
    config?: unknown;
    layers?: unknown;
  };
  if (value.schemaVersion === 1)
    throw new ImageError("Corrupt", "docker schema 1 manifests are no longer supported: push the image again");
  if (Array.isArray(value.manifests)) return { kind: "index", manifests: value.manifests.map(parseDescriptor) };
  if (!value.config || !Array.isArray(value.layers))
    throw new ImageError("Corrupt", "manifest has neither config and layers nor manifests");
  return {
    kind: "manifest",
    manifest: { config: parseDescriptor(value.config), layers: value.layers.map(parseDescriptor) },
  };
}

export interface ParsedImageConfig {
  config: ImageConfig;
  diffIds: string[];
  platform: { os?: string; architecture?: string; variant?: string };
}

export function parseImageConfig(bytes: Buffer): ParsedImageConfig {
  const value = parseJson(bytes, "image config") as {
    os?: string;
    architecture?: string;
    variant?: string;
    rootfs?: { diff_ids?: string[] };
    config?: {
      User?: string;
      Env?: string[];
      Entrypoint?: string[] | null;
      Cmd?: string[] | null;
      WorkingDir?: string;
      StopSignal?: string;
      ExposedPorts?: Record<string, unknown>;
      Volumes?: Record<string, unknown>;
      Labels?: Record<string, string>;
    } | null;
  };
  const config = value.config ?? {};
  return {
    config: {
      user: config.User || undefined,
      env: config.Env ?? [],
      entrypoint: config.Entrypoint ?? [],
      cmd: config.Cmd ?? [],
      workingDir: config.WorkingDir || undefined,
      stopSignal: config.StopSignal || undefined,
      exposedPorts: Object.keys(config.ExposedPorts ?? {}),
      volumes: Object.keys(config.Volumes ?? {}),
      labels: config.Labels ?? {},
    },
    diffIds: value.rootfs?.diff_ids ?? [],
    platform: { os: value.os, architecture: value.architecture, variant: value.variant },
  };
}

/** The entry of an index for this machine. Throws with reason "NoMatchingPlatform" and the words of containerd. */
export function choosePlatform(
  manifests: readonly Descriptor[],
  machine: { architecture: string; variant?: string },
): Descriptor {
  const fitting = manifests.filter(
    ({ platform }) => platform?.os === "linux" && platform.architecture === machine.architecture,
  );
  // The machine's own variant first, then whatever runs anywhere.
  const best =
    fitting.find(({ platform }) => platform?.variant === machine.variant) ??
    fitting.find(({ platform }) => !platform?.variant) ??
    fitting[0];
  if (best) return best;
  const unnamed = manifests.filter(({ platform }) => !platform);
  if (unnamed.length === 1) return unnamed[0]!;
  throw new ImageError(
    "NoMatchingPlatform",
    `no match for platform in manifest: linux/${machine.architecture}: not found`,
  );
}

/** As OCI names it. */
export function machinePlatform(): { architecture: string; variant?: string } {
  const names: Record<string, { architecture: string; variant?: string }> = {
    x64: { architecture: "amd64" },
    arm64: { architecture: "arm64", variant: "v8" },
    arm: { architecture: "arm", variant: "v7" },
    ia32: { architecture: "386" },
  };
  return names[process.arch] ?? { architecture: process.arch };
}

function parseDescriptor(value: unknown): Descriptor {
  const descriptor = value as Partial<Descriptor>;
  if (typeof descriptor.digest !== "string" || !/^sha256:[0-9a-f]{64}$/.test(descriptor.digest)) {
    throw new ImageError("Corrupt", `manifest names an unsupported digest ${JSON.stringify(descriptor.digest)}`);
  }
  return {
    mediaType: descriptor.mediaType ?? "",
    digest: descriptor.digest,
    size: typeof descriptor.size === "number" ? descriptor.size : -1,
    platform: descriptor.platform,
    annotations: descriptor.annotations,
  };
}

function parseJson(bytes: Buffer, what: string): object {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof value === "object" && value !== null) return value;
  } catch (error) {
    throw new ImageError("Corrupt", `${what} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new ImageError("Corrupt", `${what} is not a JSON object`);
}
