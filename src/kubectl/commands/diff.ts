/** `kubectl diff`: what applying manifests would change, shown by the system's diff program. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import { applyPatch, clientSideManager } from "../client-side-apply.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, nameless } from "../command-error.ts";
import { withoutLastApplied } from "../last-applied.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { withoutManagedFields } from "../printers/printable.ts";
import { pathOf } from "../resource-catalog.ts";
import { selectorFlags, type Target, targetsOf } from "../targets.ts";
import { prunedResources, prunedTargets } from "./apply-prune.ts";

export const diff: Command = {
  summary: "Diff the live version against a would-be applied version",
  usage: "-f FILENAME",
  examples: ["diff -f web.yaml", "diff --server-side -f web.yaml"],
  flags: [
    ...manifestFlags,
    selectorFlags[0]!,
    { name: "server-side", kind: "bool", help: "let the server merge" },
    { name: "force-conflicts", kind: "bool", help: "with --server-side, take over fields of other managers" },
    { name: "field-manager", kind: "string", help: "who the fields would be booked under" },
    { name: "show-managed-fields", kind: "bool", help: "keep managedFields" },
    { name: "show-secrets", kind: "bool", help: "the values of Secrets, too" },
    { name: "concurrency", kind: "int", default: 1, help: "how many objects to look at at a time" },
    { name: "prune", kind: "bool", help: "also what apply --prune would delete" },
    { name: "prune-allowlist", kind: "list", help: "with --prune, only these kinds: group/version/Kind" },
  ],
  /** 1 says that there are differences. */
  failureExitCode: 2,
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (!namesManifests(flags)) throw new CommandError("must specify one of -f and -k");
    if (flags.bool("force-conflicts") && !flags.bool("server-side")) {
      throw new CommandError("--force-conflicts only works with --server-side");
    }
    const targets = await targetsOf(session, flags, args);
    const folders = { live: mkdtempSync(join(tmpdir(), "LIVE-")), merged: mkdtempSync(join(tmpdir(), "MERGED-")) };
    try {
      const waiting = [...targets];
      const worker = async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) await writeVersions(invocation, next, folders);
      };
      await Promise.all(Array.from({ length: Math.max(1, flags.number("concurrency")) }, worker));
      if (flags.bool("prune")) await writePruned(invocation, targets, folders.live);
      return runDiff(invocation, folders);
    } finally {
      for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function writeVersions(
  invocation: Invocation,
  target: Target,
  folders: { live: string; merged: string },
): Promise<void> {
  const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
  const live = await liveVersion(invocation, target);
  const merged = await mergedVersion(invocation, target, live);
  const shown = (object: Unstructured) =>
    invocation.flags.bool("show-managed-fields") ? object : withoutManagedFields(object);
  const [before, after] = [live && shown(live), shown(merged)];
  const isSecret = target.resource.kind === "Secret" && target.resource.group === "";
  if (isSecret && !invocation.flags.bool("show-secrets")) maskData(before, after);
  const name = fileNameOf(target);
  writeFileSync(join(folders.live, name), before ? encodeYaml(before) : "");
  writeFileSync(join(folders.merged, name), encodeYaml(after));
}

/** What is in no manifest now stands only on the side of what is there. */
async function writePruned(invocation: Invocation, targets: readonly Target[], folder: string): Promise<void> {
  const { session, flags } = invocation;
  const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
  const kinds = await prunedResources(session, flags.commaList("prune-allowlist"));
  const kept = new Set(targets.map(({ resource, namespace, name }) => pathOf(resource, namespace, name)));
  for (const { target, object } of await prunedTargets(invocation, kinds, targets)) {
    const { resource, namespace, name } = target;
    if (kept.has(pathOf(resource, namespace, name))) continue;
    const shown = flags.bool("show-managed-fields") ? object : withoutManagedFields(object);
    writeFileSync(join(folder, fileNameOf(target)), encodeYaml(shown));
  }
}

function fileNameOf({ resource: { group, version, kind }, namespace, name }: Target): string {
  return `${group ? `${group}.` : ""}${version}.${kind}.${namespace ?? ""}.${name}`;
}

async function liveVersion({ session }: Invocation, { resource, namespace, name }: Target) {
  if (name === "") throw nameless();
  const api = await session.api();
  try {
    return await api.get(pathOf(resource, namespace, name));
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** What the server would make of it: asked with a dry run. */
async function mergedVersion({ session, flags }: Invocation, target: Target, live: Unstructured | undefined) {
  const api = await session.api();
  const { resource, namespace, name, local } = target;
  const isServerSide = flags.bool("server-side");
  const fieldManager = flags.string("field-manager") || (isServerSide ? "kubectl" : clientSideManager);
  const query = new URLSearchParams({ dryRun: "All", fieldManager });
  if (isServerSide) {
    query.set("force", String(flags.bool("force-conflicts")));
    const contentType = "application/apply-patch+yaml";
    return api.call("PATCH", `${pathOf(resource, namespace, name)}?${query}`, { body: local, contentType });
  }
  if (!live) return api.call("POST", `${pathOf(resource, namespace)}?${query}`, { body: local });
  const { patch, contentType } = applyPatch(resource, withoutLastApplied(local!), live);
  if (Object.keys(patch).length === 0) return live;
  return api.call("PATCH", `${pathOf(resource, namespace, name)}?${query}`, { body: patch, contentType });
}

/** A Secret's values are not for screens: only whether they differ. */
function maskData(before: Unstructured | undefined, after: Unstructured): void {
  const [old, young] = [before?.["data"], after["data"]] as (Record<string, string> | undefined)[];
  for (const key of new Set([...Object.keys(old ?? {}), ...Object.keys(young ?? {})])) {
    const [was, is] = [old?.[key], young?.[key]];
    const isChanged = was !== undefined && is !== undefined && was !== is;
    if (was !== undefined) old![key] = isChanged ? "*** (before)" : "***";
    if (is !== undefined) young![key] = isChanged ? "*** (after)" : "***";
  }
}

function runDiff({ session }: Invocation, { live, merged }: { live: string; merged: string }): number {
  const { environment } = session.terminal;
  const [program = "diff", ...words] = (environment["KUBECTL_EXTERNAL_DIFF"] || "diff -u -N").split(/\s+/);
  const { status, error, stdout, stderr } = spawnSync(program, [...words, live, merged], {
    env: environment,
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  if (error) throw new CommandError(`failed to run ${JSON.stringify(program)}: ${error.message}`, { exitCode: 2 });
  session.print(stdout);
  session.printError(stderr);
  return status ?? 2;
}
