/** `pinnace map`: who serves whom, once or for as long as one looks. */
import type { Resource } from "../../api/resource.ts";
import { EndpointSlices, Pods, Services } from "../../api/resources.ts";
import { sleep } from "../../base/clock.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import type { Client, WatchHandle } from "../../client/client.ts";
import { drawMap } from "../../inspect/draw-map.ts";
import { readWorld } from "../../inspect/gather.ts";
import { adminClient } from "../admin-client.ts";
import { clusterPaths, readPki } from "../state-folder.ts";
import { machineOf, runningPlan } from "./why.ts";

export interface MapCommandOptions {
  name?: string;
  namespace?: string;
  allNamespaces?: boolean;
  watch?: boolean;
  print(line: string): void;
}

/** With `watch` it resolves when the user interrupts it, or the server goes. */
export async function mapCommand({
  name,
  namespace = "default",
  allNamespaces,
  watch,
  print,
}: MapCommandOptions): Promise<void> {
  const plan = runningPlan(name);
  const { network } = machineOf(plan);
  const client = await adminClient(plan, readPki(clusterPaths(plan.name))!);
  const isTerminal = process.stdout.isTTY === true;
  const picture = async () =>
    drawMap(await readWorld(client.api, network, namespace), {
      ...(allNamespaces ? {} : { namespace }),
      isColoured: isTerminal && !process.env["NO_COLOR"],
      ...(isTerminal ? { width: process.stdout.columns } : {}),
    });
  try {
    if (!watch) return print(await picture());
    await follow(client.api, async () => {
      const text = await picture();
      if (!isTerminal) return print(`${text}\n`);
      // Home, each line wiped before it is written anew, the rest below: no flicker.
      const lines = text.split("\n").slice(0, Math.max(1, process.stdout.rows - 1));
      process.stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`);
    });
  } finally {
    await client.close();
  }
}

/** Draws once, and again after whatever changed; changes that come together are drawn together. */
async function follow(api: Client, draw: () => Promise<void>): Promise<void> {
  const end = new AbortController();
  const stop = () => end.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const isTerminal = process.stdout.isTTY === true;
  if (isTerminal) process.stdout.write("\u001b[?1049h\u001b[?25l");
  const handles: WatchHandle[] = [];
  try {
    let wake = () => {};
    let isDirty = true;
    const changed = () => {
      isDirty = true;
      wake();
    };
    for (const resource of [Services, EndpointSlices, Pods] as Resource[]) {
      const { metadata } = await api.list(resource, { limit: 1 });
      handles.push(await api.watch(resource, { resourceVersion: metadata.resourceVersion }, changed));
    }
    const lost = Promise.race(handles.map(({ closed }) => closed)).then(
      () => end.abort(),
      () => end.abort(),
    );
    end.signal.addEventListener("abort", () => wake());
    while (!end.signal.aborted) {
      if (isDirty) {
        isDirty = false;
        await draw();
        await sleep(systemClock, 50, end.signal).catch(() => {});
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
    for (const handle of handles) handle.stop();
    await lost;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    if (isTerminal) process.stdout.write("\u001b[?25h\u001b[?1049l");
  }
}
