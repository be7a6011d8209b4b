/** `kubectl events` */
import { age } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { type Event, lastSeen } from "../describe/events.ts";
import { cut } from "../flags.ts";
import { listOf } from "../printers/printable.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { pathOf } from "../resource-catalog.ts";
import { TabWriter } from "../tab-writer.ts";
import { allNamespacesFlag } from "../targets.ts";

export const events: Command = {
  summary: "List events",
  usage: "[(-o|--output=)json|yaml|...] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]",
  examples: ["events", "events --for pod/web", "events --types=Warning -A"],
  flags: [
    ...outputFlags,
    allNamespacesFlag,
    { name: "for", kind: "string", help: "only about this object" },
    { name: "types", kind: "list", help: "Normal, Warning" },
    { name: "no-headers", kind: "bool", help: "no line of headings" },
    { name: "chunk-size", kind: "int", default: 500, help: "accepted" },
  ],
  async run({ session, flags }) {
    if (flags.commaList("types").some((type) => !["normal", "warning"].includes(type.toLowerCase()))) {
      throw new CommandError("valid --types are Normal or Warning");
    }
    const api = await session.api();
    const { name: namespace } = await session.namespace();
    const everywhere = flags.bool("all-namespaces");
    const fields: string[] = [];
    if (flags.string("for")) {
      const [word, name] = cut(flags.string("for"), "/");
      if (!name) throw new CommandError("--for must be in resource/name form");
      const resource = (await session.catalog()).find(word);
      fields.push(`involvedObject.kind=${resource.kind}`, `involvedObject.name=${name}`);
    }
    const path = pathOf({ group: "", version: "v1", plural: "events" }, everywhere ? undefined : namespace);
    const query = fields.length > 0 ? `?fieldSelector=${encodeURIComponent(fields.join(","))}` : "";
    const { items } = await api.get<{ items: Event[] }>(path + query);
    const types = flags.commaList("types").map((type) => type.toLowerCase());
    const found = items.filter(({ type = "" }) => types.length === 0 || types.includes(type.toLowerCase()));
    found.sort((a, b) => lastSeen(a) - lastSeen(b));
    const printer = await printerOf(flags);
    if (printer) {
      session.print(await printer(listOf(found) as unknown as Unstructured));
      return 0;
    }
    if (found.length === 0) {
      session.printError(everywhere ? "No events found.\n" : `No events found in ${namespace} namespace.\n`);
      return 0;
    }
    const nowMs = session.terminal.clock.now();
    const rows = found.map((event) => {
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
    });
    const headings = [...(everywhere ? ["NAMESPACE"] : []), "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
    session.print(new TabWriter().format([...(flags.bool("no-headers") ? [] : [headings]), ...rows]));
    return 0;
  },
};
