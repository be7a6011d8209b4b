/** `kubectl get`: objects as the server's tables, or as data; and as they change. */
import { StatusError } from "../../apimachinery/status-error.ts";
import { jsonLines, type Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { listOf } from "../printers/printable.ts";
import { outputFlags, type Printer, printerOf, together } from "../printers/printer.ts";
import { mergeTables, type Table, TablePrinter, tableAccept } from "../printers/table.ts";
import type { ApiResource } from "../resource-catalog.ts";
import {
  allNamespacesFlag,
  chunkSizeFlag,
  listAll,
  selectorFlags,
  type Target,
  targetPath,
  targetsOf,
} from "../targets.ts";

export const get: Command = {
  summary: "Display one or many resources",
  usage: "(TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]",
  examples: ["get pods -o wide", "get deploy,svc -l app=web", "get pod/web -o yaml", "get pods --watch"],
  flags: [
    ...manifestFlags,
    ...outputFlags,
    ...selectorFlags,
    allNamespacesFlag,
    { name: "watch", short: "w", kind: "bool", help: "show what is there, then go on with what changes" },
    { name: "watch-only", kind: "bool", help: "only what changes from now on" },
    { name: "output-watch-events", kind: "bool", help: "with --watch, say what kind of change it was" },
    { name: "no-headers", kind: "bool", help: "no line of headings" },
    { name: "show-labels", kind: "bool", help: "a column with all labels" },
    { name: "label-columns", short: "L", kind: "list", help: "a column for each of these labels" },
    { name: "show-kind", kind: "bool", help: "the kind before each name" },
    { name: "sort-by", kind: "string", help: "a JSONPath to sort by" },
    { name: "ignore-not-found", kind: "bool", help: "an object that is not there is no error" },
    chunkSizeFlag,
    { name: "raw", kind: "string", help: "print what the server answers at this path" },
    { name: "server-print", kind: "bool", default: true, help: "tables made by the server" },
    { name: "subresource", kind: "string", help: "read this subresource: status, scale" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (flags.has("raw")) {
      const api = await session.api();
      session.print(await api.text("GET", flags.string("raw"), { accept: "application/json, */*" }));
      return 0;
    }
    if (args.length === 0 && !namesManifests(flags)) {
      session.printError(
        `You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported resources.\n\n`,
      );
      throw usageError(
        "get",
        `Required resource not specified.\nUse "kubectl explain <resource>" for a detailed description of that resource (e.g. kubectl explain pods).`,
      );
    }
    const printer = await printerOf(flags, { hasColumns: true });
    if (printer && flags.bool("show-labels")) {
      throw new CommandError(`--show-labels option cannot be used with ${flags.string("output")} printer`);
    }
    const targets = await targetsOf(session, flags, args);
    if (flags.bool("watch") || flags.bool("watch-only")) return watch(invocation, targets, printer);
    return printer ? printData(invocation, targets, printer) : printTables(invocation, targets);
  },
};

/** What could not be read is reported after what could. */
class Failures {
  readonly #ignoresNotFound: boolean;
  readonly all: unknown[] = [];

  constructor(flags: FlagValues) {
    this.#ignoresNotFound = flags.bool("ignore-not-found");
  }

  async collect<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (!(this.#ignoresNotFound && error.reason === "NotFound")) this.all.push(error);
      return undefined;
    }
  }
}

async function printData({ session, flags }: Invocation, targets: readonly Target[], print: Printer): Promise<number> {
  const api = await session.api();
  const failures = new Failures(flags);
  const isOne = targets.length === 1 && targets[0]!.name !== undefined;
  const objects: Unstructured[] = [];
  for (const target of targets) {
    if (target.name === undefined) objects.push(...((await failures.collect(listAll(session, target, flags))) ?? []));
    else {
      const object = await failures.collect(api.get(withSubresource(targetPath(target), flags)));
      if (object) objects.push(object);
    }
  }
  await sortObjects(objects, flags);
  if (isOne && objects.length === 0) return report(failures);
  if (objects.length > 0 || failures.all.length === 0) {
    session.print(await print(isOne ? objects[0]! : (listOf(objects) as unknown as Unstructured)));
  }
  return report(failures);
}

function report({ all }: Failures): number {
  if (all.length === 1) throw all[0];
  if (all.length > 1) throw new AggregateError(all);
  return 0;
}

const withSubresource = (path: string, flags: FlagValues): string =>
  flags.has("subresource") ? `${path}/${flags.string("subresource")}` : path;

async function printTables(invocation: Invocation, targets: readonly Target[]): Promise<number> {
  const { session, flags } = invocation;
  const api = await session.api();
  const failures = new Failures(flags);
  const kinds = new Set(targets.map(({ resource }) => `${resource.plural}.${resource.group}`));
  const everywhere = flags.bool("all-namespaces");
  const showsKind = flags.bool("show-kind") || kinds.size > 1;
  // Objects of one kind share a table, however they were named.
  const groups = new Map<ApiResource, Target[]>();
  for (const target of targets) {
    const group = groups.get(target.resource);
    if (group) group.push(target);
    else groups.set(target.resource, [target]);
  }
  let isFirst = true;
  let count = 0;
  for (const [resource, group] of groups) {
    const tables: Table[] = [];
    for (const target of group) {
      const table = await failures.collect(readTable(api, target, flags));
      if (table) tables.push(table);
    }
    const table = mergeTables(tables);
    if (!table || table.rows.length === 0) continue;
    count += table.rows.length;
    await sortRows(table, flags);
    if (!isFirst) session.print("\n");
    isFirst = false;
    const printer = new TablePrinter(flags, {
      kind: showsKind ? resource : undefined,
      namespace: everywhere && (resource.isNamespaced || kinds.size > 1),
    });
    session.print(printer.format(table));
  }
  if (count === 0 && failures.all.length === 0 && !flags.bool("ignore-not-found")) {
    const [target] = targets;
    session.printError(`No resources found${target?.namespace ? ` in ${target.namespace} namespace.` : ""}\n`);
  }
  return report(failures);
}

async function readTable(
  api: Awaited<ReturnType<Invocation["session"]["api"]>>,
  target: Target,
  flags: FlagValues,
): Promise<Table> {
  const needsObjects = flags.has("sort-by");
  const query: Record<string, string> = needsObjects ? { includeObject: "Object" } : {};
  if (target.name !== undefined)
    return api.get<Table>(withSubresource(targetPath(target, undefined, query), flags), tableAccept);
  const limit = flags.number("chunk-size");
  let whole: Table | undefined;
  let token: string | undefined;
  do {
    const page = { ...query, ...(limit > 0 ? { limit: String(limit) } : {}), ...(token ? { continue: token } : {}) };
    const table = await api.get<Table>(targetPath(target, flags, page), tableAccept);
    whole = whole ? { ...whole, rows: [...whole.rows, ...table.rows] } : { ...table, rows: table.rows ?? [] };
    token = table.metadata?.continue;
  } while (token);
  return whole;
}

async function sortRows(table: Table, flags: FlagValues): Promise<void> {
  const order = await orderBy(flags);
  if (order) table.rows.sort((a, b) => order(a.object, b.object));
}

async function sortObjects(objects: Unstructured[], flags: FlagValues): Promise<void> {
  const order = await orderBy(flags);
  if (order) objects.sort(order);
}

async function orderBy(flags: FlagValues): Promise<((a: unknown, b: unknown) => number) | undefined> {
  if (!flags.string("sort-by")) return undefined;
  const { compareByPath } = await import("../sort-by.ts");
  return compareByPath(flags.string("sort-by"));
}

async function watch(
  invocation: Invocation,
  targets: readonly Target[],
  printer: Printer | undefined,
): Promise<number> {
  const { session, flags } = invocation;
  const [target, another] = targets;
  if (!target || (another && another.resource !== target.resource)) {
    throw new CommandError("you may only specify a single resource type");
  }
  const api = await session.api();
  const { resource, namespace, name } = target;
  const collection: Target = { resource, namespace, name: undefined };
  const selection: Record<string, string> = name === undefined ? {} : { fieldSelector: `metadata.name=${name}` };
  const showsEvents = flags.bool("output-watch-events");
  const table = printer
    ? undefined
    : new TablePrinter(flags, {
        kind: flags.bool("show-kind") ? resource : undefined,
        namespace: flags.bool("all-namespaces"),
        event: showsEvents,
      });
  const accept = table ? tableAccept : undefined;
  const first = await api.get<Table & { items?: Unstructured[] }>(
    targetPath(collection, name === undefined ? flags : undefined, selection),
    accept,
  );
  if (name !== undefined && (first.rows ?? first.items)?.length === 0) await api.get(targetPath(target));
  if (!flags.bool("watch-only")) {
    if (table) {
      await sortRows(first, flags);
      if ((first.rows ?? []).length > 0) session.print(table.format(first, { event: "ADDED" }));
    } else
      for (const item of first.items ?? []) {
        const object = { ...item, apiVersion: groupVersionText(target), kind: resource.kind };
        session.print(await printEvent(printer!, "ADDED", object, showsEvents));
      }
  }
  const query = { ...selection, watch: "true", resourceVersion: first.metadata?.resourceVersion ?? "" };
  const stream = await api.stream(targetPath(collection, name === undefined ? flags : undefined, query), accept);
  for await (const event of jsonLines<{ type: string; object: unknown }>(stream)) {
    if (event.type === "ERROR") throw StatusError.fromStatus(event.object as object);
    if (table) session.print(table.format(event.object as Table, { event: event.type }));
    else session.print(await printEvent(printer!, event.type, event.object as Unstructured, showsEvents));
  }
  return 0;
}

const groupVersionText = ({ resource }: Target): string =>
  resource.group ? `${resource.group}/${resource.version}` : resource.version;

async function printEvent(print: Printer, type: string, object: Unstructured, showsEvent: boolean): Promise<string> {
  return print(showsEvent ? ({ type, object } as unknown as Unstructured) : together([object]));
}
