/** `-o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName` */
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { cut, type FlagValues } from "../flags.ts";
import { parseJsonPathExpression } from "../jsonpath.ts";
import { TabWriter } from "../tab-writer.ts";
import type { Printer } from "./printer.ts";

/** `spec` on one line, or, in a file, a line of headings over a line of paths. */
export function customColumns(spec: string, flags: FlagValues): Printer {
  const columns = spec.includes("\n") ? columnsOfFile(spec) : spec.split(",").map(columnOf);
  const isHeadless = flags.has("no-headers") && flags.bool("no-headers");
  return (object) => {
    const items = Array.isArray(object["items"]) ? (object["items"] as Unstructured[]) : [object];
    const rows = items.map((item) => columns.map(({ read }) => read(item).map(show).join(",") || "<none>"));
    return new TabWriter().format([...(isHeadless ? [] : [columns.map(({ header }) => header)]), ...rows]);
  };
}

function columnOf(text: string) {
  const [header, path] = cut(text, ":");
  if (!path) throw new CommandError(`unexpected custom-columns spec: ${text}, expected <header>:<json-path-expr>`);
  return { header, read: parseJsonPathExpression(path) };
}

function columnsOfFile(text: string) {
  const [headers = [], paths = []] = text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  if (headers.length !== paths.length) {
    throw new CommandError(
      `number of headers (${headers.length}) and field specifications (${paths.length}) don't match`,
    );
  }
  return headers.map((header, i) => ({ header, read: parseJsonPathExpression(paths[i]!) }));
}

/** As Go prints values: lists in brackets, maps as `map[key:value]`. */
function show(value: unknown): string {
  if (value === null || value === undefined) return "<none>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value !== "object") return String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, inner]) => `${key}:${show(inner)}`).join(" ")}]`;
}
