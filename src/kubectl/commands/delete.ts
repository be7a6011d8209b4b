/** `kubectl delete`, and deletion for the verbs that need it. */
import { isNotFound, StatusError } from "../../apimachinery/status-error.ts";
import { jsonLines, type Unstructured } from "../api.ts";
import { readAnswer } from "../ask.ts";
import type { Command } from "../command.ts";
import { CommandError, nameless } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { kindText, pathOf } from "../resource-catalog.ts";
import type { Session } from "../session.ts";
import { allNamespacesFlag, fetchTargets, selectorFlags, type Target, targetsOf } from "../targets.ts";
import { together, whileDoing } from "../while-doing.ts";
import { dryRunFlag, dryRunOf } from "../writing.ts";

const propagation: Readonly<Record<string, string>> = {
  background: "Background",
  foreground: "Foreground",
  orphan: "Orphan",
  true: "Background",
  false: "Orphan",
};

/** What `--cascade` says. Throws a CommandError for a word that is none of its own. */
export function propagationOf(flags: FlagValues): { propagationPolicy: string } {
  const propagationPolicy = propagation[flags.string("cascade")];
  if (propagationPolicy) return { propagationPolicy };
  throw new CommandError(
    `invalid cascade value (${flags.string("cascade")}). Must be "background", "foreground", or "orphan"`,
  );
}

export const deleteCommand: Command = {
  summary: "Delete resources by file names, stdin, resources and names, or by resources and label selector",
  usage: "([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)]) [flags]",
  examples: ["delete pod web", "delete -f web.yaml", "delete pods,services -l app=web", "delete pods --all"],
  flags: [
    ...manifestFlags,
    ...selectorFlags,
    allNamespacesFlag,
    dryRunFlag,
    { name: "all", kind: "bool", help: "everything of the kind in the namespace" },
    {
      name: "cascade",
      kind: "string",
      default: "background",
      bare: "background",
      help: "background, orphan or foreground",
    },
    { name: "grace-period", kind: "int", default: -1, help: "seconds to end in; 1 for at once" },
    { name: "now", kind: "bool", help: "as --grace-period=1" },
    { name: "force", kind: "bool", help: "do not wait for the node (with --grace-period=0)" },
    { name: "ignore-not-found", kind: "bool", help: "what is not there is no error" },
    { name: "wait", kind: "bool", default: true, help: "return when it is gone" },
    { name: "timeout", kind: "duration", default: "0s", help: "how long to wait for that; 0 for as long as it takes" },
    { name: "output", short: "o", kind: "string", help: "name: print only the name" },
    { name: "interactive", short: "i", kind: "bool", help: "ask before deleting" },
    { name: "raw", kind: "string", help: "DELETE this path" },
  ],
  async run({ session, flags, args }) {
    const api = await session.api();
    if (flags.has("raw")) {
      if (flags.bool("interactive")) throw new CommandError("--interactive can not be used with --raw");
      session.print(await api.text("DELETE", flags.string("raw")));
      return 0;
    }
    if (args.length === 0 && !namesManifests(flags)) {
      throw new CommandError(
        "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'",
        { isVerbatim: false },
      );
    }
    const targets = await targetsOf(session, flags, args);
    const isCollection = targets.some(({ name }) => name === undefined);
    if (isCollection && !flags.bool("all") && !flags.string("selector") && !flags.string("field-selector")) {
      throw new CommandError("resource(s) were provided, but no name was specified");
    }
    if (flags.bool("all") && flags.string("selector")) {
      throw new CommandError("setting 'all' parameter but found a non empty selector. ");
    }
    let gracePeriod = flags.number("grace-period");
    if (flags.bool("now")) gracePeriod = 1;
    if (flags.bool("force") && gracePeriod < 0) gracePeriod = 0;
    if (gracePeriod === 0 && !flags.bool("force")) gracePeriod = 1;
    if (flags.bool("force")) {
      session.printError(
        "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n",
      );
    }
    const options = {
      ...propagationOf(flags),
      ...(gracePeriod >= 0 ? { gracePeriodSeconds: gracePeriod } : {}),
      ...(dryRunOf(flags) === "server" ? { dryRun: ["All"] } : {}),
    };
    // As the real one, which asks what the server serves even where nothing is sent.
    if (dryRunOf(flags) === "client") await session.catalog();
    const ignoresMissing = flags.bool("ignore-not-found") || isCollection;
    const failures: unknown[] = [];
    const gone: Promise<void>[] = [];
    const named = isCollection ? (await fetchTargets(session, flags, targets)).map(({ target }) => target) : targets;
    if (named.length === 0 && session.failures.length === 0) session.print("No resources found\n");
    else if (flags.bool("interactive") && !(await isWanted(session, named))) {
      session.print("deletion is cancelled\n");
      return 0;
    }
    for (const target of named) {
      try {
        if (target.name === "") throw nameless();
        const wasThere = dryRunOf(flags) === "client" ? undefined : await requestDeletion(session, target, options);
        session.print(reportOf(target, flags.string("output"), gracePeriod === 0, dryRunOf(flags)));
        if (wasThere && flags.bool("wait") && dryRunOf(flags) === "none") {
          gone.push(untilGone(session, target, wasThere, flags.durationMs("timeout")));
        }
      } catch (error) {
        if (!(error instanceof StatusError || (error instanceof CommandError && !error.isVerbatim))) throw error;
        const { source } = target;
        const doing = source && `error when deleting ${JSON.stringify(source)}`;
        if (!(isNotFound(error) && ignoresMissing)) failures.push(doing ? whileDoing(doing, error) : error);
      }
    }
    await Promise.all(gone);
    if (failures.length > 0) throw together(failures);
    return 0;
  },
};

async function isWanted(session: Session, targets: readonly Target[]): Promise<boolean> {
  const lines = targets.map(({ resource, name }) => `${kindText(resource)}/${name}\n`).join("");
  session.print(`You are about to delete the following ${targets.length} resource(s):\n${lines}`);
  session.print("Do you want to continue? (y/N): ");
  return /^y$/i.test(await readAnswer(session));
}

function reportOf({ resource, namespace, name }: Target, output: string, isForced: boolean, dryRun: string): string {
  if (output === "name") return `${kindText(resource)}/${name}\n`;
  const suffix = dryRun === "client" ? " (dry run)" : dryRun === "server" ? " (server dry run)" : "";
  const place = resource.isNamespaced && namespace ? ` from ${namespace} namespace` : "";
  return `${kindText(resource)} "${name}" ${isForced ? "force deleted" : "deleted"}${place}${suffix}\n`;
}

/** The uid of what was asked to go. */
async function requestDeletion(session: Session, { resource, namespace, name }: Target, options: object) {
  const api = await session.api();
  const body = { kind: "DeleteOptions", apiVersion: "v1", ...options };
  const answer = await api.call<{ details?: { uid?: string }; metadata?: Unstructured["metadata"] }>(
    "DELETE",
    pathOf(resource, namespace, name),
    { body },
  );
  return answer.details?.uid ?? answer.metadata?.uid;
}

/** Deletes one object; a missing one counts as deleted. */
export async function deleteObject(
  session: Session,
  target: Target,
  options: { gracePeriodSeconds?: number; propagationPolicy?: string },
  { waits, timeoutMs }: { waits: boolean; timeoutMs: number },
): Promise<void> {
  try {
    const uid = await requestDeletion(session, target, { propagationPolicy: "Background", ...options });
    if (waits && uid) await untilGone(session, target, uid, timeoutMs);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Watches until the object with this uid is no longer there. */
async function untilGone(session: Session, target: Target, uid: string, timeoutMs: number): Promise<void> {
  const api = await session.api();
  const { resource, namespace, name } = target;
  const selection = `fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`;
  const path = pathOf(resource, namespace);
  const deadlineMs = timeoutMs > 0 ? session.terminal.clock.now() + timeoutMs : Number.POSITIVE_INFINITY;
  for (;;) {
    const { items = [], metadata } = await api.get<{
      items?: Unstructured[];
      metadata: { resourceVersion: string };
    }>(`${path}?${selection}`);
    if (!items.some((item) => item.metadata.uid === uid)) return;
    const leftMs = deadlineMs - session.terminal.clock.now();
    if (leftMs <= 0) {
      throw new CommandError(`timed out waiting for the condition on ${resource.plural}/${name}`);
    }
    const seconds = Number.isFinite(leftMs) ? `&timeoutSeconds=${Math.max(1, Math.ceil(leftMs / 1000))}` : "";
    const stream = await api.stream(
      `${path}?${selection}&watch=true&resourceVersion=${metadata.resourceVersion}${seconds}`,
    );
    for await (const { type, object } of jsonLines<{ type: string; object: Unstructured }>(stream)) {
      if (type === "DELETED" && object.metadata.uid === uid) {
        stream.destroy();
        return;
      }
      if (type === "ERROR") break;
    }
  }
}
