/** `kubectl cluster-info`, and `cluster-info dump` for those who look for what is wrong. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Unstructured } from "../api.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { type Pod, podPath } from "../pods.ts";
import { withoutManagedFields } from "../printers/printable.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { pathOf } from "../resource-catalog.ts";

const clusterInfoCommand: Command = {
  summary: "Display cluster information",
  usage: "",
  flags: [],
  async run({ session }) {
    const api = await session.api();
    session.print(`Kubernetes control plane is running at ${api.server}\n`);
    const { items } = await api.get<{ items: Unstructured[] }>(
      `${pathOf({ group: "", version: "v1", plural: "services" }, "kube-system")}?labelSelector=${encodeURIComponent("kubernetes.io/cluster-service=true")}`,
    );
    for (const { metadata, ...service } of items) {
      const { ports } = service["spec"] as { ports?: { name?: string }[] };
      const title = metadata.labels?.["kubernetes.io/name"] ?? metadata.name;
      const port = ports?.[0]?.name ? `:${ports[0].name}` : "";
      session.print(
        `${title} is running at ${api.server}/api/v1/namespaces/kube-system/services/${metadata.name}${port}/proxy\n`,
      );
    }
    session.print("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    return 0;
  },
};

const core = (plural: string) => ({ group: "", version: "v1", plural });
const apps = (plural: string) => ({ group: "apps", version: "v1", plural });
/** What is dumped of each namespace, in this order; the names are those of the files. */
const dumped = [
  ["events", core("events")],
  ["replication-controllers", core("replicationcontrollers")],
  ["services", core("services")],
  ["daemonsets", apps("daemonsets")],
  ["deployments", apps("deployments")],
  ["replicasets", apps("replicasets")],
  ["pods", core("pods")],
] as const;

const dump: Command = {
  summary: "Dump relevant information for debugging and diagnosis",
  usage: "[flags]",
  examples: ["cluster-info dump", "cluster-info dump -A --output-directory=/tmp/state"],
  flags: [
    { name: "output-directory", kind: "string", help: "a folder for the files; - for standard output" },
    { name: "namespaces", kind: "list", help: "which namespaces; kube-system and the current one by default" },
    { name: "all-namespaces", short: "A", kind: "bool", help: "every namespace" },
    { name: "pod-running-timeout", kind: "duration", default: "20s", help: "accepted" },
    { ...outputFlags[0]!, default: "json" },
    ...outputFlags.slice(1),
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const api = await session.api();
    const folder = flags.string("output-directory");
    const write = (name: string, text: string) => {
      if (!folder || folder === "-") return session.print(text);
      const file = join(folder, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    };
    const output = flags.string("output");
    const printer = await printerOf(flags);
    const keeps = flags.bool("show-managed-fields");
    const textOf = async (list: { items?: Unstructured[] }) => {
      const items = list.items?.map((item) => (keeps ? item : withoutManagedFields(item))) ?? [];
      const shown = { ...list, items };
      return output === "json"
        ? `${JSON.stringify(shown, undefined, 4)}\n`
        : printer!(shown as unknown as Unstructured);
    };
    const extension = output === "json" || output === "yaml" ? output : "txt";
    write(`nodes.${extension}`, await textOf(await api.get(pathOf(core("nodes"), undefined))));
    for (const namespace of await namespacesOf(invocation)) {
      let pods: Pod[] = [];
      for (const [name, resource] of dumped) {
        const list = await api.get<{ items?: Pod[] }>(pathOf(resource, namespace));
        if (name === "pods") pods = list.items ?? [];
        write(join(namespace, `${name}.${extension}`), await textOf(list));
      }
      for (const pod of pods) {
        const name = pod.metadata.name;
        const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
        const logs = await Promise.all(
          containers.map((container) => logOf(invocation, namespace, name, container.name)),
        );
        write(join(namespace, name, "logs.txt"), logs.join(""));
      }
    }
    if (folder && folder !== "-") session.print(`Cluster info dumped to ${folder}\n`);
    return 0;
  },
};

async function namespacesOf({ session, flags }: Invocation): Promise<string[]> {
  if (flags.bool("all-namespaces")) {
    const { items } = await (await session.api()).get<{ items: Unstructured[] }>(pathOf(core("namespaces"), undefined));
    return items.map(({ metadata }) => metadata.name);
  }
  const chosen = flags.commaList("namespaces");
  return chosen.length > 0 ? chosen : ["kube-system", (await session.namespace()).name];
}

async function logOf({ session }: Invocation, namespace: string, pod: string, container: string): Promise<string> {
  const api = await session.api();
  const mark = (word: string) => `==== ${word} logs for container ${container} of pod ${namespace}/${pod} ====\n`;
  const path = `${podPath({ name: pod, namespace }, "log")}?container=${encodeURIComponent(container)}`;
  const text = await api
    .text("GET", path, { accept: "*/*" })
    .catch((error: Error) => `Create log error: ${error.message}\n`);
  return mark("START") + text + mark("END");
}

export const clusterInfo: CommandGroup = {
  summary: clusterInfoCommand.summary,
  command: clusterInfoCommand,
  subcommands: { dump },
};
