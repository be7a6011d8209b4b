/** `kubectl get`: objects as the server's tables, or as data; and as they change. */
import { isNotFound, StatusError } from "../../apimachinery/status-error.ts";
import { type Api, jsonLines, type Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, usageError } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";
import { JsonPathError } from "../jsonpath.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { listOf } from "../printers/printable.ts";
import { together as oneOrList, outputFlags, type Printer, printerOf } from "../printers/printer.ts";
import { asTable, mergeTables, type Table, TablePrinter, tableAccept } from "../printers/table.ts";
import { checkRawPath } from "../raw-request.ts";
import type { ApiResource } from "../resource-catalog.ts";
import {
  allNamespacesFlag,
  chunkSizeFlag,
  listAll,
  readOne,
  selectorFlags,
  type Target,
  targetPath,
  targetsOf,
  whileListing,
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
    if (flags.string("raw")) return readRaw(invocation);
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
    if (!printer) session.tellBarely();
    if (flags.has("subresource") && targets.some(({ name }) => name === undefined)) {
      throw new CommandError("subresource cannot be used when bulk resources are specified");
    }
    if (flags.bool("watch") || flags.bool("watch-only")) return watch(invocation, targets, printer);
    return printer ? printData(invocation, targets, printer) : printTables(invocation, targets);
  },
};

async function readRaw({ session, flags, args }: Invocation): Promise<number> {
  const path = flags.string("raw");
  const selects = ["watch", "watch-only"].some((name) => flags.bool(name)) || flags.string("selector") !== "";
  if (selects || args.length > 0 || namesManifests(flags)) {
    throw new CommandError("arguments may not be passed when --raw is specified");
  }
  if (flags.string("output")) throw new CommandError("--raw and --output are mutually exclusive");
  checkRawPath(path);
  const api = await session.api();
  session.print(await api.text("GET", path, { accept: "application/json, */*" }));
  return 0;
}

/** What is not there is no failure where the user says so. */
async function read<T>({ session, flags }: Invocation, work: () => Promise<T>): Promise<T | undefined> {
  return session.attempt(async () => {
    try {
      return await work();
    } catch (error) {
      if (flags.bool("ignore-not-found") && isNotFound(error)) return undefined;
      throw error;
    }
  });
}

async function printData(invocation: Invocation, targets: readonly Target[], print: Printer): Promise<number> {
  const { session, flags } = invocation;
  const api = await session.api();
  const isOne = targets.length === 1 && targets[0]!.name !== undefined;
  const objects: Unstructured[] = [];
  for (const target of targets) {
    if (target.name === undefined)
      objects.push(...((await read(invocation, () => listAll(session, target, flags))) ?? []));
    else {
      const object = await read(invocation, () => readOne(api, target, withSubresource(targetPath(target), flags)));
      if (object) objects.push(object);
    }
  }
  if (flags.string("sort-by") && objects.length > 0 && !isOne) {
    const { sortByPath } = await import("../sort-by.ts");
    sortByPath(objects, flags.string("sort-by"), (object) => object);
  }
  if (isOne && objects.length === 0) return 0;
  if (objects.length > 0 || session.failures.length === 0) {
    session.print(await print(isOne ? objects[0]! : (listOf(objects) as unknown as Unstructured)));
  }
  return 0;
}

const withSubresource = (path: string, flags: FlagValues): string =>
  flags.has("subresource") ? `${path}/${flags.string("subresource")}` : path;

interface Found {
  target: Target;
  table: Table;
}

async function printTables(invocation: Invocation, targets: readonly Target[]): Promise<number> {
  const { session, flags } = invocation;
  const api = await session.api();
  const everywhere = flags.bool("all-namespaces");
  const found: Found[] = [];
  for (const target of targets) {
    const table = await read(invocation, () => readTable(invocation, api, target));
    if (table) found.push({ target, table });
  }
  const kinds = new Set(found.map(({ target: { resource } }) => `${resource.plural}.${resource.group}`));
  await sortTables(found, flags.string("sort-by"));
  const isHeadless = flags.bool("no-headers");
  let count = 0;
  for (const { resource, tables } of together(found)) {
    const table = mergeTables(tables);
    if (!table || table.rows.length === 0) continue;
    if (count > 0 && !isHeadless) session.print("\n");
    count += table.rows.length;
    const printer = new TablePrinter(flags, {
      kind: flags.bool("show-kind") || kinds.size > 1 ? resource : undefined,
      namespace: everywhere && (resource.isNamespaced || kinds.size > 1),
    });
    session.print(printer.format(table));
  }
  if (count === 0 && session.failures.length === 0 && !flags.bool("ignore-not-found")) {
    const isInNamespace = !everywhere && found.every(({ target }) => target.resource.isNamespaced);
    const { name: namespace } = await session.namespace();
    session.printError(`No resources found${isInNamespace ? ` in ${namespace} namespace.` : ""}\n`);
  }
  return 0;
}

/** Neighbours of one kind share a table. */
function together(found: readonly Found[]): { resource: ApiResource; tables: Table[] }[] {
  const groups: { resource: ApiResource; tables: Table[] }[] = [];
  for (const { target, table } of found) {
    const last = groups.at(-1);
    if (last?.resource.plural === target.resource.plural && last.resource.group === target.resource.group)
      last.tables.push(table);
    else groups.push({ resource: target.resource, tables: [table] });
  }
  return groups;
}

/**
 * As the real one: the rows of each table, and, where there are several tables, those by what the path finds in themselves,
 * which is an error where it finds nothing. A table that cannot be sorted is not shown.
 */
async function sortTables(found: Found[], path: string): Promise<void> {
  if (!path) return;
  const { sortByPath, UnsortableError } = await import("../sort-by.ts");
  if (found.length > 1) sortByPath(found, path, ({ table }) => table);
  for (const { table } of found) {
    if (table.rows.length < 2) continue;
    try {
      sortByPath(table.rows, path, ({ object }) => object);
    } catch (error) {
      const isHidden = error instanceof JsonPathError || error instanceof CommandError;
      if (!isHidden || error instanceof UnsortableError) throw error;
      table.rows = [];
    }
  }
}

async function readTable({ session, flags }: Invocation, api: Api, target: Target): Promise<Table> {
  const nowMs = session.terminal.clock.now();
  const sorts = flags.string("sort-by") !== "";
  const query: Record<string, string> = sorts ? { includeObject: "Object" } : {};
  const accept = flags.bool("server-print") ? tableAccept : undefined;
  if (target.name !== undefined) {
    const path = withSubresource(targetPath(target, undefined, query), flags);
    return asTable(await readOne(api, target, path, accept), nowMs);
  }
  const limit = sorts ? 0 : flags.number("chunk-size");
  let whole: Table | undefined;
  let token: string | undefined;
  do {
    const page = { ...query, ...(limit > 0 ? { limit: String(limit) } : {}), ...(token ? { continue: token } : {}) };
    const part = await whileListing(target, flags, api.get<Unstructured>(targetPath(target, flags, page), accept));
    const table = asTable(part, nowMs);
    whole = whole ? { ...whole, rows: [...whole.rows, ...table.rows] } : table;
    token = table.metadata?.continue;
  } while (token);
  return whole;
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
  if (flags.string("sort-by")) {
    session.printError("warning: --watch requested, --sort-by will be ignored for watch events received\n");
  }
  if (!flags.bool("watch-only")) {
    if (table) {
      await sortTables([{ target, table: first }], flags.string("sort-by"));
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
  return print(showsEvent ? ({ type, object } as unknown as Unstructured) : oneOrList([object]));
}
