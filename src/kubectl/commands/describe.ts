/** `kubectl describe` */
import { StatusError } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, nameless } from "../command-error.ts";
import { describerOf, withoutEvents } from "../describe/catalog.ts";
import { eventsOf, writeEvents } from "../describe/events.ts";
import { Outline } from "../describe/outline.ts";
import { manifestFlags } from "../manifests.ts";
import {
  allNamespacesFlag,
  chunkSizeFlag,
  fetchTargets,
  listAll,
  selectorFlags,
  type Target,
  targetsOf,
} from "../targets.ts";

export const describe: Command = {
  summary: "Show details of a specific resource or group of resources",
  usage: "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)",
  examples: ["describe pod web", "describe svc/web", "describe pods -l app=web"],
  flags: [
    ...manifestFlags,
    selectorFlags[0]!,
    allNamespacesFlag,
    {
      name: "show-events",
      kind: "bool",
      default: true,
      help: "end with the events about it; by default of one object, not of several",
    },
    chunkSizeFlag,
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (args.length === 0 && !flags.has("filename")) {
      throw new CommandError(
        'You must specify the type of resource to describe. Use "kubectl api-resources" for a complete list of supported resources.',
        { isVerbatim: false },
      );
    }
    const targets = await targetsOf(session, flags, args);
    session.tellBarely();
    const found: { target: Target; object: Unstructured }[] = [];
    let isPrefix = false;
    for (const target of targets) {
      const before = session.failures.length;
      if (target.name === "") session.failures.push(nameless());
      else found.push(...(await fetchTargets(session, flags, [target])));
      const [failure] = session.failures.slice(before);
      if (!(failure instanceof StatusError && failure.reason === "NotFound")) continue;
      const near = (await session.attempt(() => withPrefix(invocation, target))) ?? [];
      if (near.length === 0) continue;
      session.failures.length = before;
      found.push(...near);
      isPrefix = true;
    }
    if (found.length === 0) {
      if (session.failures.length > 0) return 1;
      const { name: namespace } = await session.namespace();
      const isEverywhere = flags.bool("all-namespaces");
      session.printError(`No resources found${isEverywhere ? "" : ` in ${namespace} namespace.`}\n`);
      return 0;
    }
    const texts: string[] = [];
    const showsEvents = flags.has("show-events") ? flags.bool("show-events") : found.length === 1 && !isPrefix;
    for (const { target, object } of found) texts.push(await describeObject(invocation, target, object, showsEvents));
    session.print(isPrefix ? texts.map((text) => `${text}\n`).join("") : texts.join("\n\n"));
    return 0;
  },
};

/** The name may be only the beginning of one. */
async function withPrefix({ session, flags }: Invocation, target: Target) {
  const all = await listAll(session, { ...target, name: undefined }, flags);
  return all
    .filter(({ metadata }) => metadata.name.startsWith(target.name!))
    .map((object) => ({ target: { ...target, name: object.metadata.name }, object }));
}

async function describeObject(
  { session }: Invocation,
  { resource }: Target,
  object: Unstructured,
  showsEvents: boolean,
): Promise<string> {
  const api = await session.api();
  const outline = new Outline();
  const nowMs = session.terminal.clock.now();
  const complete = { ...object, kind: resource.kind };
  const [, events] = await Promise.all([
    describerOf(resource.group, resource.kind)(complete, { api, nowMs, outline }),
    showsEvents && !withoutEvents.has(resource.kind) ? eventsOf(api, complete) : undefined,
  ]);
  if (events) writeEvents(outline, events, nowMs);
  return outline.toString();
}
