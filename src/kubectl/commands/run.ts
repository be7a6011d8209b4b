/** `kubectl run`: one pod, perhaps joined until it ends. */
import type { Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import { createObject } from "../creating.ts";
import { environmentOf, parseLabels } from "../generators.ts";
import { podPath, untilPod } from "../pods.ts";
import { dryRunOf, writeFlags } from "../writing.ts";
import { deleteObject } from "./delete.ts";
import { attachTo } from "./exec.ts";

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
    { name: "quiet", short: "q", kind: "bool", help: "only the container's own output" },
    { name: "leave-stdin-open", kind: "bool", help: "do not close stdin with the first client" },
    { name: "overrides", kind: "string", help: "JSON that is merged into the pod" },
    { name: "override-type", kind: "string", default: "merge", help: "merge" },
    { name: "privileged", kind: "bool", help: "privileged" },
    { name: "pod-running-timeout", kind: "duration", default: "1m0s", help: "how long to wait for the pod" },
    { name: "save-config", kind: "bool", help: "remember the object for a later apply" },
    { name: "wait", kind: "bool", default: true, help: "accepted" },
    { name: "grace-period", kind: "int", default: -1, help: "accepted" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    const [name, ...words] = args;
    if (!name) throw new CommandError("NAME is required for run\nSee 'kubectl run -h' for help and examples");
    if (!flags.string("image")) throw new CommandError("--image is required");
    const joins = flags.has("attach") ? flags.bool("attach") : flags.bool("stdin") || flags.bool("tty");
    if (flags.bool("rm") && !joins) throw usageError("run", "--rm should only be used for attached containers");
    if (flags.bool("tty") && !flags.bool("stdin"))
      throw new CommandError("-i/--stdin is required for containers with -t/--tty=true");
    if (!["Always", "OnFailure", "Never"].includes(flags.string("restart"))) {
      throw usageError("run", `invalid restart policy: ${flags.string("restart")}`);
    }
    const pod = await podOf(invocation, name, words);
    if (joins && dryRunOf(flags) !== "none")
      throw new CommandError(
        "--dry-run=server can't be used with attached containers options (--attach, --stdin, or --tty)",
      );
    if (!joins) {
      await createObject(invocation, pod, { isTyped: true });
      if (flags.bool("expose"))
        await createObject(invocation, serviceOf(name, pod, flags.string("port")), { isTyped: true });
      return 0;
    }
    return createAndJoin(invocation, pod);
  },
};

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
      const resource = (await session.catalog()).find("pods");
      await deleteObject(session, { resource, namespace, name }, {}, { waits: false, timeoutMs: 0 });
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
  if (!flags.string("overrides")) return pod;
  const { mergePatch } = await import("../../apimachinery/patch/merge.ts");
  return mergePatch(pod, JSON.parse(flags.string("overrides"))) as Unstructured;
}

function serviceOf(name: string, pod: Unstructured, port: string): Unstructured {
  if (!port) throw new CommandError("--port must be set when exposing a service");
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { ports: [{ port: Number(port), protocol: "TCP", targetPort: Number(port) }], selector: pod.metadata.labels },
  };
}
