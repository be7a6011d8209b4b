/** Changing the pod template wherever a kind has it, on the server or only here (`--local`). */
import { deepEqual } from "../../../apimachinery/patch/deep-equal.ts";
import type { Unstructured } from "../../api.ts";
import { splitAssignments } from "../../changing.ts";
import type { Invocation } from "../../command.ts";
import { CommandError } from "../../command-error.ts";
import type { Flag } from "../../flags.ts";
import { manifestFlags } from "../../manifests.ts";
import { pathOf } from "../../resource-catalog.ts";
import { fetchTargets, localFlag, localTargets, selectorFlags, type Target, targetsOf } from "../../targets.ts";
import { dryRunOf, reportWritten, writeFlags, writeQuery } from "../../writing.ts";

export interface Container {
  name: string;
  image?: string;
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  resources?: { limits?: Record<string, string>; requests?: Record<string, string> };
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  serviceAccountName?: string;
}

export const setFlags = (verb: string): Flag[] => [
  ...manifestFlags,
  ...writeFlags("kubectl-set"),
  selectorFlags[0]!,
  { name: "all", kind: "bool", help: `${verb} all objects of the kind` },
  localFlag,
];

export const containersFlag: Flag = {
  name: "containers",
  short: "c",
  kind: "string",
  default: "*",
  help: "which containers",
};

export interface Found {
  target: Target;
  object: Unstructured;
}

/** What the command line names: as the server has it, or with --local as the files have it. */
export async function objectsToSet({ session, flags }: Invocation, args: readonly string[]): Promise<Found[]> {
  if (flags.bool("local") && dryRunOf(flags) === "server" && flags.has("filename")) {
    throw new CommandError("cannot specify --local and --dry-run=server - did you mean --dry-run=client?");
  }
  const selects = flags.knows("selector") && flags.string("selector") !== "";
  if (flags.bool("all") && selects) {
    throw new CommandError("cannot set --all and --selector at the same time");
  }
  if (flags.bool("local")) return localTargets(session, flags, args);
  const targets = await targetsOf(session, flags, args);
  if (targets.some(({ name }) => name === undefined) && !flags.bool("all") && !selects) {
    throw new CommandError("resource(s) were provided, but no name was specified");
  }
  return fetchTargets(session, flags, targets);
}

/** Changes the pod template of a copy. Throws a CommandError for what cannot be; what it did before counts. */
export type TemplateChange = (spec: PodSpec, object: Unstructured) => void;

export async function changeTemplates(
  invocation: Invocation,
  found: readonly Found[],
  done: string,
  change: TemplateChange,
): Promise<number> {
  const problems: string[] = [];
  for (const { target, object } of found) {
    const changed = structuredClone(object);
    const spec = podSpecOf(changed);
    if (!spec) {
      const { resource, name } = target;
      problems.push(
        `${resource.plural}/${name} the object is not a pod or does not have a pod template: *${resource.version}.${resource.kind}`,
      );
      continue;
    }
    try {
      change(spec, object);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      problems.push(error.message);
    }
    if (!deepEqual(changed, object)) await writeChanged(invocation, { target, object: changed }, done);
  }
  if (problems.length > 0) throw new AggregateError(problems.map((problem) => new CommandError(problem)));
  return 0;
}

/** Sends the object's spec as it is now, unless it is only for show, and reports it. */
async function writeChanged(invocation: Invocation, { target, object }: Found, done: string): Promise<void> {
  const { session, flags } = invocation;
  const { resource, namespace, name } = target;
  const isOnlyShown = flags.bool("local") || dryRunOf(flags) === "client";
  const body = { spec: templateOf(object) };
  const written = isOnlyShown
    ? object
    : await (await session.api()).call("PATCH", pathOf(resource, namespace, name) + writeQuery(flags), {
        body,
        contentType: "application/merge-patch+json",
      });
  await reportWritten(session, flags, resource, written, done, { isTyped: true });
}

interface WithTemplate {
  template?: { spec: PodSpec };
  jobTemplate?: { spec: { template: { spec: PodSpec } } };
}

/** Of the spec only the way to the pod's. */
function templateOf(object: Unstructured): object {
  const spec = object["spec"] as WithTemplate & object;
  if (spec.jobTemplate) return { jobTemplate: { spec: { template: { spec: spec.jobTemplate.spec.template.spec } } } };
  return spec.template ? { template: { spec: spec.template.spec } } : spec;
}

/** Undefined for a kind without a pod template. */
export function podSpecOf(object: Unstructured): PodSpec | undefined {
  const spec = object["spec"] as (PodSpec & WithTemplate) | undefined;
  const found = spec?.jobTemplate?.spec.template.spec ?? spec?.template?.spec;
  return found ?? (object.kind === "Pod" ? (spec ?? ({ containers: [] } as PodSpec)) : undefined);
}

export function splitArguments({ flags, args }: Invocation): [objects: string[], words: string[]] {
  return flags.has("filename") || flags.has("kustomize") ? [[], [...args]] : splitAssignments(args);
}

/** `*`, a name, or a pattern with `*`. */
export function matcher(pattern: string): (name: string) => boolean {
  const expression = new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
  return (name) => expression.test(name);
}
