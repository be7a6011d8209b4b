/** `kubectl exec` and `kubectl attach`. */

import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { Flag } from "../flags.ts";
import { assertContainer, containerOf, type Pod, podFor } from "../pods.ts";
import { runRemotely, streamPath } from "../remote-command.ts";

const streamFlags: readonly Flag[] = [
  { name: "stdin", short: "i", kind: "bool", help: "pass on what is typed" },
  { name: "tty", short: "t", kind: "bool", help: "with a terminal" },
  { name: "container", short: "c", kind: "string", help: "which container" },
  { name: "quiet", short: "q", kind: "bool", help: "only the command's own output" },
  { name: "pod-running-timeout", kind: "duration", default: "1m0s", help: "accepted" },
];

export const detachKeysFlag: Flag = {
  name: "detach-keys",
  kind: "string",
  default: "ctrl-p,ctrl-q",
  help: "what to type to leave the container running",
};

export const exec: Command = {
  summary: "Execute a command in a container",
  usage: "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
  examples: ["exec web -- date", "exec -it deploy/web -- sh"],
  flags: [...streamFlags, { name: "filename", short: "f", kind: "list", help: "the manifest of the pod" }],
  async run(invocation) {
    const { session, flags, args, dashAt } = invocation;
    const [target, ...rest] = args;
    if (!target || dashAt === 0) throw new CommandError("pod, type/name or --filename must be specified");
    const command = dashAt === undefined ? rest : args.slice(dashAt);
    if (command.length === 0) throw new CommandError("you must specify at least one command for the container");
    if (dashAt === undefined) {
      throw new CommandError(
        "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples",
      );
    }
    const pod = await podFor(session, target);
    const phase = pod.status?.phase;
    if (phase === "Succeeded" || phase === "Failed") {
      throw new CommandError(`cannot exec into a container in a completed pod; current phase is ${phase}`);
    }
    const container = containerOf(session, pod, flags.string("container"), flags.bool("quiet"));
    const query = new URLSearchParams({ container });
    for (const word of command) query.append("command", word);
    const code = await stream(invocation, pod, "exec", query);
    if (code !== 0) {
      if (!flags.bool("quiet")) session.printError(`command terminated with exit code ${code}\n`);
    }
    return code;
  },
};

export const attach: Command = {
  summary: "Attach to a running container",
  usage: "(POD | TYPE/NAME) -c CONTAINER [options]",
  examples: ["attach web", "attach web -c shell -it"],
  flags: [...streamFlags, detachKeysFlag],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (!args[0]) throw new CommandError("at least 1 argument is required for attach");
    const pod = await podFor(session, args[0]);
    return attachTo(invocation, pod, containerOf(session, pod, flags.string("container"), flags.bool("quiet")));
  },
};

/** Joins a container's own streams until it ends or the user leaves. */
export async function attachTo(invocation: Invocation, pod: Pod, container: string): Promise<number> {
  const { session, flags } = invocation;
  const spec = [...pod.spec.containers, ...(pod.spec.ephemeralContainers ?? [])].find(
    ({ name }) => name === container,
  ) as Pod["spec"]["containers"][number] | undefined;
  assertContainer(pod, container, "cannot attach to the container: ");
  if (flags.bool("tty") && !spec?.tty) {
    session.printError(`error: Unable to use a TTY - container ${container} did not allocate one\n`);
  }
  if (!flags.bool("quiet"))
    session.printError(
      "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt.\nIf you don't see a command prompt, try pressing enter.\n",
    );
  return stream(invocation, pod, "attach", new URLSearchParams({ container }), spec?.tty === true);
}

async function stream(
  { session, flags }: Invocation,
  pod: Pod,
  subresource: string,
  query: URLSearchParams,
  hasTerminal = true,
): Promise<number> {
  const { stdin, stdout, stderr } = session.terminal;
  const wantsInput = flags.bool("stdin");
  let isTerminal = flags.bool("tty") && hasTerminal;
  if (isTerminal && !wantsInput && subresource === "exec") isTerminal = true;
  if (flags.bool("tty") && wantsInput && !stdin.isTTY) {
    session.printError("Unable to use a TTY - input is not a terminal or the right kind of file\n");
    isTerminal = false;
  }
  const path = streamPath(pod, subresource, query, { stdin: wantsInput, isTerminal });
  return runRemotely(session, path, {
    stdin: wantsInput ? stdin : undefined,
    stdout,
    stderr,
    isTerminal,
    ...(subresource === "attach" && flags.knows("detach-keys") ? { detachKeys: flags.string("detach-keys") } : {}),
  });
}
