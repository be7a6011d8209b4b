/** `kubectl debug`: a container for looking around, in a running pod, in a copy of it, or on a node. */
import { existsSync } from "node:fs";
import { nameSuffix } from "../../base/random.ts";
import type { Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { type Container, copyOf, type DebugStyle, nodePod, profileNamed, withProfile } from "../debug-profiles.ts";
import { environmentOf } from "../generators.ts";
import { type Pod, podPath, untilPod } from "../pods.ts";
import { type ApiResource, pathOf } from "../resource-catalog.ts";
import { attachTo } from "./exec.ts";

export const debug: Command = {
  summary: "Create debugging sessions for troubleshooting workloads and nodes",
  usage: "(POD | TYPE[[.VERSION].GROUP]/NAME) [ -- COMMAND [args...] ]",
  examples: [
    "debug web -it --image=busybox",
    "debug web -it --image=busybox --copy-to=web-debug --share-processes",
    "debug node/worker-1 -it --image=busybox",
  ],
  flags: [
    { name: "arguments-only", kind: "bool", help: "what follows -- is the arguments, not the command" },
    { name: "attach", kind: "bool", help: "wait for the container and join its streams" },
    { name: "container", short: "c", kind: "string", help: "the debugging container's name" },
    { name: "copy-to", kind: "string", help: "debug a copy of the pod, of this name" },
    { name: "replace", kind: "bool", help: "with --copy-to, delete the original" },
    { name: "env", kind: "list", help: "KEY=value; may be repeated" },
    { name: "image", kind: "string", help: "the debugging container's image" },
    { name: "image-pull-policy", kind: "string", help: "Always, IfNotPresent or Never" },
    { name: "set-image", kind: "list", help: "with --copy-to, name=image for other containers" },
    { name: "profile", kind: "string", default: "general", help: "what the container may do" },
    { name: "custom", kind: "string", help: "a file with a partial container spec that is merged in" },
    { name: "quiet", short: "q", kind: "bool", help: "only the container's own output" },
    { name: "same-node", kind: "bool", help: "with --copy-to, put the copy onto the same node" },
    { name: "share-processes", kind: "bool", default: true, help: "with --copy-to, containers see each other" },
    { name: "stdin", short: "i", kind: "bool", help: "keep stdin open and attach" },
    { name: "tty", short: "t", kind: "bool", help: "with a terminal" },
    { name: "target", kind: "string", help: "whose processes an ephemeral container sees" },
    { name: "keep-labels", kind: "bool", help: "with --copy-to, keep the pod's labels" },
    { name: "keep-annotations", kind: "bool", help: "with --copy-to, keep its annotations" },
    { name: "keep-liveness", kind: "bool", help: "with --copy-to, keep its liveness probes" },
    { name: "keep-readiness", kind: "bool", help: "with --copy-to, keep its readiness probes" },
    { name: "keep-startup", kind: "bool", help: "with --copy-to, keep its startup probes" },
    { name: "keep-init-containers", kind: "bool", default: true, help: "with --copy-to, keep its init containers" },
    { name: "filename", short: "f", kind: "list", help: "accepted" },
  ],
  async run(invocation) {
    const { session, flags, args, dashAt } = invocation;
    const targets = args.slice(0, dashAt ?? args.length);
    check(invocation, targets);
    const profileName = flags.string("profile");
    const profile = profileNamed(profileName);
    if (!profile) throw new CommandError(`unknown profile: ${profileName}`);
    if (profileName === "legacy") {
      session.printError(
        `--profile=legacy is deprecated and planned to be removed in v1.39. It is recommended to specify other profile, for example "--profile=general".\n`,
      );
    }
    const command = dashAt === undefined ? [] : args.slice(dashAt);
    const api = await session.api();
    const { name: namespace } = await session.namespace();
    for (const target of targets) {
      const [word, name] = target.includes("/") ? (target.split("/") as [string, string]) : ["pods", target];
      const resource: ApiResource = await session.resource(word);
      const object = await api.get(pathOf(resource, resource.isNamespaced ? namespace : undefined, name));
      const context: Context = { invocation, profile, command, namespace };
      const [pod, container] = await (resource.kind === "Node"
        ? debugNode(context, name)
        : resource.kind === "Pod"
          ? flags.string("copy-to")
            ? debugCopy(context, object)
            : debugInPlace(context, object)
          : unsupported(resource));
      if (wantsToAttach(invocation)) return attachWhenRunning(invocation, pod, container);
    }
    return 0;
  },
};

interface Context {
  invocation: Invocation;
  profile: NonNullable<ReturnType<typeof profileNamed>>;
  command: readonly string[];
  namespace: string;
}

function check({ flags, dashAt }: Invocation, targets: readonly string[]): void {
  const [image, copyTo] = [flags.string("image"), flags.string("copy-to")];
  const images = flags.commaList("set-image");
  if (!copyTo && images.length > 0) throw new CommandError("--set-image may only be used with --copy-to.");
  if (!copyTo && !image) throw new CommandError("you must specify --image when not using --copy-to.");
  if (copyTo && !image && images.length === 0 && dashAt === undefined) {
    throw new CommandError("you must specify --image, --set-image or command arguments.");
  }
  if (flags.bool("arguments-only") && dashAt === undefined) {
    throw new CommandError("--arguments-only specified without argument list.");
  }
  const custom = flags.string("custom");
  if (custom && !existsSync(custom)) {
    throw new CommandError(
      `must pass a container spec json file for custom profile: open ${custom}: no such file or directory`,
    );
  }
  const unpaired = images.find((pair) => !/^[^=]+=./.test(pair));
  if (unpaired !== undefined) throw new CommandError(`--set-image: ${unpaired}: invalid format, use container=image`);
  if (flags.bool("tty") && !flags.bool("stdin")) {
    throw new CommandError("-i/--stdin is required for containers with -t/--tty=true");
  }
  if (targets.length === 0) throw new CommandError("NAME is required for debug.");
  if (flags.bool("replace") && !copyTo) throw new CommandError("--replace may only be used with --copy-to.");
  if (flags.bool("same-node") && !copyTo) throw new CommandError("--same-node may only be used with --copy-to.");
  if (flags.string("target") && copyTo)
    throw new CommandError("--target is incompatible with --copy-to. Use --share-processes instead.");
}

function unsupported({ group, version, kind }: ApiResource): never {
  throw new CommandError(`${JSON.stringify(`${group}/${version}, Kind=${kind}`)} not supported by debug`);
}

function wantsToAttach({ flags }: Invocation): boolean {
  return flags.has("attach") ? flags.bool("attach") : flags.bool("stdin");
}

/** A container as the flags describe it. */
async function containerFrom({ invocation, profile, command }: Context, base: Container, style: DebugStyle) {
  const { flags } = invocation;
  const env = environmentOf(flags.list("env"));
  const pullPolicy = flags.string("image-pull-policy");
  const container: Container = {
    ...base,
    ...(flags.string("image") ? { image: flags.string("image") } : {}),
    ...(pullPolicy ? { imagePullPolicy: pullPolicy } : {}),
    ...(command.length > 0
      ? flags.bool("arguments-only")
        ? { args: [...command] }
        : { command: [...command], args: undefined }
      : {}),
    ...(env.length > 0 ? { env: [...((base["env"] as object[] | undefined) ?? []), ...env] } : {}),
    ...(flags.bool("stdin") || style === "copy" ? { stdin: flags.bool("stdin") } : {}),
    ...(flags.bool("tty") || style === "copy" ? { tty: flags.bool("tty") } : {}),
    terminationMessagePolicy: "File",
  };
  const profiled = withProfile(container, profile, style);
  if (!flags.string("custom")) return profiled;
  const [{ readFileSync }, { parseYaml }, { mergePatch }] = await Promise.all([
    import("node:fs"),
    import("../../apimachinery/serializer/yaml.ts"),
    import("../../apimachinery/patch/merge.ts"),
  ]);
  const custom = parseYaml(readFileSync(flags.string("custom"), "utf8")).value;
  return mergePatch(profiled, custom) as Container;
}

/** The name that was asked for, or one that is free. */
async function nameOf({ session, flags }: Invocation, pod: Pod): Promise<string> {
  const chosen = flags.string("container");
  if (chosen) return chosen;
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const taken = new Set([...containers, ...initContainers, ...ephemeralContainers].map(({ name }) => name));
  let name: string;
  do name = `debugger-${nameSuffix(await session.terminal.random())}`;
  while (taken.has(name));
  if (!flags.bool("quiet")) session.printError(`Defaulting debug container name to ${name}.\n`);
  return name;
}

async function debugInPlace(context: Context, object: Unstructured): Promise<[Pod, string]> {
  const { invocation, namespace } = context;
  const { session, flags } = invocation;
  const pod = object as Pod;
  const target = flags.string("target");
  if (target && !flags.bool("quiet")) {
    session.print(
      `Targeting container ${JSON.stringify(target)}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.\n`,
    );
  }
  const name = await nameOf(invocation, pod);
  const container = await containerFrom(context, { name }, "ephemeral");
  const names = [...(pod.spec.ephemeralContainers ?? []).map((each) => each.name), name];
  const body = {
    spec: {
      "$setElementOrder/ephemeralContainers": names.map((each) => ({ name: each })),
      ephemeralContainers: [{ ...container, ...(target ? { targetContainerName: target } : {}) }],
    },
  };
  const api = await session.api();
  const path = podPath({ name: pod.metadata.name, namespace }, "ephemeralcontainers");
  const changed = await api.call<Pod>("PATCH", path, {
    body,
    contentType: "application/strategic-merge-patch+json",
  });
  return [changed, name];
}

async function debugCopy(context: Context, object: Unstructured): Promise<[Pod, string]> {
  const { invocation, namespace, profile } = context;
  const { session, flags } = invocation;
  const kept = {
    labels: flags.bool("keep-labels"),
    annotations: flags.bool("keep-annotations"),
    liveness: flags.bool("keep-liveness"),
    readiness: flags.bool("keep-readiness"),
    startup: flags.bool("keep-startup"),
    initContainers: flags.bool("keep-init-containers"),
  };
  const copy = copyOf(object, flags.string("copy-to"), profile, kept, { isOnSameNode: flags.bool("same-node") }) as Pod;
  if (flags.has("share-processes")) copy.spec["shareProcessNamespace"] = flags.bool("share-processes");
  const images = new Map(flags.commaList("set-image").map((pair) => pair.split("=") as [string, string]));
  const containers: Container[] = copy.spec.containers.map((container) => {
    const image = images.get(container.name) ?? images.get("*");
    return image ? { ...container, image } : { ...container };
  });
  const wanted = flags.string("container");
  const present = containers.find(({ name }) => name === wanted);
  let name = wanted;
  if (present) containers[containers.indexOf(present)] = await containerFrom(context, present, "copy");
  else if (flags.string("image")) {
    name = await nameOf(invocation, copy);
    containers.push(await containerFrom(context, { name }, "copy"));
  } else if (images.size === 0) throw new CommandError("you must specify image when creating new container");
  copy.spec.containers = containers as Pod["spec"]["containers"];
  const api = await session.api();
  const made = await api.call<Pod>("POST", podPath({ name: "", namespace }).replace(/\/$/, ""), { body: copy });
  if (flags.bool("replace")) await api.call("DELETE", podPath({ name: object.metadata.name, namespace }));
  return [made, name || copy.spec.containers[0]!.name];
}

async function debugNode(context: Context, node: string): Promise<[Pod, string]> {
  const { invocation, namespace, profile } = context;
  const { session, flags } = invocation;
  const container = flags.string("container") || "debugger";
  const name = `node-debugger-${node}-${nameSuffix(await session.terminal.random())}`;
  const pod = nodePod({ name, namespace }, node, await containerFrom(context, { name: container }, "node"), profile);
  if (!flags.bool("quiet")) {
    session.print(`Creating debugging pod ${name} with container ${container} on node ${node}.\n`);
  }
  const api = await session.api();
  const path = podPath({ name: "", namespace }).replace(/\/$/, "");
  return [await api.call<Pod>("POST", path, { body: pod }), container];
}

async function attachWhenRunning(invocation: Invocation, pod: Pod, container: string): Promise<number> {
  const { session } = invocation;
  const { name, namespace = "default" } = pod.metadata;
  const stateOf = ({ status }: Pod) =>
    [
      ...(status?.ephemeralContainerStatuses ?? []),
      ...(status?.containerStatuses ?? []),
      ...(status?.initContainerStatuses ?? []),
    ].find((each) => each.name === container)?.state;
  const ready = await untilPod(session, { name, namespace }, patienceMs, (each) => {
    const state = stateOf(each);
    return state?.running !== undefined || state?.terminated !== undefined;
  });
  if (stateOf(ready)?.terminated) {
    const api = await session.api();
    const query = `?container=${encodeURIComponent(container)}`;
    session.print(await api.text("GET", podPath({ name, namespace }, "log") + query, { accept: "*/*" }));
    return 0;
  }
  return attachTo(invocation, ready, container);
}

/** Images may have to come from far away. */
const patienceMs = 10 * 60_000;
