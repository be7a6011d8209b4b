/** `kubectl apply view-last-applied`, `set-last-applied` and `edit-last-applied`: the annotation that client-side apply goes by. */
import { clientSideManager } from "../client-side-apply.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { type Edited, editObjects, windowsLineEndingsFlag } from "../editing.ts";
import { lastAppliedAnnotation, lastAppliedOf, lastAppliedText } from "../last-applied.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { goJson } from "../printers/printable.ts";
import { outputFlags } from "../printers/printer.ts";
import { pathOf } from "../resource-catalog.ts";
import { fetchTargets, selectorFlags, type Target, targetPath, targetsOf } from "../targets.ts";
import { dryRunFlag, dryRunOf, reportWritten, validateFlag } from "../writing.ts";

const selectorFlag = selectorFlags[0]!;

export const viewLastApplied: Command = {
  summary: "View the latest last-applied-configuration annotations of a resource or object",
  usage: "(TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)",
  examples: ["apply view-last-applied deployment/web", "apply view-last-applied -f web.yaml -o json"],
  flags: [
    ...manifestFlags,
    selectorFlag,
    { name: "output", short: "o", kind: "string", default: "yaml", help: "yaml or json" },
    { name: "all", kind: "bool", help: "all of the kind" },
  ],
  async run({ session, flags, args }) {
    const format = flags.string("output");
    if (format !== "json" && format !== "yaml") {
      throw usageError(
        "apply view-last-applied",
        `Unexpected -o output mode: ${format}, the flag 'output' must be one of yaml|json`,
      );
    }
    const found = await fetchTargets(session, flags, await targetsOf(session, flags, args));
    const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
    for (const { object } of found) {
      const last = lastAppliedOf(object);
      if (last) session.print(format === "json" ? goJson(last, 2) : encodeYaml(last));
    }
    return 0;
  },
};

export const setLastApplied: Command = {
  summary: "Set the last-applied-configuration annotation on a live object to match the contents of a file",
  usage: "-f FILENAME",
  examples: ["apply set-last-applied -f web.yaml", "apply set-last-applied -f web.yaml --create-annotation=true"],
  flags: [
    ...manifestFlags.filter(({ name }) => name === "filename"),
    ...outputFlags,
    dryRunFlag,
    { name: "create-annotation", kind: "bool", help: "also where there is none yet" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (!namesManifests(flags)) await targetsOf(session, flags, []);
    const api = await session.api();
    const changes: { target: Target; text: string }[] = [];
    for (const target of await targetsOf(session, flags, args)) {
      const current = await api.get(targetPath(target));
      const present = current.metadata.annotations?.[lastAppliedAnnotation];
      if (present === undefined && !flags.bool("create-annotation")) {
        throw new CommandError(
          `no last-applied-configuration annotation found on resource: ${target.name}, to create the annotation, run the command with --create-annotation`,
        );
      }
      const text = lastAppliedText(target.local!);
      if (present === text) session.print(`set-last-applied ${target.name}: no changes required.\n`);
      else changes.push({ target, text });
    }
    for (const { target, text } of changes) await setAnnotation(invocation, target, text, "configured");
    return 0;
  },
};

async function setAnnotation(
  { session, flags }: Invocation,
  { resource, namespace, name }: Target,
  text: string,
  done: string,
): Promise<void> {
  const api = await session.api();
  const path = pathOf(resource, namespace, name);
  const manager = flags.knows("field-manager") ? flags.string("field-manager") : clientSideManager;
  const patch = { metadata: { annotations: { [lastAppliedAnnotation]: text } } };
  const query = new URLSearchParams({
    ...(dryRunOf(flags) === "server" ? { dryRun: "All" } : {}),
    fieldManager: manager,
  });
  const object =
    dryRunOf(flags) === "client"
      ? await api.get(path)
      : await api.call("PATCH", `${path}?${query}`, { body: patch, contentType: "application/merge-patch+json" });
  await reportWritten(session, flags, resource, object, done);
}

export const editLastApplied: Command = {
  summary: "Edit latest last-applied-configuration annotations of a resource/object",
  usage: "(RESOURCE/NAME | -f FILENAME)",
  examples: ["apply edit-last-applied deployment/web"],
  flags: [
    ...manifestFlags,
    ...outputFlags,
    validateFlag,
    windowsLineEndingsFlag,
    { name: "field-manager", kind: "string", default: clientSideManager, help: "who the field is booked under" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const found = await fetchTargets(session, flags, await targetsOf(session, flags, args));
    const targetOf = new Map<Edited, Target>();
    for (const { target, object } of found) {
      const last = lastAppliedOf(object);
      if (last) targetOf.set({ resource: target.resource, object: last }, target);
    }
    if (session.failures.length > 0) return 1;
    if (targetOf.size === 0) {
      throw new CommandError(
        "no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply set-last-applied --create-annotation`",
      );
    }
    await editObjects(session, flags, [...targetOf.keys()], (edited, after) => {
      return setAnnotation(invocation, targetOf.get(edited)!, lastAppliedText(after), "edited");
    });
    return 0;
  },
};
