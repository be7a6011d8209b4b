/** Objects in the user's editor: opened, read back, and opened again with the reason when the server refuses them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StatusError } from "../apimachinery/status-error.ts";
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { goJson, listOf } from "./printers/printable.ts";
import type { ApiResource } from "./resource-catalog.ts";
import type { Session } from "./session.ts";

export const windowsLineEndingsFlag: Flag = {
  name: "windows-line-endings",
  kind: "bool",
  default: process.platform === "win32",
  help: "lines end as in Windows",
};

/** One object that is edited. */
export interface Edited {
  resource: ApiResource;
  /** As the editor shows it. */
  object: Unstructured;
}

/** Sends one object as the user left it. Throws a StatusError where the server refuses. */
export type Save = (edited: Edited, after: Unstructured) => Promise<void>;

const heading = `# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
`;

/** Shows the objects in one file until each is saved or the user gives up; several stand in a List. */
export async function editObjects(
  session: Session,
  flags: FlagValues,
  edited: readonly Edited[],
  save: Save,
): Promise<void> {
  const format = formatOf(flags);
  const { encodeYaml } = await import("../apimachinery/serializer/yaml.ts");
  const write = (objects: readonly Unstructured[]) => {
    const shown = objects.length === 1 ? objects[0]! : listOf(objects);
    return format === "json" ? goJson(shown) : encodeYaml(shown);
  };
  const folder = mkdtempSync(join(tmpdir(), "kubectl-edit-"));
  const file = join(folder, `kubectl-edit.${format}`);
  const ending = flags.bool("windows-line-endings") ? "\r\n" : "\n";
  const original = write(edited.map(({ object }) => object));
  let open = [...edited];
  let text = original;
  let reasons = "";
  let isFileKept = false;
  try {
    for (;;) {
      writeFileSync(file, (heading + reasons + text).replaceAll("\n", ending), { mode: 0o600 });
      openEditor(session.terminal.environment, file);
      const content = withoutComments(readFileSync(file, "utf8"));
      if (reasons && content === withoutComments(text)) {
        isFileKept = true;
        session.printError(`A copy of your changes has been stored to ${JSON.stringify(file)}\n`);
        throw new CommandError("Edit cancelled, no valid changes were saved.");
      }
      if (!reasons && content === withoutComments(original)) {
        return session.printError("Edit cancelled, no changes made.\n");
      }
      if (content.trim() === "") return session.printError("Edit cancelled, saved file was empty.\n");
      const { refused, failures } = await saveAll(session, open, content, save);
      if (failures > 0) {
        isFileKept = true;
        session.printError(`You can run \`kubectl replace -f ${file}\` to try this update again.\n`);
        throw new CommandError("", { isVerbatim: true });
      }
      if (refused.length === 0) return;
      open = refused.map(({ edited: one }) => one);
      const objects = refused.flatMap(({ after }) => (after ? [after] : []));
      text = objects.length === refused.length ? write(objects) : content;
      reasons = `${refused.map(({ reason }) => reason).join("")}#\n`;
    }
  } finally {
    if (!isFileKept) rmSync(folder, { recursive: true, force: true });
  }
}

interface Refused {
  edited: Edited;
  after: Unstructured | undefined;
  /** Comment lines. */
  reason: string;
}

async function saveAll(
  session: Session,
  edited: readonly Edited[],
  content: string,
  save: Save,
): Promise<{ refused: Refused[]; failures: number }> {
  let objects: Unstructured[];
  try {
    objects = await objectsIn(content);
  } catch (error) {
    const one = edited[0]!;
    const refusal = `The edited file failed validation: Invalid value: ${JSON.stringify((error as Error).message)}`;
    return { refused: [refuse(session, one, undefined, [refusal])], failures: 0 };
  }
  const refused: Refused[] = [];
  let failures = 0;
  for (const one of edited) {
    const { apiVersion, kind, metadata } = one.object;
    const after = objects.find(
      (each) => each.apiVersion === apiVersion && each.kind === kind && each.metadata?.name === metadata.name,
    );
    if (!after) throw new CommandError("At least one of apiVersion, kind and name was changed");
    try {
      await save(one, after);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      const subject = `${qualified(one.resource)} ${JSON.stringify(metadata.name)}`;
      if (error.reason === "Invalid" || error.reason === "BadRequest") {
        const causes = (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
        refused.push(refuse(session, one, after, causes.length > 0 ? causes : [error.message]));
        continue;
      }
      failures++;
      session.printError(
        error.reason === "NotFound"
          ? `error: ${subject} could not be found on the server\n`
          : `error: ${subject} could not be patched: ${error.message}\n`,
      );
    }
  }
  return { refused, failures };
}

function refuse(session: Session, edited: Edited, after: Unstructured | undefined, causes: readonly string[]): Refused {
  const subject = `${qualified(edited.resource)} ${JSON.stringify(edited.object.metadata.name)}`;
  session.printError(`error: ${subject} is invalid\n`);
  const lines = [`# ${subject} was not valid:`, ...causes.map((cause) => `# * ${cause.replaceAll("\n", "\n# ")}`)];
  return { edited, after, reason: `${lines.join("\n")}\n` };
}

async function objectsIn(content: string): Promise<Unstructured[]> {
  const { parseYaml } = await import("../apimachinery/serializer/yaml.ts");
  const value = parseYaml(content).value as Unstructured;
  return value.kind === "List" && Array.isArray(value["items"]) ? (value["items"] as Unstructured[]) : [value];
}

function formatOf(flags: FlagValues): "json" | "yaml" {
  const format = flags.string("output") || "yaml";
  if (format === "json" || format === "yaml") return format;
  throw new CommandError(`The flag 'output' must be one of yaml|json`);
}

function withoutComments(text: string): string {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  return lines
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
    .trim();
}

const qualified = ({ plural, group }: ApiResource) => (group ? `${plural}.${group}` : plural);

function openEditor(environment: NodeJS.ProcessEnv, file: string): void {
  const editor = environment["KUBE_EDITOR"] || environment["EDITOR"] || "vi";
  const { status, error } = spawnSync("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
  if (error || status !== 0) {
    throw new CommandError(`there was a problem with the editor ${JSON.stringify(editor)}`);
  }
}
