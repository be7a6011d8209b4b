/** `kubectl top`: what nodes and pods use, as the metrics API has it. */
import { quantityMilliValue, quantityValue } from "../../apimachinery/quantity.ts";
import type { Unstructured } from "../api.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import type { Flag, FlagValues } from "../flags.ts";
import { pathOf } from "../resource-catalog.ts";
import { TabWriter } from "../tab-writer.ts";
import { allNamespacesFlag, selectorFlags } from "../targets.ts";

interface Amounts {
  cpu?: string;
  memory?: string;
  swap?: string;
}

interface NodeMetrics extends Unstructured {
  usage: Amounts;
}

interface PodMetrics extends Unstructured {
  containers: { name: string; usage: Amounts }[];
}

interface Usage {
  milliCpu: number;
  bytes: number;
  swapBytes: number;
}

const metricsGroup = { group: "metrics.k8s.io", version: "v1beta1" };

const commonFlags: readonly Flag[] = [
  { name: "sort-by", kind: "string", help: "cpu or memory: the greatest first" },
  { name: "no-headers", kind: "bool", help: "no line of headings" },
  { name: "show-swap", kind: "bool", help: "what is swapped out, too" },
  { name: "use-protocol-buffers", kind: "bool", default: true, help: "accepted" },
];

const node: Command = {
  summary: "Display resource (CPU/memory) usage of nodes",
  usage: "[NAME | -l label]",
  examples: ["top node", "top node worker-1 --show-capacity"],
  flags: [
    ...commonFlags,
    selectorFlags[0]!,
    { name: "show-capacity", kind: "bool", help: "percentages of the capacity, not of what pods may use" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const [name] = nameOf(invocation, "node");
    checkSortBy(flags);
    await expectMetricsApi(invocation);
    const api = await session.api();
    const query = selectionOf(flags);
    const metrics = await read<NodeMetrics>(invocation, { ...metricsGroup, plural: "nodes" }, undefined, name, query);
    if (metrics.length === 0) throw new CommandError("metrics not available yet");
    const nodes = await (async () => {
      const path = pathOf({ group: "", version: "v1", plural: "nodes" }, undefined, name);
      if (name !== undefined) return [await api.get(path)];
      return (await api.get<{ items: Unstructured[] }>(path + query)).items;
    })();
    const showsSwap = flags.bool("show-swap");
    const field = flags.bool("show-capacity") ? "capacity" : "allocatable";
    const rows = metrics.map((each) => ({ name: each.metadata.name, usage: usageOf(each.usage) }));
    rows.sort(order(flags, ({ name: own }) => own));
    const cells = rows.map((row) => {
      const status = nodes.find(({ metadata }) => metadata.name === row.name)?.["status"] as
        | (Record<string, Amounts> & { nodeInfo?: { swap?: { capacity?: number } } })
        | undefined;
      const available = usageOf(status?.[field] ?? {});
      const swapBytes = status?.nodeInfo?.swap?.capacity ?? 0;
      return [
        row.name,
        `${row.usage.milliCpu}m`,
        percent(row.usage.milliCpu, available.milliCpu),
        mebibytes(row.usage.bytes),
        percent(row.usage.bytes, available.bytes),
        ...(showsSwap
          ? [mebibytes(row.usage.swapBytes), swapBytes > 0 ? percent(row.usage.swapBytes, swapBytes) : "0%"]
          : []),
      ];
    });
    if (args.length === 0) {
      const silent = nodes.filter(({ metadata }) => !rows.some((row) => row.name === metadata.name));
      for (const { metadata } of silent) {
        cells.push([metadata.name, ...Array<string>(showsSwap ? 6 : 4).fill("<unknown>")]);
      }
    }
    const swap = showsSwap ? ["SWAP(bytes)", "SWAP(%)"] : [];
    print(invocation, ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)", ...swap], cells);
    return 0;
  },
};

/** Metrics come about two minutes after a pod. */
const metricsDelayMs = 120_000;

/** Rejects with a CommandError where there are pods that should have metrics, or will have some. */
async function explainAbsence(
  { session, flags }: Invocation,
  namespace: string | undefined,
  name?: string,
): Promise<void> {
  const api = await session.api();
  const query = selectionOf(flags);
  const path = pathOf({ group: "", version: "v1", plural: "pods" }, namespace, name);
  const answer = await api.get<Unstructured>(name ? path : path + query);
  const pods = name ? [answer] : ((answer["items"] ?? []) as Unstructured[]);
  if (pods.length === 0) return;
  for (const { metadata } of pods) {
    const ageMs = session.terminal.clock.now() - Date.parse(String(metadata.creationTimestamp));
    if (ageMs <= metricsDelayMs) continue;
    const { hours, minutes, seconds } = clockParts(ageMs);
    throw new CommandError(
      `Metrics not available for pod ${metadata.namespace}/${metadata.name}, age: ${hours}${minutes}${seconds}`,
    );
  }
  throw new CommandError("metrics not available yet");
}

/** As Go writes a duration: `1h4m52.5s`. */
function clockParts(ms: number) {
  const minutes = Math.floor(ms / 60_000);
  return {
    hours: minutes >= 60 ? `${Math.floor(minutes / 60)}h` : "",
    minutes: minutes > 0 ? `${minutes % 60}m` : "",
    seconds: `${(ms % 60_000) / 1000}s`,
  };
}

const pod: Command = {
  summary: "Display resource (CPU/memory) usage of pods",
  usage: "[NAME | -l label]",
  examples: ["top pod", "top pod -A --sort-by=memory", "top pod web --containers"],
  flags: [
    ...commonFlags,
    ...selectorFlags,
    allNamespacesFlag,
    { name: "containers", kind: "bool", help: "a line a container" },
    { name: "sum", kind: "bool", help: "the sum of all lines" },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const [name] = nameOf(invocation, "pod");
    checkSortBy(flags);
    await expectMetricsApi(invocation);
    const everywhere = flags.bool("all-namespaces");
    const { name: chosen } = await session.namespace();
    const namespace = everywhere ? undefined : chosen;
    const resource = { ...metricsGroup, plural: "pods" };
    const pods = await read<PodMetrics>(invocation, resource, namespace, name, selectionOf(flags));
    if (pods.length === 0) {
      await explainAbsence(invocation, namespace, name);
      session.printError(everywhere ? "No resources found\n" : `No resources found in ${chosen} namespace.\n`);
      return 0;
    }
    const measured = pods.map((each) => ({
      ...each,
      usage: sumOf(each.containers.map(({ usage }) => usageOf(usage))),
    }));
    measured.sort(order(flags, ({ metadata }) => `${everywhere ? `${metadata.namespace}/` : ""}${metadata.name}`));
    const place = ({ metadata }: PodMetrics) => (everywhere ? [metadata.namespace ?? ""] : []);
    const byContainer = flags.bool("containers");
    const headings = [
      ...(everywhere ? ["NAMESPACE"] : []),
      ...(byContainer ? ["POD"] : []),
      "NAME",
      "CPU(cores)",
      "MEMORY(bytes)",
      ...(flags.bool("show-swap") ? ["SWAP(bytes)"] : []),
    ];
    const cellsOf = ({ milliCpu, bytes, swapBytes }: Usage): string[] => [
      `${milliCpu}m`,
      mebibytes(bytes),
      ...(flags.bool("show-swap") ? [mebibytes(swapBytes)] : []),
    ];
    const rows = measured.flatMap((each) => {
      if (!byContainer) return [[...place(each), each.metadata.name, ...cellsOf(each.usage)]];
      const containers = each.containers.map((container) => ({
        name: container.name,
        usage: usageOf(container.usage),
      }));
      containers.sort(order(flags, (container) => container.name));
      return containers.map(({ name: own, usage }) => [...place(each), each.metadata.name, own, ...cellsOf(usage)]);
    });
    if (flags.bool("sum")) {
      // Upstream counts its columns from the headings that it has printed.
      const before = Array<string>((flags.bool("no-headers") ? 3 : headings.length) - 2).fill("");
      rows.push([...before, "________", "________"]);
      rows.push([...before, ...cellsOf(sumOf(measured.map(({ usage }) => usage)))]);
    }
    print(invocation, headings, rows);
    return 0;
  },
};

export const top: CommandGroup = {
  summary: "Display resource (CPU/memory) usage",
  subcommands: { node, nodes: node, no: node, pod, pods: pod, po: pod },
};

function nameOf({ flags, args }: Invocation, kind: string): readonly string[] {
  if (args.length > 1) throw usageError(`top ${kind}`, `unexpected arguments: ${args.slice(1).join(" ")}`);
  if (args.length > 0 && flags.string("selector")) {
    throw new CommandError("only one of NAME or selector can be provided");
  }
  return args;
}

function checkSortBy(flags: FlagValues): void {
  if (!["", "cpu", "memory"].includes(flags.string("sort-by"))) {
    throw new CommandError("--sort-by accepts only cpu or memory");
  }
}

async function expectMetricsApi({ session }: Invocation): Promise<void> {
  const { resources } = await session.freshCatalog();
  if (!resources.some(({ group }) => group === metricsGroup.group)) throw new CommandError("Metrics API not available");
}

async function read<T extends Unstructured>(
  { session }: Invocation,
  resource: typeof metricsGroup & { plural: string },
  namespace: string | undefined,
  name: string | undefined,
  query: string,
): Promise<T[]> {
  const api = await session.api();
  if (name !== undefined) return [await api.get<T>(pathOf(resource, namespace, name))];
  return (await api.get<{ items?: T[] }>(pathOf(resource, namespace) + query)).items ?? [];
}

function selectionOf(flags: FlagValues): string {
  const query = new URLSearchParams();
  if (flags.string("selector")) query.set("labelSelector", flags.string("selector"));
  if (flags.knows("field-selector") && flags.string("field-selector")) {
    query.set("fieldSelector", flags.string("field-selector"));
  }
  return query.size > 0 ? `?${query}` : "";
}

function usageOf({ cpu = "0", memory = "0", swap = "0" }: Amounts): Usage {
  return { milliCpu: quantityMilliValue(cpu), bytes: quantityValue(memory), swapBytes: quantityValue(swap) };
}

function sumOf(usages: readonly Usage[]): Usage {
  return {
    milliCpu: usages.reduce((sum, { milliCpu }) => sum + milliCpu, 0),
    bytes: usages.reduce((sum, { bytes }) => sum + bytes, 0),
    swapBytes: usages.reduce((sum, { swapBytes }) => sum + swapBytes, 0),
  };
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / (1024 * 1024))}Mi`;

const percent = (used: number, available: number): string =>
  available > 0 ? `${Math.floor((used * 100) / available)}%` : "<unknown>";

/** By name, or the greatest use first. */
function order<T extends { usage: Usage }>(flags: FlagValues, key: (row: T) => string): (a: T, b: T) => number {
  switch (flags.string("sort-by")) {
    case "cpu":
      return (a, b) => b.usage.milliCpu - a.usage.milliCpu;
    case "memory":
      return (a, b) => b.usage.bytes - a.usage.bytes;
    default:
      return (a, b) => (key(a) < key(b) ? -1 : 1);
  }
}

/** Upstream ends every cell with a tab, the last one too. */
function print({ session, flags }: Invocation, headings: string[], rows: string[][]): void {
  const lines = [...(flags.bool("no-headers") ? [] : [headings]), ...rows];
  session.print(new TabWriter().format(lines.map((line) => [...line, ""])));
}
