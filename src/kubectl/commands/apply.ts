/** `kubectl apply`: makes the cluster what the manifests say, on the client's side or the server's. */
import { isNotFound, StatusError } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import { applyPatch, clientSideManager } from "../client-side-apply.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { lastAppliedAnnotation, withLastApplied } from "../last-applied.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { compactGoJson } from "../printers/printable.ts";
import { type ApiResource, pathOf } from "../resource-catalog.ts";
import type { Session } from "../session.ts";
import { selectorFlags, type Target, targetsOf } from "../targets.ts";
import { together, whileDoing } from "../while-doing.ts";
import { dryRunOf, reportWritten, validateFlag, writeFlags, writeQuery } from "../writing.ts";
import { editLastApplied, setLastApplied, viewLastApplied } from "./apply-last-applied.ts";
import { checkPrune, prune, prunedResources } from "./apply-prune.ts";
import { applySetFlags, applySetOf, beginApplySet, pruneApplySet } from "./apply-set.ts";
import { deleteObject, propagationOf } from "./delete.ts";

const serverSideManager = "kubectl";
/** Writers between our read and our patch are met by reading again. */
const mostTries = 5;

const applyCommand: Command = {
  summary: "Apply a configuration to a resource by file name or stdin",
  usage: "(-f FILENAME | -k DIRECTORY) [flags]",
  examples: [
    "apply -f web.yaml",
    "apply -f manifests/ --server-side",
    "apply -f - < web.yaml",
    "apply -k overlays/production",
    "apply -f manifests/ --prune -l app=web",
  ],
  flags: [
    ...manifestFlags,
    ...writeFlags(""),
    selectorFlags[0]!,
    validateFlag,
    ...applySetFlags,
    { name: "subresource", kind: "string", help: "with --server-side, apply to this subresource, such as status" },
    { name: "server-side", kind: "bool", help: "let the server merge" },
    { name: "force-conflicts", kind: "bool", help: "with --server-side, take over fields of other managers" },
    { name: "force", kind: "bool", help: "delete and create anew what cannot be changed in place" },
    { name: "overwrite", kind: "bool", default: true, help: "accepted" },
    { name: "openapi-patch", kind: "bool", default: true, help: "accepted" },
    {
      name: "prune",
      kind: "bool",
      help: "delete what was applied before and is in no manifest now (with -l or --all)",
    },
    { name: "all", kind: "bool", help: "with --prune, everything that was applied" },
    { name: "prune-allowlist", kind: "list", help: "with --prune, only these kinds: group/version/Kind" },
    { name: "wait", kind: "bool", help: "with --prune or --force, wait until what is deleted is gone" },
    { name: "grace-period", kind: "int", default: -1, help: "with --prune or --force, seconds to end in" },
    { name: "timeout", kind: "duration", default: "0s", help: "how long to wait" },
    {
      name: "cascade",
      kind: "string",
      default: "background",
      bare: "background",
      help: "background, orphan or foreground",
    },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    if (invocation.args.length > 0) throw usageError("apply", `Unexpected args: [${invocation.args.join(" ")}]`);
    if (!namesManifests(flags)) throw new CommandError("must specify one of -f and -k");
    if (flags.bool("force-conflicts") && !flags.bool("server-side")) {
      throw new CommandError("--force-conflicts only works with --server-side");
    }
    if (flags.bool("server-side") && dryRunOf(flags) === "client") {
      throw new CommandError(
        "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
      );
    }
    if (flags.bool("prune") && flags.bool("force")) throw new CommandError("--force cannot be used with --prune");
    const applySet = await applySetOf(invocation);
    if (flags.bool("prune") && !applySet) checkPrune(invocation);
    const pruned =
      flags.bool("prune") && !applySet ? await prunedResources(session, flags.commaList("prune-allowlist")) : [];
    const targets = await targetsOf(session, flags, invocation.args);
    if (targets.length === 0 && session.failures.length === 0) throw new CommandError("no objects passed to apply");
    if (applySet) await beginApplySet(invocation, applySet, targets);
    const failures: unknown[] = [];
    const applied: Unstructured[] = [];
    for (const target of targets) {
      try {
        applied.push(await applyOne(invocation, target));
      } catch (error) {
        if (!(error instanceof StatusError || error instanceof CommandError)) throw error;
        failures.push(flags.bool("server-side") ? describeServerFailure(error) : error);
      }
    }
    if (failures.length > 0) throw together(failures);
    if (applySet) await pruneApplySet(invocation, applySet, targets, applied);
    else if (flags.bool("prune")) await prune(invocation, pruned, targets, applied);
    return 0;
  },
};

export const apply: CommandGroup = {
  summary: applyCommand.summary,
  command: applyCommand,
  subcommands: {
    "edit-last-applied": editLastApplied,
    "set-last-applied": setLastApplied,
    "view-last-applied": viewLastApplied,
  },
};

async function applyOne(invocation: Invocation, target: Target): Promise<Unstructured> {
  const { flags } = invocation;
  if (!target.name) {
    const generated = target.local?.metadata.generateName;
    if (generated) throw new CommandError(`from ${generated}: cannot use generate name with apply`);
    const empty = new CommandError("resource name may not be empty");
    throw flags.bool("server-side") ? empty : whileDoing(retrieving(target), empty);
  }
  return flags.bool("server-side") ? applyOnServer(invocation, target) : applyOnClient(invocation, target);
}

async function applyOnServer({ session, flags }: Invocation, target: Target): Promise<Unstructured> {
  const api = await session.api();
  const { resource, namespace, name, local } = target;
  const manager = flags.string("field-manager") || serverSideManager;
  const query = writeQuery(flags, { fieldManager: manager, force: String(flags.bool("force-conflicts")) });
  const object = await api.call(
    "PATCH",
    pathOf(resource, namespace, name, flags.string("subresource") || undefined) + query,
    {
      body: local,
      contentType: "application/apply-patch+yaml",
    },
  );
  await reportWritten(session, flags, resource, object, "serverside-applied");
  return object;
}

async function applyOnClient(invocation: Invocation, target: Target): Promise<Unstructured> {
  const { session, flags } = invocation;
  const api = await session.api();
  const { resource, namespace, name } = target;
  const modified = withLastApplied(target.local!);
  const query = writeQuery(flags, { fieldManager: flags.string("field-manager") || clientSideManager });
  const path = pathOf(resource, namespace, name);
  for (let attempt = 1; ; attempt++) {
    let current: Unstructured;
    try {
      current = await api.get(path);
    } catch (error) {
      if (!isNotFound(error)) throw whileDoing(retrieving(target), error);
      const creating = `error when creating ${JSON.stringify(target.source)}`;
      const made =
        dryRunOf(flags) === "client"
          ? modified
          : await api
              .call<Unstructured>("POST", pathOf(resource, namespace) + query, { body: modified })
              .catch((failure: unknown) => {
                throw whileDoing(creating, failure);
              });
      await reportWritten(session, flags, resource, made, "created");
      return made;
    }
    warnUnlessApplied(session, resource, current);
    const { patch, contentType } = applyPatch(resource, modified, current);
    if (Object.keys(patch).length === 0) {
      await reportWritten(session, flags, resource, current, "unchanged");
      return current;
    }
    if (dryRunOf(flags) === "client") {
      await reportWritten(session, flags, resource, modified, "configured");
      return current;
    }
    try {
      const object = await api.call("PATCH", path + query, { body: patch, contentType });
      await reportWritten(session, flags, resource, object, "configured");
      return object;
    } catch (error) {
      if (error instanceof StatusError && error.reason === "Conflict" && attempt < mostTries) continue;
      if (flags.bool("force") && error instanceof StatusError && ["Invalid", "Conflict"].includes(error.reason)) {
        return replaceByForce(invocation, target, modified, query);
      }
      if (error instanceof StatusError && error.reason === "Invalid") throw error;
      const place = `error when patching ${JSON.stringify(target.source)}`;
      const patching = `error when applying patch:\n${compactGoJson(patch)}\nto:\n${whereabouts(target)}for: ${JSON.stringify(target.source)}`;
      throw whileDoing(`${patching}: ${place}`, error);
    }
  }
}

function whereabouts({ resource: { group, version, plural, kind }, namespace = "", name = "" }: Target): string {
  const place = `${group}/${version}`;
  return `Resource: "${place}, Resource=${plural}", GroupVersionKind: "${place}, Kind=${kind}"\nName: "${name}", Namespace: "${namespace}"\n`;
}

const retrieving = (target: Target): string =>
  `error when retrieving current configuration of:\n${whereabouts(target)}from server for: ${JSON.stringify(target.source)}`;

async function replaceByForce(invocation: Invocation, target: Target, modified: Unstructured, query: string) {
  const { session, flags } = invocation;
  const api = await session.api();
  await deleteObject(
    session,
    target,
    { ...propagationOf(flags), gracePeriodSeconds: Math.max(0, flags.number("grace-period")) },
    { waits: true, timeoutMs: flags.durationMs("timeout") },
  );
  const made = await api.call("POST", pathOf(target.resource, target.namespace) + query, { body: modified });
  await reportWritten(session, flags, target.resource, made, "configured");
  return made;
}

function warnUnlessApplied(session: Session, resource: ApiResource, current: Unstructured): void {
  if (current.metadata.annotations?.[lastAppliedAnnotation] || current.metadata["managedFields"] === undefined) return;
  const managers = current.metadata["managedFields"] as { operation?: string; manager?: string }[];
  if (managers.some(({ operation, manager }) => operation === "Apply" && manager === serverSideManager)) return;
  const subject = `${resource.plural}/${current.metadata.name}`;
  session.printError(
    `Warning: resource ${subject} is missing the ${lastAppliedAnnotation} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\n`,
  );
}

function describeServerFailure(error: StatusError | CommandError): unknown {
  if (error instanceof CommandError) return error;
  if (error.reason === "Conflict") {
    return new CommandError(
      `${error.message}\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the \`--force-conflicts\` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts`,
    );
  }
  return error;
}
