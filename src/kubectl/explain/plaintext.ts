/** `explain`'s own layout, over OpenAPI v3. Pure. */
import { referenceOf, type Schema, type Schemas, shortName } from "./schema.ts";
import { indent, wordWrap } from "./word-wrap.ts";

export interface Subject {
  group: string;
  version: string;
  kind: string;
  path: readonly string[];
  isRecursive: boolean;
}

const width = 76;

/** The head that stands before everything, even before a failure. */
export function headOf({ group, version, kind }: Subject): string {
  const lines = [...(group ? [["GROUP:", group]] : []), ["KIND:", kind], ["VERSION:", version]];
  return `${lines.map(([label, value]) => `${label!.padEnd(12)}${value}\n`).join("")}\n`;
}

/** What follows the head; undefined where the path names no field, with the first name that does not fit. */
export function explain(schemas: Schemas, root: Schema, subject: Subject): { text: string } | { unknown: string } {
  let schema = root;
  for (const name of subject.path) {
    const next = schemas.target(schema).schema.properties?.[name];
    if (!next) return { unknown: subject.path.at(-1)! };
    schema = next;
  }
  const target = schemas.target(schema).schema;
  const field = subject.path.at(-1);
  const heading = field === undefined ? "" : `FIELD: ${field} <${typeOf(schemas, schema)}>\n${enumBlock(schema)}\n`;
  const fields = target.properties ? fieldsOf(schemas, target, subject.isRecursive) : "\n";
  return { text: `${heading}DESCRIPTION:\n${indent(describe(schemas, schema), 4)}\n${fields}` };
}

function enumBlock(schema: Schema): string {
  if (!schema.enum) return "\n";
  return `ENUM:\n${schema.enum.map((value) => `    ${wordOf(value)}\n`).join("")}`;
}

/** The field's own words, then those of every type on the way to its fields. */
function describe(schemas: Schemas, schema: Schema): string {
  const text = wordsOf(schemas, schema, new Set()).map((words) => `${wordWrap(words, width)}\n`);
  return text.length > 0 ? text.join("") : "<empty>";
}

function wordsOf(schemas: Schemas, schema: Schema, seen: Set<string>): string[] {
  const own = schema.description ? [schema.description] : [];
  const ref = referenceOf(schema);
  if (ref !== undefined) {
    if (seen.has(ref)) return own;
    seen.add(ref);
    return [...own, ...wordsOf(schemas, schemas.resolve(schema), seen)];
  }
  if (schema.items) return [...own, ...wordsOf(schemas, schema.items, seen)];
  if (typeof schema.additionalProperties === "object") {
    return [...own, ...wordsOf(schemas, schema.additionalProperties, seen)];
  }
  return own;
}

function fieldsOf(schemas: Schemas, target: Schema, isRecursive: boolean): string {
  return `FIELDS:\n${fieldList(schemas, target, isRecursive, 1, new Set())}\n`;
}

function fieldList(
  schemas: Schemas,
  { properties = {}, required = [] }: Schema,
  isRecursive: boolean,
  level: number,
  outer: ReadonlySet<string>,
): string {
  const names = Object.keys(properties).sort();
  return names
    .map((name) => {
      const schema = properties[name]!;
      const margin = "  ".repeat(level);
      const mark = required.includes(name) ? " -required-" : "";
      const head = `${margin}${name}\t<${typeOf(schemas, schema)}>${mark}\n${enumLine(schema, margin)}`;
      if (!isRecursive) return `${head}${indent(fieldWords(schema), 4)}\n\n`;
      const { schema: target, names: passed } = schemas.target(schema);
      // A type within itself is shown once.
      if (!target.properties || passed.some((each) => outer.has(each))) return head;
      return head + fieldList(schemas, target, isRecursive, level + 1, new Set([...outer, ...passed]));
    })
    .join("");
}

function fieldWords(schema: Schema): string {
  const words = schema.description;
  return words ? wordWrap(words, width) : "<no description>";
}

const mostEnumWords = 4;

function enumLine(schema: Schema, margin: string): string {
  if (!schema.enum) return "";
  const shown = schema.enum.slice(0, mostEnumWords).map(wordOf).join(", ");
  return `${margin}enum: ${shown}${schema.enum.length > mostEnumWords ? ", ...." : ""}\n`;
}

const wordOf = (value: unknown): string => (value === "" ? '""' : String(value));

function typeOf(schemas: Schemas, schema: Schema): string {
  const ref = referenceOf(schema);
  if (ref !== undefined) {
    // A time is shown as the string that it is written as.
    const { type } = schemas.resolve(schema);
    return type === undefined || type === "object" ? shortName(ref) : type;
  }
  if (schema.items) return `[]${typeOf(schemas, schema.items)}`;
  if (typeof schema.additionalProperties === "object") {
    return `map[string]${typeOf(schemas, schema.additionalProperties)}`;
  }
  return schema.type === undefined || schema.type === "object" ? "Object" : schema.type;
}
