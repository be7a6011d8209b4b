/** What `-o` says: how objects that a command has in hand are written. Tables are the server's, and `get`'s. */

import { goQuote } from "../../base/go-quote.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { cut, type Flag, type FlagValues } from "../flags.ts";
import { goSyntax } from "../go-format.ts";
import { JsonPathError, parseJsonPath, parseJsonPathAsJson } from "../jsonpath.ts";
import { goJson, goJsonInOrder, listOf, sortKeys, withoutManagedFields } from "./printable.ts";

/** Writes one object, or the list that stands for several. */
export type Printer = (object: Unstructured) => string | Promise<string>;

const formats =
  "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml";

/** Of verbs that print tables. */
const columnFormats = ["custom-columns", "custom-columns-file", "wide"];

export const outputFlags: readonly Flag[] = [
  { name: "output", short: "o", kind: "string", help: `how to write the result, one of: ${formats}` },
  { name: "show-managed-fields", kind: "bool", help: "keep managedFields in json and yaml" },
  { name: "template", kind: "string", help: "the template of -o go-template" },
  {
    name: "allow-missing-template-keys",
    kind: "bool",
    default: true,
    help: "missing fields are no error in templates",
  },
];

/**
 * Undefined where the command's own form is wanted. `isTyped`: the objects are such that Go writes their kind's struct;
 * `hasColumns`: the verb prints tables.
 * Throws a CommandError for a format that does not exist.
 */
export async function printerOf(
  flags: FlagValues,
  { isTyped = false, hasColumns = false } = {},
): Promise<Printer | undefined> {
  const printer = await formatOf(flags, isTyped, hasColumns);
  if (!printer || !isTyped) return printer;
  const { asTyped } = await import("./typed.ts");
  return (object) => printer(asTyped(object));
}

async function formatOf(flags: FlagValues, isTyped: boolean, hasColumns: boolean): Promise<Printer | undefined> {
  // A template alone says its form.
  const output = flags.string("output") || (flags.string("template") ? "go-template" : "");
  const [format, argument] = cut(output, "=");
  const shown = flags.bool("show-managed-fields")
    ? (object: Unstructured) => object
    : (object: Unstructured) =>
        Array.isArray(object["items"])
          ? { ...object, items: (object["items"] as Unstructured[]).map(withoutManagedFields) }
          : withoutManagedFields(object);
  const refuse = () => {
    const allowed = formats.split(",").filter((each) => hasColumns || !columnFormats.includes(each));
    return new CommandError(
      `unable to match a printer suitable for the output format ${JSON.stringify(format)}, allowed formats are: ${allowed.join(",")}`,
    );
  };
  if (!hasColumns && columnFormats.includes(format)) throw refuse();
  switch (format) {
    case "":
    case "wide":
      return undefined;
    case "json":
      return (object) => (isTyped ? `${goJsonInOrder(shown(object), 4)}\n` : goJson(shown(object)));
    case "yaml": {
      const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
      return (object) => encodeYaml(shown(object as Unstructured));
    }
    case "kyaml": {
      const { encodeKyaml } = await import("./kyaml.ts");
      return (object) => encodeKyaml(isTyped ? shown(object) : sortKeys(shown(object)));
    }
    case "name":
      return (object) =>
        itemsOf(object)
          .map((item) => `${nameOf(item)}\n`)
          .join("");
    case "jsonpath":
    case "jsonpath-file":
    case "jsonpath-as-json": {
      const template = await templateOf(format, argument ?? flags.string("template"));
      const options = { allowsMissing: flags.bool("allow-missing-template-keys"), isWhole: !isTyped };
      try {
        const fill = (format === "jsonpath-as-json" ? parseJsonPathAsJson : parseJsonPath)(template, options);
        return (object) => {
          try {
            return fill(object);
          } catch (error) {
            throw error instanceof JsonPathError ? whileFilling(template, object, error, !isTyped) : error;
          }
        };
      } catch (error) {
        throw error instanceof JsonPathError
          ? new CommandError(`error parsing jsonpath ${template}, ${error.message}`)
          : error;
      }
    }
    case "custom-columns":
    case "custom-columns-file": {
      const { customColumns } = await import("./custom-columns.ts");
      return customColumns(await templateOf(format, argument ?? ""), format.endsWith("file"), flags);
    }
    case "go-template":
    case "template":
    case "go-template-file":
    case "templatefile": {
      const { parseGoTemplate } = await import("./go-template/go-template.ts");
      const template = await templateOf(format, argument ?? flags.string("template"));
      return parseGoTemplate(template, flags.bool("allow-missing-template-keys"));
    }
    default:
      throw refuse();
  }
}

/** One object as it is, several as a List. */
export function together(objects: readonly Unstructured[]): Unstructured {
  return objects.length === 1 ? objects[0]! : (listOf(objects) as unknown as Unstructured);
}

function itemsOf(object: Unstructured): Unstructured[] {
  return Array.isArray(object["items"]) ? (object["items"] as Unstructured[]) : [object];
}

/** `pod/web`, `deployment.apps/web`. */
export function nameOf({ apiVersion = "", kind = "", metadata }: Unstructured): string {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  return `${kind.toLowerCase()}${group ? `.${group}` : ""}/${metadata?.name || "<unknown>"}`;
}

/** With all that could explain it, as kubectl tells it. */
function whileFilling(template: string, object: Unstructured, { message }: Error, isWhole: boolean): CommandError {
  return new CommandError(
    `error executing jsonpath ${goQuote(template)}: Error executing template: ${message}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${template}\n\tobject given to jsonpath engine was:\n\t\t${goSyntax(object, isWhole)}\n\n\n`,
  );
}

async function templateOf(format: string, argument: string): Promise<string> {
  if (argument === "") {
    const isColumns = format.startsWith("custom-columns");
    throw new CommandError(
      `${isColumns ? "custom-columns" : "template"} format specified but no ${isColumns ? "custom columns" : "template"} given`,
    );
  }
  if (!format.endsWith("file")) return argument;
  const { readFileSync } = await import("node:fs");
  try {
    return readFileSync(argument, "utf8");
  } catch {
    throw new CommandError(`error reading --template ${argument}, open ${argument}: no such file or directory`);
  }
}
