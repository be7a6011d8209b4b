/** `pinnace image`: the images that this machine's clusters share. */
import { existsSync } from "node:fs";
import { silentLogger } from "../../base/logger.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import type { ImageStore } from "../../kubelet/images/image-store.ts";
import { openImageStore } from "../image-store.ts";
import { clusterPaths, readPlan } from "../state-folder.ts";
import { defaultClusterName } from "./up.ts";

type Print = (line: string) => void;

/** Whose mirrors, credentials and substitutions count; the images themselves are all clusters'. */
interface WhichCluster {
  name?: string;
}

/** Uses the mirrors and credentials of the cluster's configuration. */
export async function pullImage(
  reference: string,
  { name = defaultClusterName }: WhichCluster,
  print: Print,
): Promise<void> {
  await withStore(name, async (store) => {
    print(`Pulling ${reference}`);
    const image = await store.pull(reference);
    print(`${store.resolve(reference).image} ${image.id} (${megabytes(image.sizeBytes)})`);
  });
}

export async function loadImages(
  archive: string,
  { name = defaultClusterName }: WhichCluster,
  print: Print,
): Promise<void> {
  if (!existsSync(archive)) throw new Error(`there is no file ${archive}`);
  await withStore(name, async (store) => {
    for (const image of await store.load(archive)) print(`Loaded ${image.loadedAs.join(", ") || image.id}`);
  });
}

export async function listImages({ name = defaultClusterName }: WhichCluster, print: Print): Promise<void> {
  await withStore(name, async (store) => {
    const rows = store
      .list()
      .flatMap((image) =>
        image.names.map((name) => [name, image.id.slice("sha256:".length, 19), megabytes(image.sizeBytes)]),
      );
    const widths = [0, 1].map((column) =>
      Math.max(...rows.map((row) => row[column]!.length), ["IMAGE", "ID"][column]!.length),
    );
    for (const row of [["IMAGE", "ID", "SIZE"], ...rows])
      print(`${row[0]!.padEnd(widths[0]!)}  ${row[1]!.padEnd(widths[1]!)}  ${row[2]}`);
  });
}

export async function removeImages(
  references: readonly string[],
  { name = defaultClusterName }: WhichCluster,
  print: Print,
): Promise<void> {
  await withStore(name, async (store) => {
    for (const reference of references) {
      if (!store.status(reference)) throw new Error(`there is no image ${reference} on this machine`);
      await store.remove(reference);
      print(`Removed ${reference}`);
    }
  });
}

async function withStore(cluster: string, work: (store: ImageStore) => Promise<void>): Promise<void> {
  const paths = clusterPaths(cluster);
  const config = readPlan(paths)?.images ?? { mirrors: {}, registries: {}, substitutions: {} };
  const store = await openImageStore({
    folder: paths.images,
    config,
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
