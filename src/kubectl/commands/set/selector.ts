/** `kubectl set selector`: which pods a Service is for. */
import type { Unstructured } from "../../api.ts";
import { changeObjects } from "../../changing.ts";
import type { Command } from "../../command.ts";
import { CommandError } from "../../command-error.ts";
import { parseLabels } from "../../generators.ts";
import { manifestFlags } from "../../manifests.ts";
import { localFlag } from "../../targets.ts";
import { reportWritten, writeFlags } from "../../writing.ts";
import { objectsToSet } from "./pod-templates.ts";

export const selector: Command = {
  summary: "Set the selector on a resource",
  usage: "(-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]",
  examples: ["set selector service web app=web,tier=front"],
  flags: [
    ...manifestFlags.filter(({ name }) => name === "filename"),
    { ...manifestFlags.find(({ name }) => name === "recursive")!, default: true },
    ...writeFlags("kubectl-set"),
    { name: "all", kind: "bool", help: "all objects of the kind" },
    localFlag,
    { name: "resource-version", kind: "string", help: "only if the object is still this version of it" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const words = [...args];
    const last = words.pop() ?? "";
    const isNamed = flags.has("filename") || words.length > 1 || words.some((word) => word.includes("/"));
    if (!isNamed && !flags.bool("all")) throw new CommandError("resource(s) were provided, but no name was specified");
    const found = await objectsToSet(invocation, words);
    const labels = labelsIn(last);
    const changeOne = async ({ target, object }: (typeof found)[number]): Promise<void> => {
      if (target.resource.kind !== "Service") {
        throw new CommandError("setting a selector is only supported for Services");
      }
      if (flags.bool("local")) {
        const spec = { ...(object["spec"] as object), selector: labels };
        await reportWritten(session, flags, target.resource, { ...object, spec }, "selector updated");
        return;
      }
      await changeObjects(
        invocation,
        [target],
        (present) => patchOf(present, labels, flags.string("resource-version")),
        {
          done: "selector updated",
        },
      );
    };
    for (const each of found) await session.attempt(() => changeOne(each));
    return 0;
  },
};

function labelsIn(text: string): Record<string, string> {
  const alone = text.split(",").find((part) => !part.includes("="));
  if (alone !== undefined)
    throw new CommandError(`match expression [{${alone} Exists []}] not supported on this object`);
  return parseLabels(text);
}

function patchOf(object: Unstructured, labels: Record<string, string>, resourceVersion: string) {
  const present = (object["spec"] as { selector?: Record<string, string> }).selector ?? {};
  const gone = Object.keys(present).filter((key) => !(key in labels));
  return {
    ...(resourceVersion ? { metadata: { resourceVersion } } : {}),
    spec: { selector: { ...labels, ...Object.fromEntries(gone.map((key) => [key, null])) } },
  };
}
