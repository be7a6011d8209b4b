/** `kubectl label` and `kubectl annotate`. */
import { labelValueProblems } from "../../apimachinery/name-validation.ts";
import { changeObjects, parseAssignments, splitAssignments } from "../changing.ts";
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import {
  allNamespacesFlag,
  fetchTargets,
  localFlag,
  localTargets,
  selectorFlags,
  type Target,
  targetsOf,
} from "../targets.ts";
import { writeFlags } from "../writing.ts";

function checkSelection(flags: FlagValues, targets: readonly Target[], isLocal: boolean): void {
  const selects = flags.bool("all") || flags.string("selector") || flags.string("field-selector");
  if (isLocal || selects || targets.every(({ name }) => name !== undefined)) return;
  throw new CommandError("resource(s) were provided, but no name was specified");
}

/** What is wrong whatever the objects are. */
function checkAssignments(
  field: "labels" | "annotations",
  words: readonly string[],
  set: ReadonlyMap<string, string>,
  remove: readonly string[],
): void {
  if (field === "labels") {
    for (const word of words) {
      const [key, value, more] = word.split("=");
      if (value === undefined) continue;
      if (more !== undefined || !key) throw new CommandError(`invalid label spec: ${word}`);
      const [problem] = labelValueProblems(value);
      if (problem) throw new CommandError(`invalid label value: ${JSON.stringify(word)}: ${problem}`);
    }
  }
  const both = remove.filter((key) => set.has(key));
  if (both.length === 0) return;
  throw new CommandError(
    field === "labels"
      ? "can not both modify and remove a label in the same command"
      : `can not both modify and remove the following annotation(s) in the same command: ${both.join(", ")}`,
  );
}

function metadataCommand(field: "labels" | "annotations", noun: string, verb: string, done: string): Command {
  return {
    summary: `Update the ${field} on a resource`,
    usage: `[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]`,
    examples: [`${verb} pod web tier=front`, `${verb} pod web tier-`, `${verb} --overwrite pods --all tier=back`],
    flags: [
      ...manifestFlags,
      ...writeFlags(`kubectl-${verb}`),
      ...selectorFlags,
      allNamespacesFlag,
      { name: "all", kind: "bool", help: "all objects of the kind in the namespace" },
      { name: "overwrite", kind: "bool", help: `a ${noun} that is there may change its value` },
      { name: "list", kind: "bool", help: `print the ${field}` },
      localFlag,
      { name: "resource-version", kind: "string", help: "only if the object is at this version" },
    ],
    async run(invocation) {
      const { session, flags, args } = invocation;
      const [objects, words] = namesManifests(flags) ? [[], [...args]] : splitAssignments(args);
      if (objects.length === 0 && !namesManifests(flags)) {
        throw new CommandError("one or more resources must be specified as <resource> <name> or <resource>/<name>");
      }
      const local = flags.bool("local") ? await localTargets(session, flags, objects) : undefined;
      const targets = local?.map(({ target }) => target) ?? (await targetsOf(session, flags, objects));
      if (words.length === 0 && !flags.bool("list")) {
        throw new CommandError(`at least one ${noun} update is required`);
      }
      checkSelection(flags, targets, local !== undefined);
      const { set, remove } = parseAssignments(words);
      checkAssignments(field, words, set, remove);
      if (flags.bool("list")) {
        const isOne = targets.length === 1 && targets[0]!.name !== undefined;
        for (const { object } of local ?? (await fetchTargets(session, flags, targets))) {
          const { kind, apiVersion = "", metadata } = object;
          const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
          if (!isOne) session.print(`Listing ${field} for ${kind}.${group}/${metadata.name}:\n`);
          for (const [key, value] of Object.entries(metadata[field] ?? {})) {
            session.print(`${isOne ? "" : " "}${key}=${value}\n`);
          }
        }
        return 0;
      }
      const version = flags.string("resource-version");
      await changeObjects(
        invocation,
        targets,
        ({ metadata }) => {
          const present = metadata[field] ?? {};
          for (const [key, value] of set) {
            if (!flags.bool("overwrite") && present[key] !== undefined && present[key] !== value) {
              throw new CommandError(
                field === "labels"
                  ? `'${key}' already has a value (${present[key]}), and --overwrite is false`
                  : `--overwrite is false but found the following declared annotation(s): '${key}' already has a value (${present[key]})`,
              );
            }
          }
          for (const key of remove) {
            if (present[key] === undefined && field === "labels")
              session.print(`label ${JSON.stringify(key)} not found.\n`);
          }
          const gone = remove.filter((key) => present[key] !== undefined);
          if (set.size === 0 && gone.length === 0) return undefined;
          const changes = { ...Object.fromEntries(set), ...Object.fromEntries(gone.map((key) => [key, null])) };
          return { metadata: { [field]: changes, ...(version ? { resourceVersion: version } : {}) } };
        },
        {
          done: field === "labels" && set.size === 0 ? "unlabeled" : done,
          ...(field === "labels" ? { unchanged: "not labeled" } : {}),
        },
        local,
      );
      return 0;
    },
  };
}

export const label = metadataCommand("labels", "label", "label", "labeled");
export const annotate = metadataCommand("annotations", "annotation", "annotate", "annotated");
