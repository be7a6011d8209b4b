/** `kubectl events` */
import { StatusError } from "../../apimachinery/status-error.ts";
import { age } from "../ages.ts";
import { jsonLines, type Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { type Event, lastSeen } from "../describe/events.ts";
import { cut } from "../flags.ts";
import { listOf } from "../printers/printable.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { pathOf } from "../resource-catalog.ts";
import { TabWriter } from "../tab-writer.ts";
import { allNamespacesFlag, chunkSizeFlag } from "../targets.ts";
import { sortUnstably } from "../unstable-sort.ts";

export const events: Command = {
  summary: "List events",
  usage: "[(-o|--output=)json|yaml|...] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]",
  examples: ["events", "events --for pod/web", "events --types=Warning -A"],
  flags: [
    ...outputFlags,
    allNamespacesFlag,
    { name: "for", kind: "string", help: "only about this object" },
    { name: "types", kind: "list", help: "Normal, Warning" },
    { name: "watch", short: "w", kind: "bool", help: "those that are there, then each that comes" },
    { name: "no-headers", kind: "bool", help: "no line of headings" },
    chunkSizeFlag,
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    if (flags.commaList("types").some((type) => !["normal", "warning"].includes(type.toLowerCase()))) {
      throw new CommandError("valid --types are Normal or Warning");
    }
    const api = await session.api();
    const { name: namespace } = await session.namespace();
    const everywhere = flags.bool("all-namespaces");
    const fields: string[] = [];
    if (flags.has("for")) {
      const [word, name] = cut(flags.string("for"), "/");
      if (!name) throw new CommandError("--for must be in resource/name form");
      const resource = await session.resource(word);
      fields.push(`involvedObject.kind=${resource.kind}`, `involvedObject.name=${name}`);
    }
    const path = pathOf({ group: "", version: "v1", plural: "events" }, everywhere ? undefined : namespace);
    const query = fields.length > 0 ? `?fieldSelector=${encodeURIComponent(fields.join(","))}` : "";
    const types = flags.commaList("types").map((type) => type.toLowerCase());
    const isWanted = ({ type = "" }: Event) => types.length === 0 || types.includes(type.toLowerCase());
    if (flags.bool("watch")) return watchEvents(invocation, `${path}${query ? `${query}&` : "?"}watch=true`, isWanted);
    const items: Event[] = [];
    const limit = flags.number("chunk-size");
    let page = limit > 0 ? `limit=${limit}` : "";
    do {
      const list = await api.get<{ items?: Event[]; metadata?: { continue?: string } }>(
        [path + query, page].filter(Boolean).join(query ? "&" : "?"),
      );
      items.push(...(list.items ?? []).map((item) => ({ ...item, apiVersion: "v1", kind: "Event" })));
      const token = list.metadata?.continue;
      page = token ? `limit=${limit}&continue=${encodeURIComponent(token)}` : "";
    } while (page);
    const found = items.filter(isWanted);
    sortUnstably(found, (a, b) => lastSeen(a) < lastSeen(b));
    const printer = await printerOf(flags);
    if (printer) {
      session.print(await printer(listOf(found) as unknown as Unstructured));
      return 0;
    }
    if (found.length === 0) {
      session.printError(everywhere ? "No events found.\n" : `No events found in ${namespace} namespace.\n`);
      return 0;
    }
    const rows = found.map((event) => rowOf(event, everywhere, session.terminal.clock.now()));
    session.print(new TabWriter().format([...(flags.bool("no-headers") ? [] : [headingsOf(everywhere)]), ...rows]));
    return 0;
  },
};

/** Prints each event as it comes, until the server or the user ends it. */
async function watchEvents(
  { session, flags }: Invocation,
  path: string,
  isWanted: (event: Event) => boolean,
): Promise<number> {
  const api = await session.api();
  const printer = await printerOf(flags);
  const everywhere = flags.bool("all-namespaces");
  const table = new TabWriter();
  let isHeaded = flags.bool("no-headers");
  for await (const { type, object } of jsonLines<{ type: string; object: Event }>(await api.stream(path))) {
    if (type === "ERROR") throw StatusError.fromStatus(object);
    if (type === "DELETED" || type === "BOOKMARK" || !isWanted(object)) continue;
    if (printer) {
      session.print(await printer(object));
      continue;
    }
    const row = rowOf(object, everywhere, session.terminal.clock.now());
    session.print(table.format([...(isHeaded ? [] : [headingsOf(everywhere)]), row]));
    isHeaded = true;
  }
  return 0;
}

const headingsOf = (everywhere: boolean): string[] => [
  ...(everywhere ? ["NAMESPACE"] : []),
  "LAST SEEN",
  "TYPE",
  "REASON",
  "OBJECT",
  "MESSAGE",
];

function rowOf(event: Event, everywhere: boolean, nowMs: number): string[] {
  const { kind, name } = event.involvedObject ?? {};
  const count = event.series?.count ?? event.count ?? 1;
  const first = age(event.firstTimestamp ?? event.eventTime, nowMs);
  const last = age(new Date(lastSeen(event)).toISOString(), nowMs);
  return [
    ...(everywhere ? [event.metadata.namespace ?? ""] : []),
    count > 1 ? `${last} (x${count} over ${first})` : last,
    event.type ?? "",
    event.reason ?? "",
    `${kind}/${name}`,
    (event.message ?? "").trim(),
  ];
}
