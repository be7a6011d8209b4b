/** `-o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName` */
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { cut, type FlagValues } from "../flags.ts";
import { goValue } from "../go-format.ts";
import { JsonPathError, parseJsonPathExpression, wholeJsonPath } from "../jsonpath.ts";
import { TabWriter } from "../tab-writer.ts";
import type { Printer } from "./printer.ts";

interface Column {
  header: string;
  path: string;
}

/** `spec` on one line, or, `isFile`, a line of headings over a line of paths. Throws a CommandError. */
export function customColumns(spec: string, isFile: boolean, flags: FlagValues): Printer {
  const columns = isFile ? columnsOfFile(spec) : spec.split(",").map(columnOf);
  for (const { path } of columns) inWords(() => wholeJsonPath(path));
  const isHeadless = flags.has("no-headers") && flags.bool("no-headers");
  const headings = isHeadless ? [] : [columns.map(({ header }) => header)];
  return (object) => {
    const items = Array.isArray(object["items"]) ? (object["items"] as Unstructured[]) : [object];
    const rows = inWords(() => {
      const readers = columns.map(({ path }) => parseJsonPathExpression(path));
      return items.map((item) =>
        readers.map((read) => {
          const found = read(item);
          return found.length === 0 ? "<none>" : found.map((value) => goValue(value, true)).join(",");
        }),
      );
    });
    return new TabWriter().format([...headings, ...rows]);
  };
}

function inWords<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof JsonPathError ? new CommandError(error.message) : error;
  }
}

function columnOf(text: string): Column {
  const [header, path] = cut(text, ":");
  if (path === undefined) {
    throw new CommandError(`unexpected custom-columns spec: ${text}, expected <header>:<json-path-expr>`);
  }
  return { header, path };
}

function columnsOfFile(text: string): Column[] {
  const lines = text.replace(/\n$/, "").split("\n");
  for (const [i, what] of ["header", "spec"].entries()) {
    if (text === "" || lines[i] === undefined) {
      throw new CommandError(
        `invalid template, missing ${what} line. Expected format is one line of space separated headers, one line of space separated column specs.`,
      );
    }
  }
  const [headers = [], paths = []] = lines.map((line) => line.trim().split(/\s+/).filter(Boolean));
  if (headers.length !== paths.length) {
    throw new CommandError(
      `number of headers (${headers.length}) and field specifications (${paths.length}) don't match`,
    );
  }
  return headers.map((header, i) => ({ header, path: paths[i]! }));
}
