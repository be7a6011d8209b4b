/** `kubectl set`: image, resources and serviceaccount; env, selector and subject have files of their own. */

import { parseAssignments } from "../changing.ts";
import type { Command, CommandGroup } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { resourceList } from "../generators.ts";
import { env } from "./set/env.ts";
import {
  changeTemplates,
  containersFlag,
  matcher,
  objectsToSet,
  setFlags,
  splitArguments,
} from "./set/pod-templates.ts";
import { selector } from "./set/selector.ts";
import { subject } from "./set/subject.ts";

const image: Command = {
  summary: "Update the image of a pod template",
  usage: "(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
  examples: ["set image deployment/web nginx=nginx:1.27", "set image deploy web *=nginx:1.27"],
  flags: setFlags("change"),
  async run(invocation) {
    const [objects, words] = splitArguments(invocation);
    const { set } = parseAssignments(words);
    const found = await objectsToSet(invocation, objects);
    if (set.size === 0) throw new CommandError("at least one image update is required");
    return changeTemplates(invocation, found, "image updated", (spec) => {
      const containers = [...(spec.initContainers ?? []), ...spec.containers];
      for (const container of containers) {
        const wanted = set.get(container.name) ?? set.get("*");
        if (wanted) container.image = wanted;
      }
      const unknown = [...set.keys()].find((name) => name !== "*" && !containers.some((each) => each.name === name));
      if (unknown !== undefined) throw new CommandError(`unable to find container named ${JSON.stringify(unknown)}`);
    });
  },
};

const resources: Command = {
  summary: "Update resource requests/limits on objects with pod templates",
  usage: "(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]",
  examples: ["set resources deployment web --limits=cpu=200m,memory=512Mi --requests=cpu=100m"],
  flags: [
    ...setFlags("change"),
    containersFlag,
    { name: "limits", kind: "string", help: "cpu=…,memory=…" },
    { name: "requests", kind: "string", help: "cpu=…,memory=…" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    const [limits, requests] = [resourceList(flags.string("limits")), resourceList(flags.string("requests"))];
    if (Object.keys({ ...limits, ...requests }).length === 0) {
      throw new CommandError("you must specify an update to requests or limits (in the form of --requests/--limits)");
    }
    const found = await objectsToSet(invocation, args);
    const pattern = flags.string("containers");
    const wanted = matcher(pattern);
    return changeTemplates(invocation, found, "resource requirements updated", (spec) => {
      const containers = spec.containers.filter(({ name }) => wanted(name));
      if (containers.length === 0) throw new CommandError(`unable to find container named ${pattern}`);
      for (const container of containers) {
        container.resources ??= {};
        if (Object.keys(limits).length > 0) container.resources.limits = { ...container.resources.limits, ...limits };
        if (Object.keys(requests).length > 0) {
          container.resources.requests = { ...container.resources.requests, ...requests };
        }
      }
    });
  },
};

const serviceaccount: Command = {
  summary: "Update the service account of a resource",
  usage: "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT",
  examples: ["set serviceaccount deployment web builder"],
  flags: setFlags("change").filter(({ name }) => name !== "selector"),
  async run(invocation) {
    const { args } = invocation;
    const account = args.at(-1);
    if (!account) throw new CommandError("serviceaccount is required");
    const found = await objectsToSet(invocation, args.slice(0, -1));
    return changeTemplates(invocation, found, "serviceaccount updated", (spec) => {
      spec.serviceAccountName = account;
    });
  },
};

export const set: CommandGroup = {
  summary: "Set specific features on objects",
  subcommands: { image, env, resources, selector, serviceaccount, sa: serviceaccount, subject },
};
