/** `kubectl logs` */
import { finished } from "node:stream/promises";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";
import { assertContainer, containerNames, containerOf, type Pod, podFor, podPath, podsFor } from "../pods.ts";
import { pathOf } from "../resource-catalog.ts";

export const logs: Command = {
  summary: "Print the logs for a container in a pod",
  usage: "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]",
  examples: ["logs web", "logs -f deployment/web", "logs -p web -c nginx", "logs -l app=web --prefix"],
  flags: [
    { name: "follow", short: "f", kind: "bool", help: "go on as it grows" },
    { name: "previous", short: "p", kind: "bool", help: "of the run before this one" },
    { name: "container", short: "c", kind: "string", help: "which container" },
    { name: "all-containers", kind: "bool", help: "of every container" },
    { name: "all-pods", kind: "bool", help: "of every pod behind what is named" },
    { name: "timestamps", kind: "bool", help: "each line with its time" },
    { name: "tail", kind: "int", default: -1, help: "only the last lines" },
    { name: "since", kind: "duration", default: "0s", help: "only lines younger than this" },
    { name: "since-time", kind: "string", help: "only lines after this time (RFC 3339)" },
    { name: "limit-bytes", kind: "int", default: 0, help: "at most so much" },
    { name: "prefix", kind: "bool", help: "each line with its pod and container" },
    { name: "selector", short: "l", kind: "string", help: "of the pods with these labels" },
    { name: "max-log-requests", kind: "int", default: 5, help: "with -f, at most so many at a time" },
    { name: "ignore-errors", kind: "bool", help: "go on when one cannot be read" },
    { name: "pod-running-timeout", kind: "duration", default: "20s", help: "accepted" },
    { name: "insecure-skip-tls-verify-backend", kind: "bool", help: "accepted" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const hasSelector = flags.string("selector") !== "";
    if (args.length === 0 && !hasSelector) {
      throw new CommandError(
        "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples",
      );
    }
    checkLines(flags);
    if (hasSelector && args.length > 0) throw usageError("logs", "only a selector (-l) or a POD name is allowed");
    if (args.length > 2) {
      throw usageError(
        "logs",
        "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command",
      );
    }
    const found = await podsOf(invocation, hasSelector).catch(async (error: unknown) => {
      if (!isNotFound(error)) throw error;
      const { name: namespace } = await session.namespace();
      throw new CommandError(
        `error from server (NotFound): ${(error as Error).message} in namespace ${JSON.stringify(namespace)}`,
      );
    });
    const sources = found.flatMap((pod) => containersOf(invocation, pod).map((container) => ({ pod, container })));
    if (sources.length === 0) {
      session.printError(`No resources found in ${(await session.namespace()).name} namespace.\n`);
      return 0;
    }
    const most = flags.number("max-log-requests");
    if (flags.bool("follow") && sources.length > most) {
      throw new CommandError(
        `you are attempting to follow ${sources.length} log streams, but maximum allowed concurrency is ${most}, use --max-log-requests to increase the limit`,
      );
    }
    const prints = sources.map(
      ({ pod, container }) =>
        () =>
          printLog(invocation, pod, container, hasSelector),
    );
    if (flags.bool("follow")) await Promise.all(prints.map((print) => print()));
    else for (const print of prints) await print();
    return 0;
  },
};

function checkLines(flags: FlagValues): void {
  const time = flags.string("since-time");
  if (time && Number.isNaN(Date.parse(time))) {
    throw new CommandError(
      `parsing time ${JSON.stringify(time)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(time)} as "2006"`,
    );
  }
  if (flags.has("limit-bytes") && flags.number("limit-bytes") < 0) {
    throw new CommandError("--limit-bytes must be greater than 0");
  }
  if (flags.number("tail") < -1) throw new CommandError("--tail must be greater than or equal to -1");
}

async function podsOf({ session, flags, args }: Invocation, hasSelector: boolean): Promise<Pod[]> {
  if (hasSelector) {
    const { name: namespace } = await session.namespace();
    const api = await session.api();
    const path = pathOf({ group: "", version: "v1", plural: "pods" }, namespace);
    return (await api.get<{ items: Pod[] }>(`${path}?labelSelector=${encodeURIComponent(flags.string("selector"))}`))
      .items;
  }
  const argument = args[0]!;
  const doing = "get the logs from";
  if (flags.bool("all-pods")) return podsFor(session, argument, doing);
  if (!argument.includes("/")) return [await podFor(session, argument)];
  const all = await podsFor(session, argument, doing);
  const [pod] = [await podFor(session, argument)];
  if (all.length > 1) session.printError(`Found ${all.length} pods, using pod/${pod!.metadata.name}\n`);
  return [pod!];
}

function containersOf({ session, flags, args }: Invocation, pod: Pod): string[] {
  if (flags.bool("all-containers")) return containerNames(pod);
  const container = containerOf(session, pod, flags.string("container") || args[1] || "");
  assertContainer(pod, container);
  return [container];
}

async function printLog(
  { session, flags }: Invocation,
  pod: Pod,
  container: string,
  hasSelector: boolean,
): Promise<void> {
  const api = await session.api();
  const query = new URLSearchParams({ container });
  if (flags.bool("follow")) query.set("follow", "true");
  if (flags.bool("previous")) query.set("previous", "true");
  if (flags.bool("timestamps")) query.set("timestamps", "true");
  const tail = flags.has("tail") ? flags.number("tail") : hasSelector ? 10 : -1;
  if (tail >= 0) query.set("tailLines", String(tail));
  if (flags.durationMs("since") > 0) query.set("sinceSeconds", String(Math.ceil(flags.durationMs("since") / 1000)));
  if (flags.string("since-time")) query.set("sinceTime", flags.string("since-time"));
  if (flags.number("limit-bytes") > 0) query.set("limitBytes", String(flags.number("limit-bytes")));
  const { name, namespace } = pod.metadata;
  try {
    const stream = await api.stream(`${podPath({ name, ...(namespace ? { namespace } : {}) }, "log")}?${query}`, "*/*");
    const prefix = flags.bool("prefix") ? `[pod/${name}/${container}] ` : "";
    let isLineStart = true;
    stream.on("data", (chunk: Buffer) => {
      if (!prefix) return void session.terminal.stdout.write(chunk);
      const text = chunk.toString();
      session.print((isLineStart ? prefix : "") + text.replace(/\n(?=.)/gs, `\n${prefix}`));
      isLineStart = text.endsWith("\n");
    });
    await finished(stream);
  } catch (error) {
    if (!flags.bool("ignore-errors")) throw error;
    session.printError(`error: ${(error as Error).message}\n`);
  }
}
