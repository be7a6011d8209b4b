/** `kubectl edit`: opens objects in the user's editor and sends what changed. `create --edit` opens them before they exist. */
import { schemaForKind } from "../../api/schema.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { createObject, saveConfigFlag } from "../creating.ts";
import { type Edited, editObjects, windowsLineEndingsFlag } from "../editing.ts";
import { lastAppliedOf, withLastApplied } from "../last-applied.ts";
import { manifestFlags } from "../manifests.ts";
import { goJson, withoutManagedFields } from "../printers/printable.ts";
import { pathOf } from "../resource-catalog.ts";
import { fetchTargets, type Target, targetsOf } from "../targets.ts";
import { threeWayPatch } from "../three-way-patch.ts";
import { reportWritten, validateFlag, writeFlags, writeQuery } from "../writing.ts";

export const edit: Command = {
  summary: "Edit a resource on the server",
  usage: "(RESOURCE/NAME | -f FILENAME)",
  examples: ["edit deployment/web", "edit svc/web -o json", "edit deploy/web --subresource=scale"],
  flags: [
    ...manifestFlags,
    ...writeFlags("kubectl-edit").filter(({ name }) => name !== "dry-run"),
    validateFlag,
    saveConfigFlag,
    windowsLineEndingsFlag,
    { name: "output-patch", kind: "bool", help: "print the patch that is sent" },
    { name: "subresource", kind: "string", help: "edit this subresource, such as status" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const api = await session.api();
    const subresource = flags.string("subresource");
    const targets = await targetsOf(session, flags, args);
    const found = await fetchTargets(session, flags, targets);
    if (session.failures.length > 0) return 1;
    if (found.length === 0) throw new CommandError("edit cancelled, no objects found");
    const targetOf = new Map<Edited, Target>();
    for (const { target, object } of found) {
      const { resource, namespace, name } = target;
      const shown = subresource ? await api.get(pathOf(resource, namespace, name, subresource)) : object;
      targetOf.set({ resource, object: withoutManagedFields(shown) }, target);
    }
    await editObjects(session, flags, [...targetOf.keys()], (edited, after) =>
      send(invocation, targetOf.get(edited)!, edited, after),
    );
    return 0;
  },
};

async function send(
  { session, flags }: Invocation,
  { resource, namespace, name }: Target,
  { object: before }: Edited,
  after: Edited["object"],
): Promise<void> {
  const api = await session.api();
  const subresource = flags.string("subresource");
  const wanted = flags.bool("save-config") || lastAppliedOf(before) ? withLastApplied(after) : after;
  const schema = subresource ? undefined : schemaForKind(resource.group, resource.version, resource.kind);
  const patch = threeWayPatch(before, flags.bool("save-config") ? wanted : after, before, schema);
  if (Object.keys(patch).length === 0) {
    return reportWritten(session, flags, resource, before, "skipped");
  }
  if (flags.bool("output-patch")) session.print(`Patch: ${goJson(patch, 0).trimEnd()}\n`);
  const path = pathOf(resource, namespace, name, subresource || undefined);
  const changed = await api.call("PATCH", path + writeQuery(flags), {
    body: patch,
    contentType: `application/${schema ? "strategic-merge-patch" : "merge-patch"}+json`,
  });
  await reportWritten(session, flags, resource, changed, "edited");
}

/** `create --edit`: each object by itself, as create makes them. */
export async function createEdited(invocation: Invocation, targets: readonly Target[]): Promise<number> {
  const { session, flags } = invocation;
  for (const { resource, local } of targets) {
    await editObjects(session, flags, [{ resource, object: local! }], (_, after) => createObject(invocation, after));
  }
  return 0;
}
