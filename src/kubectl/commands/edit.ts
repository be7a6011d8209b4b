/** `kubectl edit`: opens objects in the user's editor and sends what changed; a refusal is shown and edited again. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { schemaForKind } from "../../api/schema.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { manifestFlags } from "../manifests.ts";
import { withoutManagedFields } from "../printers/printable.ts";
import { pathOf } from "../resource-catalog.ts";
import { fetchTargets, selectorFlags, type Target, targetsOf } from "../targets.ts";
import { threeWayPatch } from "../three-way-patch.ts";
import { reportWritten, validateFlag, writeFlags, writeQuery } from "../writing.ts";

const heading = `# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
`;

export const edit: Command = {
  summary: "Edit a resource on the server",
  usage: "(RESOURCE/NAME | -f FILENAME)",
  examples: ["edit deployment/web", "EDITOR=nano kubectl edit svc/web"],
  flags: [
    ...manifestFlags,
    ...selectorFlags,
    ...writeFlags("kubectl-edit"),
    validateFlag,
    { name: "save-config", kind: "bool", help: "accepted" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const found = await fetchTargets(session, flags, await targetsOf(session, flags, args));
    if (found.length === 0) throw new CommandError("edit cancelled, no objects found");
    for (const { target, object } of found) await editObject(invocation, target, object);
    return 0;
  },
};

async function editObject(invocation: Invocation, target: Target, object: Unstructured): Promise<void> {
  const { session } = invocation;
  const { encodeYaml, parseYaml } = await import("../../apimachinery/serializer/yaml.ts");
  const folder = mkdtempSync(join(tmpdir(), "kubectl-edit-"));
  const file = join(folder, "object.yaml");
  const original = encodeYaml(withoutManagedFields(object));
  let text = heading + original;
  let refusal = "";
  try {
    for (;;) {
      writeFileSync(file, refusal ? text.replace("#\n", `#\n${refusal}`) : text, { mode: 0o600 });
      openEditor(session.terminal.environment, file);
      const edited = readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => !line.startsWith("#"))
        .join("\n");
      if (edited.trim() === "") {
        session.printError("Edit cancelled, saved file was empty.\n");
        return;
      }
      if (edited.trim() === original.trim()) {
        session.printError("Edit cancelled, no changes made.\n");
        return;
      }
      if (refusal && edited.trim() === text.replace(heading, "").trim()) {
        throw new CommandError("Edit cancelled, no valid changes were saved.");
      }
      try {
        await send(invocation, target, object, parseYaml(edited).value as Unstructured);
        return;
      } catch (error) {
        if (!(error instanceof StatusError || (error as Error).message.startsWith("error converting"))) throw error;
        const message = (error as Error).message;
        session.printError(`error: ${target.resource.plural} ${JSON.stringify(target.name)} is invalid\n`);
        refusal = `# ${target.resource.plural} ${JSON.stringify(target.name)} was not valid:\n# * ${message.replaceAll("\n", "\n# ")}\n#\n`;
        text = heading + edited;
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function send(
  { session, flags }: Invocation,
  { resource, namespace, name }: Target,
  before: Unstructured,
  after: Unstructured,
) {
  const api = await session.api();
  const schema = schemaForKind(resource.group, resource.version, resource.kind);
  const present = withoutManagedFields(before);
  const changed = await api.call("PATCH", pathOf(resource, namespace, name) + writeQuery(flags), {
    body: threeWayPatch(present, after, present, schema),
    contentType: `application/${schema ? "strategic-merge-patch" : "merge-patch"}+json`,
  });
  await reportWritten(session, flags, resource, changed, "edited");
}

function openEditor(environment: NodeJS.ProcessEnv, file: string): void {
  const editor = environment["KUBE_EDITOR"] || environment["EDITOR"] || "vi";
  const { status, error } = spawnSync("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
  if (error || status !== 0) {
    throw new CommandError(`there was a problem with the editor ${JSON.stringify(editor)}`);
  }
}
