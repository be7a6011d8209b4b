/** Verbs that change a few fields of objects that are there: read, work the change out, send it as a merge patch, report. */
import { deepEqual } from "../apimachinery/patch/deep-equal.ts";
import type { Unstructured } from "./api.ts";
import type { Invocation } from "./command.ts";
import { CommandError, nameless } from "./command-error.ts";
import { pathOf } from "./resource-catalog.ts";
import { fetchTargets, type Target } from "./targets.ts";
import { dryRunOf, reportWritten, writeQuery } from "./writing.ts";

/** A JSON merge patch, or undefined for nothing to do. */
export type Change = (object: Unstructured, target: Target) => Record<string, unknown> | undefined;

export interface ChangeWords {
  done: string;
  /** When there was nothing to do: other words, or none at all. Default: as `done`. */
  unchanged?: string | undefined;
  isSilentWhenUnchanged?: boolean;
  subresource?: string;
  /** Whether a dry run is reported like the real thing. */
  hidesDryRun?: boolean;
}

/**
 * Applies a change to every object that the targets stand for; each is reported in the words given. With `local` nothing is
 * asked of a server, and nothing sent.
 */
export async function changeObjects(
  invocation: Invocation,
  targets: readonly Target[],
  change: Change,
  { done, unchanged = done, isSilentWhenUnchanged = false, subresource, hidesDryRun = false }: ChangeWords,
  local?: readonly { target: Target; object: Unstructured }[],
): Promise<void> {
  const { session, flags } = invocation;
  const found = local ?? (await fetchTargets(session, flags, targets));
  if (found.length === 0 && session.failures.length === 0) session.printError("No resources found\n");
  const changeOne = async ({ target, object }: { target: Target; object: Unstructured }): Promise<void> => {
    const patch = change(object, target);
    const { resource, namespace, name } = target;
    if (!patch || isWithin(patch, object)) {
      if (!isSilentWhenUnchanged || flags.string("output"))
        await reportWritten(session, flags, resource, object, unchanged, { hidesDryRun });
      return;
    }
    if (local || dryRunOf(flags) === "client") {
      await reportWritten(session, flags, resource, merged(object, patch) as Unstructured, done, { hidesDryRun });
      return;
    }
    if (name === "") throw nameless();
    const changed = await (await session.api()).call(
      "PATCH",
      pathOf(resource, namespace, name, subresource) + writeQuery(flags),
      {
        body: patch,
        contentType: "application/merge-patch+json",
      },
    );
    await reportWritten(session, flags, resource, changed, done, { hidesDryRun });
  };
  for (const each of found) await session.attempt(() => changeOne(each));
}

/** Whether the object is already what the patch makes of it. */
function isWithin(patch: unknown, value: unknown): boolean {
  if (!isMap(patch)) return patch === null ? value === undefined : deepEqual(patch, value);
  return Object.entries(patch).every(([key, inner]) => isWithin(inner, isMap(value) ? value[key] : undefined));
}

/** A merge patch done here. */
function merged(value: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Record<string, unknown> = isMap(value) ? { ...value } : {};
  for (const [key, inner] of Object.entries(patch)) {
    if (inner === null) delete result[key];
    else result[key] = merged(result[key], inner);
  }
  return result;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `a=1 b=2 c-`, as label, annotate and set env read their arguments. */
export function parseAssignments(words: readonly string[]): { set: Map<string, string>; remove: string[] } {
  const set = new Map<string, string>();
  const remove: string[] = [];
  for (const word of words) {
    const at = word.indexOf("=");
    if (at > 0) set.set(word.slice(0, at), word.slice(at + 1));
    else if (word.endsWith("-") && word.length > 1) remove.push(word.slice(0, -1));
    else throw new CommandError(`unknown argument ${JSON.stringify(word)}`);
  }
  return { set, remove };
}

/** Where the arguments stop naming objects and begin to assign: `pod web a=1 b-`. */
export function splitAssignments(args: readonly string[]): [objects: string[], assignments: string[]] {
  const at = args.findIndex((arg, i) => i > 0 && (arg.includes("=") || arg.endsWith("-")));
  return at < 0 ? [[...args], []] : [args.slice(0, at), args.slice(at)];
}
