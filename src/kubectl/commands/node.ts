/** Verbs about nodes: cordon, uncordon, drain, taint. */

import { labelValueProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { parseLabelSelector } from "../../apimachinery/selectors.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import { sleep } from "../../base/clock.ts";
import type { Unstructured } from "../api.ts";
import { changeObjects } from "../changing.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import type { Flag } from "../flags.ts";
import { type Pod, podPath } from "../pods.ts";
import { pathOf } from "../resource-catalog.ts";
import { chunkSizeFlag, fetchTargets, selectorFlags, type Target, targetsOf } from "../targets.ts";
import { type DryRun, dryRunFlag, dryRunOf, validateFlag, writeFlags, writeQuery } from "../writing.ts";

const nodeFlags: readonly Flag[] = [
  dryRunFlag,
  { name: "selector", short: "l", kind: "string", help: "nodes with these labels" },
];
const nodes = { group: "", version: "v1", plural: "nodes" };

function cordonCommand(isCordon: boolean): Command {
  const verb = isCordon ? "cordon" : "uncordon";
  return {
    summary: `Mark node as ${isCordon ? "un" : ""}schedulable`,
    usage: "NODE",
    examples: [`${verb} worker-1`],
    flags: nodeFlags,
    async run(invocation) {
      const { session, args, flags } = invocation;
      if (args.length === 0 && !flags.string("selector")) throw usageError(verb, `USAGE: ${verb} NODE [flags]`);
      for (const { object } of await nodesOf(invocation))
        session.print(await setSchedulable(invocation, object, isCordon));
      return 0;
    },
  };
}

export const cordon = cordonCommand(true);
export const uncordon = cordonCommand(false);

async function nodesOf({ session, flags, args }: Invocation) {
  return fetchTargets(session, flags, await targetsOf(session, flags, ["nodes", ...args]));
}

async function setSchedulable({ session, flags }: Invocation, node: Unstructured, isCordon: boolean): Promise<string> {
  const { name } = node.metadata;
  const wasCordoned = (node["spec"] as { unschedulable?: boolean }).unschedulable === true;
  const done = isCordon ? "cordoned" : "uncordoned";
  const dryRun = dryRunOf(flags);
  const suffix = drySuffix(dryRun);
  if (wasCordoned === isCordon) return `node/${name} already ${done}${suffix}\n`;
  if (dryRun !== "client") {
    const api = await session.api();
    const body = { spec: { unschedulable: isCordon || null } };
    const query = dryRun === "server" ? "?dryRun=All" : "";
    await api.call("PATCH", pathOf(nodes, undefined, name) + query, {
      body,
      contentType: "application/strategic-merge-patch+json",
    });
  }
  return `node/${name} ${done}${suffix}\n`;
}

function drySuffix(dryRun: DryRun): string {
  if (dryRun === "none") return "";
  return dryRun === "client" ? " (dry run)" : " (server dry run)";
}

export const drain: Command = {
  summary: "Drain node in preparation for maintenance",
  usage: "NODE",
  examples: ["drain worker-1 --ignore-daemonsets", "drain worker-1 --force --delete-emptydir-data"],
  flags: [
    ...nodeFlags,
    { name: "ignore-daemonsets", kind: "bool", help: "leave the pods of DaemonSets" },
    { name: "delete-emptydir-data", kind: "bool", help: "go on although data in emptyDir volumes is lost" },
    { name: "force", kind: "bool", help: "delete pods that nobody would make anew, too" },
    { name: "grace-period", kind: "int", default: -1, help: "seconds for each pod to end in" },
    { name: "timeout", kind: "duration", default: "0s", help: "how long to go on; 0 for ever" },
    { name: "disable-eviction", kind: "bool", help: "delete instead of evicting" },
    { name: "pod-selector", kind: "string", help: "only pods with these labels" },
    {
      name: "skip-wait-for-delete-timeout",
      kind: "int",
      default: 0,
      help: "do not wait for pods that have been going for longer",
    },
    chunkSizeFlag,
  ],
  async run(invocation) {
    const { session, args, flags } = invocation;
    if (args.length === 0 && !flags.string("selector")) throw usageError("drain", "USAGE: drain NODE [flags]");
    checkSelector(flags.string("pod-selector"));
    for (const { object } of await nodesOf(invocation)) {
      session.print(await setSchedulable(invocation, object, true));
      await drainNode(invocation, object.metadata.name);
      session.print(`node/${object.metadata.name} drained${drySuffix(dryRunOf(flags))}\n`);
    }
    return 0;
  },
};

function checkSelector(selector: string): void {
  try {
    parseLabelSelector(selector);
  } catch {
    throw new CommandError("--pod-selector=<pod_selector> must be a valid label selector");
  }
}

async function drainNode(invocation: Invocation, node: string): Promise<void> {
  const { session, flags } = invocation;
  const api = await session.api();
  const selector = flags.string("pod-selector");
  const query = new URLSearchParams({
    fieldSelector: `spec.nodeName=${node}`,
    ...(selector ? { labelSelector: selector } : {}),
  });
  const { items } = await api.get<{ items: Pod[] }>(`${pathOf({ ...nodes, plural: "pods" }, undefined)}?${query}`);
  const { evicted, warnings, refusals } = chooseVictims(items, flags);
  if (refusals.length > 0) {
    throw new CommandError(
      `unable to drain node ${JSON.stringify(node)} due to error: ${refusals.length === 1 ? refusals[0] : `[${refusals.join(", ")}]`}, continuing command...\nThere are pending nodes to be drained:\n ${node}\n${refusals.join("\n")}`,
    );
  }
  if (warnings.length > 0) session.printError(`Warning: ${warnings.join("; ")}\n`);
  if (dryRunOf(flags) !== "none") {
    const verb = flags.bool("disable-eviction") ? "deleting" : "evicting";
    for (const { metadata } of evicted) {
      session.print(`${verb} pod ${metadata.namespace}/${metadata.name}${drySuffix(dryRunOf(flags))}\n`);
    }
    return;
  }
  const timeoutMs = flags.durationMs("timeout");
  const deadlineMs = timeoutMs > 0 ? session.terminal.clock.now() + timeoutMs : Number.POSITIVE_INFINITY;
  await Promise.all(evicted.map((pod) => evict(invocation, pod, deadlineMs)));
}

/** Pure: who must go, who stays with a warning, and what keeps the node from being drained. */
function chooseVictims(pods: readonly Pod[], flags: Invocation["flags"]) {
  const evicted: Pod[] = [];
  const warnings = new Map<string, string[]>();
  const refusals = new Map<string, string[]>();
  const note = (to: Map<string, string[]>, why: string, { metadata }: Pod) => {
    to.set(why, [...(to.get(why) ?? []), `${metadata.namespace}/${metadata.name}`]);
  };
  for (const pod of pods) {
    if (pod.metadata.annotations?.["kubernetes.io/config.mirror"]) continue;
    const isOver = ["Succeeded", "Failed"].includes(pod.status?.phase ?? "");
    const controller = pod.metadata.ownerReferences?.find((owner) => owner.controller);
    if (controller?.kind === "DaemonSet" && !isOver) {
      if (flags.bool("ignore-daemonsets")) note(warnings, "ignoring DaemonSet-managed Pods", pod);
      else note(refusals, "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)", pod);
      continue;
    }
    const hasLocalData = ((pod.spec["volumes"] as { emptyDir?: object }[] | undefined) ?? []).some(
      ({ emptyDir }) => emptyDir,
    );
    if (hasLocalData && !isOver && !flags.bool("delete-emptydir-data")) {
      note(refusals, "cannot delete Pods with local storage (use --delete-emptydir-data to override)", pod);
      continue;
    }
    if (!controller && !isOver) {
      if (!flags.bool("force")) {
        note(refusals, "cannot delete Pods that declare no controller (use --force to override)", pod);
        continue;
      }
      note(warnings, "deleting Pods that declare no controller", pod);
    }
    evicted.push(pod);
  }
  const lines = (map: Map<string, string[]>) => [...map].map(([why, names]) => `${why}: ${names.join(", ")}`);
  return { evicted, warnings: lines(warnings), refusals: lines(refusals) };
}

const evictionRetryMs = 5000;
const goneCheckMs = 1000;

async function evict({ session, flags }: Invocation, { metadata }: Pod, deadlineMs: number): Promise<void> {
  const api = await session.api();
  const { clock, signal } = session.terminal;
  const { name, namespace = "default", uid } = metadata;
  const where = { name, namespace };
  const grace = flags.number("grace-period");
  const deleteOptions = grace >= 0 ? { gracePeriodSeconds: grace } : {};
  session.print(`evicting pod ${namespace}/${name}\n`);
  for (;;) {
    try {
      if (flags.bool("disable-eviction"))
        await api.call("DELETE", podPath(where), {
          body: { kind: "DeleteOptions", apiVersion: "v1", ...deleteOptions },
        });
      else {
        const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: where, deleteOptions };
        await api.call("POST", podPath(where, "eviction"), { body });
      }
      break;
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (error.code === 404) return;
      if (error.code !== 429) throw error;
      session.printError(
        `error when evicting pods/${JSON.stringify(name)} -n ${JSON.stringify(namespace)} (will retry after 5s): ${error.message}\n`,
      );
      if (clock.now() + evictionRetryMs > deadlineMs)
        throw new CommandError("drain did not complete within the timeout");
      await sleep(clock, evictionRetryMs, signal);
      session.print(`evicting pod ${namespace}/${name}\n`);
    }
  }
  const skipMs = flags.number("skip-wait-for-delete-timeout") * 1000;
  for (;;) {
    const present = await api.get(podPath(where)).catch((error: unknown) => {
      if (!(error instanceof StatusError && error.code === 404)) throw error;
      return undefined;
    });
    if (!present || present.metadata.uid !== uid) break;
    const { deletionTimestamp } = present.metadata;
    if (skipMs > 0 && deletionTimestamp && clock.now() - Date.parse(deletionTimestamp) > skipMs) break;
    if (clock.now() > deadlineMs) throw new CommandError("drain did not complete within the timeout");
    await sleep(clock, goneCheckMs, signal);
  }
  session.print(`pod/${name} ${flags.bool("disable-eviction") ? "deleted" : "evicted"}\n`);
}

interface Taint {
  key: string;
  value?: string;
  effect: string;
}

export const taint: Command = {
  summary: "Update the taints on one or more nodes",
  usage: "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N",
  examples: [
    "taint node worker-1 dedicated=team:NoSchedule",
    "taint node worker-1 dedicated:NoSchedule-",
    "taint node worker-1 dedicated-",
  ],
  flags: [
    ...writeFlags("kubectl-taint"),
    selectorFlags[0]!,
    validateFlag,
    { name: "overwrite", kind: "bool", help: "a taint that is there may change its value" },
    { name: "all", kind: "bool", help: "all nodes" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const at = args.findIndex((arg) => arg.includes(":") || arg.includes("=") || arg.endsWith("-"));
    const [objects, words] = at < 0 ? [args, []] : [args.slice(0, at), args.slice(at)];
    if (words.length === 0) throw new CommandError("at least one taint update is required");
    writeQuery(flags);
    const changes = words.map(parseTaint);
    refuseContradictions(changes);
    const [type = "nodes"] = objects;
    if (!/^(nodes?|no)$/.test(type)) {
      throw new CommandError(`invalid resource type ${type}, only node types are supported`);
    }
    if (objects.length < 2 && !flags.bool("all") && !flags.string("selector")) {
      throw new CommandError("at least one resource name must be specified since 'all' parameter is not set");
    }
    const targets: Target[] = await targetsOf(
      session,
      flags,
      flags.bool("all") ? ["nodes"] : ["nodes", ...objects.slice(1)],
    );
    const lacking: string[] = [];
    const isRemoval = changes.every(({ removes }) => removes);
    for (const { target, object } of await fetchTargets(session, flags, targets)) {
      const present = ((object["spec"] as { taints?: Taint[] }).taints ?? []) as Taint[];
      const absent = changes.filter((change) => change.removes && !present.some((taint) => isMeant(taint, change)));
      if (absent.length > 0) {
        const problems = absent.map(({ key, effect }) => `taint "${key}${effect ? `:${effect}` : ""}" not found`);
        lacking.push(problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]`);
        continue;
      }
      const taints = await session.attempt(() =>
        changeTaints(object.metadata.name, present, changes, flags.bool("overwrite")),
      );
      if (!taints) continue;
      await changeObjects(invocation, [target], () => ({ spec: { taints: taints.length > 0 ? taints : null } }), {
        done: isRemoval ? "untainted" : changes.some(({ removes }) => removes) ? "modified" : "tainted",
        // So does kubectl: it says the same of a dry run.
        hidesDryRun: true,
      });
    }
    if (lacking.length === 1) throw new CommandError(lacking[0]!);
    for (const problem of lacking) session.printError(`${problem}\n`);
    return lacking.length > 0 ? 1 : 0;
  },
};

interface TaintChange {
  key: string;
  value: string;
  effect: string;
  removes: boolean;
}

const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

function parseTaint(text: string): TaintChange {
  const removes = text.endsWith("-");
  const [, key = "", , value = "", , effect = ""] =
    /^([^=:]+)(=([^:]*))?(:(.*))?$/.exec(removes ? text.slice(0, -1) : text) ?? [];
  if (!removes && /^[^:]*[=:]/.test(text)) {
    const [name = ""] = /^[^=:]*(?:=[^:]*$)?/.exec(text) ?? [];
    const [problem] = effect
      ? [...qualifiedNameProblems(key || name), ...labelValueProblems(value)]
      : qualifiedNameProblems(name);
    if (problem)
      throw usageError(
        "taint",
        `invalid taint spec: ${text}, ${key || effect ? problem : qualifiedNameProblems("").join("; ")}`,
      );
  }
  if (!key || (!removes && !effect)) throw usageError("taint", `invalid taint spec: ${text}`);
  if (effect && !effects.includes(effect))
    throw usageError("taint", `invalid taint effect: ${effect}, unsupported taint effect`);
  return { key, value, effect, removes };
}

/** Throws a CommandError where one command says two things of a taint. */
function refuseContradictions(changes: readonly TaintChange[]): void {
  const added = changes.filter(({ removes }) => !removes);
  const twice = added.find(({ key, effect }, i) => added.findIndex((o) => o.key === key && o.effect === effect) < i);
  if (twice) {
    const { key, value, effect } = twice;
    throw usageError("taint", `duplicated taints with the same key and effect: {${key} ${value} ${effect} <nil>}`);
  }
  const both = added.filter(({ key, effect }) =>
    changes.some((change) => change.removes && change.key === key && (!change.effect || change.effect === effect)),
  );
  if (both.length > 0) {
    const named = both.map(({ key, effect }) => `${key}=${effect}`).join(",");
    throw new CommandError(`can not both modify and remove the following taint(s) in the same command: ${named}`);
  }
}

const isMeant = (taint: Taint, { key, effect }: TaintChange): boolean =>
  taint.key === key && (effect === "" || taint.effect === effect);

function changeTaints(
  node: string,
  present: readonly Taint[],
  changes: readonly TaintChange[],
  overwrites: boolean,
): Taint[] {
  let taints = [...present];
  for (const change of changes) {
    const { key, value, effect } = change;
    const isThis = (taint: Taint) => isMeant(taint, change);
    if (change.removes) taints = taints.filter((taint) => !isThis(taint));
    else {
      if (!overwrites && taints.some(isThis)) {
        throw new CommandError(`node ${node} already has a taint(s) with same effect(s) and --overwrite is false`);
      }
      taints = [{ key, ...(value ? { value } : {}), effect }, ...taints.filter((taint) => !isThis(taint))];
    }
  }
  return taints;
}
