/** `kubectl run`: one pod, perhaps joined until it ends. */
import type { Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { createObject } from "../creating.ts";
import type { FlagValues } from "../flags.ts";
import { environmentOf, parseLabels } from "../generators.ts";
import { manifestFlags } from "../manifests.ts";
import { overrideFlags, withOverrides } from "../overrides.ts";
import { podPath, untilPod } from "../pods.ts";
import { dryRunOf, writeFlags } from "../writing.ts";
import { deleteObject, propagationOf } from "./delete.ts";
import { attachTo, detachKeysFlag } from "./exec.ts";

export const run: Command = {
  summary: "Create and run a particular image in a pod",
  usage: `NAME --image=image [--env="key=value"] [--port=port] [--dry-run=server|client] [--overrides=inline-json] [--command] -- [COMMAND] [args...]`,
  examples: ["run web --image=nginx --port=80", "run shell --rm -it --image=busybox -- sh"],
  flags: [
    ...writeFlags("kubectl-run"),
    { name: "image", kind: "string", help: "the image" },
    { name: "image-pull-policy", kind: "string", help: "Always, IfNotPresent or Never" },
    { name: "env", kind: "list", help: "KEY=value; may be repeated" },
    { name: "port", kind: "string", help: "the port that the container exposes" },
    { name: "expose", kind: "bool", help: "with --port, make a ClusterIP Service, too" },
    { name: "labels", short: "l", kind: "string", help: "the pod's labels; run=NAME by default" },
    { name: "annotations", kind: "list", help: "key=value; may be repeated" },
    { name: "command", kind: "bool", help: "what follows -- is the command, not its arguments" },
    { name: "restart", kind: "string", default: "Always", help: "Always, OnFailure or Never" },
    { name: "stdin", short: "i", kind: "bool", help: "keep stdin open and attach" },
    { name: "tty", short: "t", kind: "bool", help: "with a terminal" },
    { name: "attach", kind: "bool", help: "wait for it and join its streams" },
    { name: "rm", kind: "bool", help: "delete the pod when it is over" },
    detachKeysFlag,
    { name: "quiet", short: "q", kind: "bool", help: "only the container's own output" },
    { name: "leave-stdin-open", kind: "bool", help: "do not close stdin with the first client" },
    ...overrideFlags,
    { name: "privileged", kind: "bool", help: "privileged" },
    { name: "pod-running-timeout", kind: "duration", default: "1m0s", help: "how long to wait for the pod" },
    { name: "save-config", kind: "bool", help: "remember the object for a later apply" },
    { name: "wait", kind: "bool", help: "with --rm, return when the pod is gone" },
    { name: "timeout", kind: "duration", default: "0s", help: "with --rm and --wait, how long to wait for that" },
    { name: "grace-period", kind: "int", default: -1, help: "with --rm, seconds to end in" },
    { name: "force", kind: "bool", help: "with --rm, do not wait for the node" },
    {
      name: "cascade",
      kind: "string",
      default: "background",
      bare: "background",
      help: "with --rm: background, orphan or foreground",
    },
    ...manifestFlags.map((flag) => ({ ...flag, help: "accepted: the pod is made from the other flags" })),
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    const [name, ...words] = args;
    if (!flags.has("image")) throw new CommandError('required flag(s) "image" not set');
    if (!name) throw new CommandError("NAME is required for run\nSee 'kubectl run -h' for help and examples");
    if (!flags.string("image")) throw new CommandError("--image is required");
    const joins = flags.has("attach") ? flags.bool("attach") : flags.bool("stdin") || flags.bool("tty");
    if (flags.bool("rm") && !joins) throw usageError("run", "--rm should only be used for attached containers");
    if (flags.bool("tty") && !flags.bool("stdin"))
      throw new CommandError("-i/--stdin is required for containers with -t/--tty=true");
    if (!["Always", "OnFailure", "Never"].includes(flags.string("restart"))) {
      throw usageError("run", `invalid restart policy: ${flags.string("restart")}`);
    }
    checkValues(flags);
    const pod = await podOf(invocation, name, words);
    if (joins && dryRunOf(flags) !== "none")
      throw new CommandError(
        "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)\nSee 'kubectl run -h' for help and examples",
      );
    if (!joins) {
      // As the real one, which asks what the server serves even where nothing is sent.
      if (dryRunOf(flags) === "client") await invocation.session.catalog();
      await createObject(invocation, pod, { isTyped: true });
      if (flags.bool("expose"))
        await createObject(invocation, serviceOf(name, pod, flags.string("port")), { isTyped: true });
      return 0;
    }
    return createAndJoin(invocation, pod);
  },
};

/** An image's name may have a registry, a path in small letters, a tag and a digest. */
const imageName =
  /^(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[A-Za-z][\w.+-]*:[0-9a-fA-F]{32,})?$/;

/** Throws a CommandError in kubectl's words for a value that does not fit its flag. */
function checkValues(flags: FlagValues): void {
  const [image, port] = [flags.string("image"), flags.string("port")];
  const [policy, isExposed] = [flags.string("image-pull-policy"), flags.bool("expose")];
  if (!imageName.test(image)) {
    throw new CommandError(`Invalid image name ${JSON.stringify(image)}: invalid reference format`);
  }
  if (isExposed && !port) throw usageError("run", "--port must be set when exposing a service");
  if (policy && !["Always", "IfNotPresent", "Never"].includes(policy)) {
    throw usageError("run", `invalid image pull policy: ${policy}`);
  }
  if (port && !/^[-+]?\d+$/.test(port)) {
    throw new CommandError(`strconv.Atoi: parsing ${JSON.stringify(port)}: invalid syntax`);
  }
}

async function createAndJoin(invocation: Parameters<Command["run"]>[0], pod: Unstructured): Promise<number> {
  const { session, flags } = invocation;
  const api = await session.api();
  const { name: namespace } = await session.namespace();
  const { name } = pod.metadata;
  await api.call("POST", podPath({ name, namespace }).replace(/\/[^/]+$/, ""), { body: pod });
  try {
    const present = await untilPod(
      session,
      { name, namespace },
      flags.durationMs("pod-running-timeout"),
      ({ status }) => ["Running", "Succeeded", "Failed"].includes(status?.phase ?? ""),
    );
    const container = present.spec.containers[0]!.name;
    if (present.status?.phase !== "Running") {
      session.print(
        await api.text("GET", `${podPath({ name, namespace }, "log")}?container=${container}`, { accept: "*/*" }),
      );
    } else {
      try {
        await attachTo(invocation, present, container);
      } catch (error) {
        session.printError(
          `warning: couldn't attach to pod/${name}, falling back to streaming logs: ${(error as Error).message}\n`,
        );
        session.print(
          await api.text("GET", `${podPath({ name, namespace }, "log")}?container=${container}`, { accept: "*/*" }),
        );
      }
    }
    if (pod["spec"] && (pod["spec"] as { restartPolicy?: string }).restartPolicy !== "Never") return 0;
    const ended = await untilPod(session, { name, namespace }, flags.durationMs("pod-running-timeout"), ({ status }) =>
      ["Succeeded", "Failed"].includes(status?.phase ?? ""),
    );
    const code =
      ended.status?.containerStatuses?.find((status) => status.name === container)?.state?.terminated?.exitCode ?? 0;
    if (code !== 0)
      session.printError(
        `pod ${namespace}/${name} terminated (${ended.status?.containerStatuses?.[0]?.state?.terminated?.reason ?? "Error"})\n`,
      );
    return code;
  } finally {
    if (flags.bool("rm")) {
      const resource = await session.resource("pods");
      const seconds = flags.bool("force") ? Math.max(0, flags.number("grace-period")) : flags.number("grace-period");
      const options = { ...propagationOf(flags), ...(seconds >= 0 ? { gracePeriodSeconds: seconds } : {}) };
      const waiting = { waits: flags.bool("wait"), timeoutMs: flags.durationMs("timeout") };
      await deleteObject(session, { resource, namespace, name }, options, waiting);
      if (!flags.bool("quiet")) session.print(`pod "${name}" deleted\n`);
    }
  }
}

async function podOf(
  { flags }: Parameters<Command["run"]>[0],
  name: string,
  words: readonly string[],
): Promise<Unstructured> {
  const port = flags.string("port");
  const annotations = Object.fromEntries(flags.list("annotations").map((pair) => pair.split("=") as [string, string]));
  const env = environmentOf(flags.list("env"));
  const container = {
    image: flags.string("image"),
    name,
    ...(words.length > 0 ? { [flags.bool("command") ? "command" : "args"]: [...words] } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(flags.string("image-pull-policy") ? { imagePullPolicy: flags.string("image-pull-policy") } : {}),
    ...(port ? { ports: [{ containerPort: Number(port) }] } : {}),
    ...(flags.bool("privileged") ? { securityContext: { privileged: true } } : {}),
    resources: {},
    ...(flags.bool("stdin") ? { stdin: true, ...(flags.bool("leave-stdin-open") ? {} : { stdinOnce: true }) } : {}),
    ...(flags.bool("tty") ? { tty: true } : {}),
  };
  const pod: Unstructured = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      labels: flags.string("labels") ? parseLabels(flags.string("labels")) : { run: name },
      name,
    },
    spec: { containers: [container], dnsPolicy: "ClusterFirst", restartPolicy: flags.string("restart") },
  };
  return withOverrides(flags, pod);
}

function serviceOf(name: string, pod: Unstructured, port: string): Unstructured {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { ports: [{ port: Number(port), protocol: "TCP", targetPort: Number(port) }], selector: pod.metadata.labels },
  };
}
