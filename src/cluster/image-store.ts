/** The machine's image store as a cluster's configuration wants it. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { findProgram } from "../base/node/find-program.ts";
import type { Random } from "../base/random.ts";
import { ImageStore } from "../kubelet/images/image-store.ts";
import { LocalImages } from "../kubelet/images/local-image.ts";
import { RegistryClient, type RegistryConfig } from "../kubelet/images/registry-client.ts";
import type { ImagesConfig, RegistrySettings } from "./config/cluster-config.ts";

export interface ImageStoreOptions {
  folder: string;
  config: Required<ImagesConfig>;
  clock: Clock;
  random: Random;
  log: Logger;
}

export async function openImageStore({ folder, config, clock, random, log }: ImageStoreOptions): Promise<ImageStore> {
  const logger = log.with({ component: "images" });
  const store = new ImageStore({
    folder,
    clock,
    random,
    logger,
    findProgram,
    registry: new RegistryClient({ clock, logger, registries: registriesOf(config) }),
    local: new LocalImages({ findProgram, logger }),
    substitutes: Object.entries(config.substitutions).map(([requested, image]) => ({
      requested: requested.replace(/:\*$/, ""),
      image,
      description: `${image}, as the cluster's configuration says`,
      when: "always",
    })),
  });
  await store.open();
  return store;
}

function registriesOf({ mirrors, registries }: Required<ImagesConfig>): Record<string, RegistryConfig> {
  const hosts = new Set([...Object.keys(mirrors), ...Object.keys(registries)]);
  return Object.fromEntries([...hosts].map((host) => [host, registryOf(mirrors[host], registries[host])]));
}

function registryOf(mirrors: string[] | undefined, registry: RegistrySettings | undefined): RegistryConfig {
  const { username, password, insecure } = registry ?? {};
  return {
    ...(mirrors ? { mirrors } : {}),
    ...(insecure === undefined ? {} : { insecure }),
    ...(username === undefined ? {} : { credentials: { username, ...(password === undefined ? {} : { password }) } }),
  };
}
