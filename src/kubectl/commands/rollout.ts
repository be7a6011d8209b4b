/** `kubectl rollout`: status, history, undo, pause, resume, restart. */
import { jsonLines, type Unstructured } from "../api.ts";
import { changeObjects } from "../changing.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { Flag } from "../flags.ts";
import { lastAppliedAnnotation } from "../last-applied.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { kindText, pathOf } from "../resource-catalog.ts";
import { rolloutStatus } from "../rollout-status.ts";
import { TabWriter } from "../tab-writer.ts";
import { fetchTargets, selectorFlags, type Target, targetPath, targetsOf } from "../targets.ts";
import { dryRunOf, writeFlags } from "../writing.ts";

const objectFlags: readonly Flag[] = [...manifestFlags, selectorFlags[0]!];
const revisionAnnotation = "deployment.kubernetes.io/revision";
const causeAnnotation = "kubernetes.io/change-cause";

const status: Command = {
  summary: "Show the status of the rollout",
  usage: "(TYPE NAME | TYPE/NAME) [flags]",
  examples: ["rollout status deployment/web"],
  flags: [
    ...objectFlags,
    { name: "watch", short: "w", kind: "bool", default: true, help: "until it is done" },
    { name: "timeout", kind: "duration", default: "0s", help: "how long to wait; 0 for as long as it takes" },
    { name: "revision", kind: "int", default: 0, help: "only this revision" },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const targets = await fetchTargets(session, flags, await rolloutTargets(invocation));
    for (const { target } of targets) {
      const { kind } = target.resource;
      if (!["Deployment", "DaemonSet", "StatefulSet"].includes(kind)) {
        throw new CommandError(`no status viewer has been implemented for ${kind}`);
      }
      await followRollout(invocation, target);
    }
    return 0;
  },
};

async function followRollout({ session, flags }: Invocation, { resource, namespace, name }: Target): Promise<void> {
  const api = await session.api();
  const { clock } = session.terminal;
  const timeoutMs = flags.durationMs("timeout");
  const deadlineMs = timeoutMs > 0 ? clock.now() + timeoutMs : Number.POSITIVE_INFINITY;
  let last = "";
  const show = (object: Unstructured): boolean => {
    const { text, isDone } = rolloutStatus(resource.kind, object, flags.number("revision"));
    if (text !== last) session.print(text);
    last = text;
    return isDone || !flags.bool("watch");
  };
  const selection: Target = { resource, namespace, name: undefined };
  const query = { fieldSelector: `metadata.name=${name}` };
  for (;;) {
    const list = await api.get<{ items: Unstructured[]; metadata: { resourceVersion: string } }>(
      targetPath(selection, undefined, query),
    );
    const [object] = list.items;
    if (!object) throw new CommandError("object has been deleted");
    if (show(object)) return;
    const leftMs = deadlineMs - clock.now();
    if (leftMs <= 0) throw new CommandError("timed out waiting for the condition");
    const stream = await api.stream(
      targetPath(selection, undefined, {
        ...query,
        watch: "true",
        resourceVersion: list.metadata.resourceVersion,
        ...(Number.isFinite(leftMs) ? { timeoutSeconds: String(Math.max(1, Math.ceil(leftMs / 1000))) } : {}),
      }),
    );
    for await (const { type, object: changed } of jsonLines<{ type: string; object: Unstructured }>(stream)) {
      if (type === "DELETED") throw new CommandError("object has been deleted");
      if (type === "ERROR") break;
      if (show(changed)) return void stream.destroy();
    }
  }
}

/** Throws a CommandError in kubectl's words for a kind without revisions. */
function checkRevised({ resource: { kind, group } }: Target, what: string): void {
  if (["Deployment", "DaemonSet", "StatefulSet"].includes(kind)) return;
  const shown = JSON.stringify(kind);
  throw new CommandError(`error retrieving ${what} for ${shown}, no visitor method exists for {${group} ${kind}}`);
}

/** One revision that an object had: a ReplicaSet, or a ControllerRevision. */
interface Revision {
  number: number;
  cause: string;
  object: Unstructured;
}

async function revisionsOf(
  { session }: Invocation,
  { resource, namespace }: Target,
  owner: Unstructured,
): Promise<Revision[]> {
  const api = await session.api();
  const isDeployment = resource.kind === "Deployment";
  const plural = isDeployment ? "replicasets" : "controllerrevisions";
  const { items } = await api.get<{ items: Unstructured[] }>(
    pathOf({ group: "apps", version: "v1", plural }, namespace),
  );
  return items
    .filter(({ metadata }) =>
      metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === owner.metadata.uid),
    )
    .map((object) => ({
      number: isDeployment
        ? Number(object.metadata.annotations?.[revisionAnnotation] ?? 0)
        : Number(object["revision"]),
      cause: object.metadata.annotations?.[causeAnnotation] ?? "",
      object,
    }))
    .sort((a, b) => a.number - b.number);
}

const history: Command = {
  summary: "View rollout history",
  usage: "(TYPE NAME | TYPE/NAME) [flags]",
  examples: ["rollout history deployment/web", "rollout history deployment/web --revision=2"],
  flags: [
    ...objectFlags,
    ...outputFlags,
    { name: "revision", kind: "int", default: 0, help: "the pod template of this revision" },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const printer = await printerOf(flags, { isTyped: true });
    for (const { target, object } of await fetchTargets(session, flags, await rolloutTargets(invocation))) {
      checkRevised(target, "history");
      const revisions = await revisionsOf(invocation, target, object);
      const wanted = flags.number("revision");
      if (printer) {
        const chosen = revisions.filter(({ number }) => wanted === 0 || number === wanted);
        if (chosen.length === 0 && wanted > 0) throw new CommandError("unable to find the specified revision");
        for (const { object: each } of chosen) session.print(await printer(asRevised(object, each)));
        continue;
      }
      const head = `${kindText(target.resource)}/${object.metadata.name}`;
      if (wanted > 0) {
        const revision = revisions.find(({ number }) => number === wanted);
        if (!revision) throw new CommandError(`unable to find the specified revision`);
        const { describePodTemplate } = await import("../describe/pod-template.ts");
        session.print(
          `${head} with revision #${wanted}\n${describePodTemplate(templateOf(revision.object), revision.cause)}\n`,
        );
        continue;
      }
      const rows = revisions.map(({ number, cause }) => [String(number), cause || "<none>"]);
      session.print(
        `${head} \n${new TabWriter({ padding: 2, smallestWidth: 0 }).format([["REVISION", "CHANGE-CAUSE"], ...rows])}\n`,
      );
    }
    return 0;
  },
};

const undo: Command = {
  summary: "Undo a previous rollout",
  usage: "(TYPE NAME | TYPE/NAME) [flags]",
  examples: ["rollout undo deployment/web", "rollout undo deployment/web --to-revision=3"],
  flags: [
    ...objectFlags,
    ...writeFlags("kubectl-rollout").filter(({ name }) => name !== "field-manager"),
    { name: "to-revision", kind: "int", default: 0, help: "back to this one; 0 for the last" },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const api = await session.api();
    for (const { target, object } of await fetchTargets(session, flags, await rolloutTargets(invocation))) {
      const { resource, namespace, name } = target;
      checkRevised(target, "rollbacker");
      if (object.metadata.annotations?.[lastAppliedAnnotation]) {
        session.printError(
          `Warning: resource ${resource.plural}/${name} was previously managed with 'kubectl apply'. Rolling back will not update the ${lastAppliedAnnotation} annotation, which may cause unexpected behavior on future 'kubectl apply' operations. Consider using 'kubectl apply' with your previous configuration file instead.\n`,
        );
      }
      const revisions = await revisionsOf(invocation, target, object);
      const wanted = flags.number("to-revision");
      const current = Number(object.metadata.annotations?.[revisionAnnotation] ?? revisions.at(-1)?.number ?? 0);
      const chosen =
        wanted > 0
          ? revisions.find(({ number }) => number === wanted)
          : revisions.filter(({ number }) => number < current).at(-1);
      if (!chosen && wanted !== 0) throw new CommandError(`unable to find specified revision ${wanted} in history`);
      if (!chosen)
        throw new CommandError(`no rollout history found for ${resource.kind.toLowerCase()} ${JSON.stringify(name)}`);
      if ((object["spec"] as { paused?: boolean }).paused) {
        throw new CommandError(
          `you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again`,
        );
      }
      const head = `${kindText(resource)}/${name}`;
      if (dryRunOf(flags) === "client") {
        session.print(`${head} rolled back (dry run)\n`);
        continue;
      }
      if (chosen.number === current) {
        session.print(`${head} skipped rollback (current template already matches revision ${chosen.number})\n`);
        continue;
      }
      const template = structuredClone(templateOf(chosen.object)) as { metadata?: { labels?: Record<string, string> } };
      delete template.metadata?.labels?.["pod-template-hash"];
      const body = [{ op: "replace", path: "/spec/template", value: template }];
      await api.call("PATCH", pathOf(resource, namespace, name), { body, contentType: "application/json-patch+json" });
      session.print(`${head} rolled back\n`);
    }
    return 0;
  },
};

/** A revision as an object of its own: the ReplicaSet, or the owner as it was. */
function asRevised(owner: Unstructured, revision: Unstructured): Unstructured {
  if (!revision["data"]) return { ...revision, apiVersion: "apps/v1", kind: "ReplicaSet" };
  return { ...owner, spec: { ...(owner["spec"] as object), template: templateOf(revision) } };
}

function templateOf(object: Unstructured): unknown {
  if (object.kind === "ControllerRevision" || object["data"]) {
    return (object["data"] as { spec: { template: unknown } }).spec.template;
  }
  return (object["spec"] as { template: unknown }).template;
}

function toggle(summary: string, paused: boolean): Command {
  const done = paused ? "paused" : "resumed";
  return {
    summary,
    usage: "RESOURCE",
    flags: [...objectFlags, ...writeFlags("kubectl-rollout").filter(({ name }) => name !== "dry-run")],
    async run(invocation) {
      await changeObjects(
        invocation,
        await rolloutTargets(invocation),
        (object, { resource }) => {
          if (resource.kind !== "Deployment")
            throw new CommandError(
              `${resource.plural}${resource.group ? `.${resource.group}` : ""} ${JSON.stringify(object.metadata.name)} pausing is not supported`,
            );
          const isPaused = (object["spec"] as { paused?: boolean }).paused === true;
          if (isPaused === paused)
            throw new CommandError(
              `${resource.plural}.${resource.group} ${JSON.stringify(object.metadata.name)} is ${paused ? "already" : "not"} paused`,
            );
          return { spec: { paused: paused || null } };
        },
        { done },
      );
      return 0;
    },
  };
}

const restart: Command = {
  summary: "Restart a resource",
  usage: "RESOURCE",
  examples: ["rollout restart deployment/web"],
  flags: [...objectFlags, ...writeFlags("kubectl-rollout").filter(({ name }) => name !== "dry-run")],
  async run(invocation) {
    const { session } = invocation;
    const now = new Date(session.terminal.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    await changeObjects(
      invocation,
      await rolloutTargets(invocation),
      (object, { resource }) => {
        if (!["Deployment", "DaemonSet", "StatefulSet"].includes(resource.kind)) {
          const plural = resource.group ? `${resource.plural}.${resource.group}` : resource.plural;
          throw new CommandError(`${plural} ${JSON.stringify(object.metadata.name)} restarting is not supported`);
        }
        if ((object["spec"] as { paused?: boolean }).paused) {
          throw new CommandError("can't restart paused deployment (run rollout resume first)");
        }
        return { spec: { template: { metadata: { annotations: { "kubectl.kubernetes.io/restartedAt": now } } } } };
      },
      { done: "restarted" },
    );
    return 0;
  },
};

export const rollout: CommandGroup = {
  summary: "Manage the rollout of a resource",
  subcommands: {
    history,
    pause: toggle("Mark the provided resource as paused", true),
    restart,
    resume: toggle("Resume a paused resource", false),
    status,
    undo,
  },
};

async function rolloutTargets({ session, flags, args }: Invocation): Promise<Target[]> {
  if (args.length === 0 && !namesManifests(flags)) throw new CommandError("required resource not specified");
  return targetsOf(session, flags, args);
}
