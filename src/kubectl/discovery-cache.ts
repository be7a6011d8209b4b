/** What servers serve, remembered on disk beside what the other kubectl remembers of them. */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Api } from "./api.ts";
import { discoverResources } from "./discovery.ts";
import { type ApiResource, ResourceCatalog } from "./resource-catalog.ts";

/** As long as client-go trusts what it remembers. */
const goodForMs = 6 * 3_600_000;
/** The layout of the file; another one is not read. */
const layout = 1;

/** What is remembered of the server if that is not too old, else what it says now, which is remembered in its turn. */
export async function rememberedCatalog(
  api: Api,
  folder: string,
  clock: Clock,
  isFresh: boolean,
): Promise<ResourceCatalog> {
  const host = api.server.replace(/^.*?:\/\//, "").replaceAll(/[^\w/.]/g, "_");
  const file = join(folder, "discovery", host, "pinnace.json");
  const remembered = isFresh ? undefined : read(file, clock);
  if (remembered) return new ResourceCatalog(remembered, true);
  const resources = await discoverResources(api);
  write(file, resources);
  return new ResourceCatalog(resources);
}

function read(file: string, clock: Clock): ApiResource[] | undefined {
  try {
    if (clock.now() - statSync(file).mtimeMs > goodForMs) return undefined;
    const content = JSON.parse(readFileSync(file, "utf8")) as { layout: number; resources: ApiResource[] };
    return content.layout === layout && content.resources.length > 0 ? content.resources : undefined;
  } catch {
    return undefined;
  }
}

function write(file: string, resources: readonly ApiResource[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, JSON.stringify({ layout, resources }), { mode: 0o660 });
    renameSync(draft, file);
  } catch {
    // A home that cannot be written to: the next invocation asks again.
  }
}
