/** `explain --output plaintext-openapiv2`: the older layout, over OpenAPI v2. Pure. */

import type { Subject } from "./plaintext.ts";
import { referenceOf, type Schema, type Schemas } from "./schema.ts";
import { indent, wordWrap } from "./word-wrap.ts";

const width = 75;

export function explainV2(schemas: Schemas, root: Schema, subject: Subject): { text: string } | { unknown: string } {
  const { group, version, kind, path, isRecursive } = subject;
  let schema = root;
  for (const name of path) {
    const next = schemas.target(schema).schema.properties?.[name];
    if (!next) return { unknown: name };
    schema = next;
  }
  const target = schemas.target(schema).schema;
  const hasFields = target.properties !== undefined;
  const field = path.at(-1);
  const label = hasFields ? "RESOURCE:" : "FIELD:   ";
  const head = `KIND:     ${kind}\nVERSION:  ${group ? `${group}/` : ""}${version}\n\n`;
  const heading = field === undefined ? "" : `${label} ${field} <${typeOf(schemas, schema)}>\n\n`;
  const words = [schema.description, ...(target === schema ? [] : [target.description])];
  const shown = words.filter((text): text is string => Boolean(text)).map((text) => indent(wordWrap(text, width), 5));
  const description = `DESCRIPTION:\n${shown.length > 0 ? shown.join("\n\n") : "     <empty>"}\n`;
  if (!target.properties) return { text: head + heading + description };
  return { text: `${head}${heading}${description}\nFIELDS:\n${fieldList(schemas, target, isRecursive, 1, new Set())}` };
}

function fieldList(
  schemas: Schemas,
  { properties = {}, required = [] }: Schema,
  isRecursive: boolean,
  level: number,
  outer: ReadonlySet<string>,
): string {
  const names = Object.keys(properties).sort();
  const texts = names.map((name) => {
    const schema = properties[name]!;
    const mark = !isRecursive && required.includes(name) ? " -required-" : "";
    const head = `${"   ".repeat(level)}${name}\t<${typeOf(schemas, schema)}>${mark}\n`;
    if (!isRecursive) {
      const words = schema.description;
      return words ? `${head}${indent(wordWrap(words, width), 5)}\n\n` : `${head}\n`;
    }
    const { schema: target, names: passed } = schemas.target(schema);
    if (!target.properties || passed.some((each) => outer.has(each))) return head;
    return head + fieldList(schemas, target, isRecursive, level + 1, new Set([...outer, ...passed]));
  });
  return texts.join("");
}

function typeOf(schemas: Schemas, schema: Schema): string {
  if (referenceOf(schema) !== undefined) {
    const target = schemas.resolve(schema);
    return target.properties ? "Object" : typeOf(schemas, target);
  }
  if (schema.items) return `[]${typeOf(schemas, schema.items)}`;
  if (typeof schema.additionalProperties === "object") {
    return `map[string]${typeOf(schemas, schema.additionalProperties)}`;
  }
  if (schema.type === undefined) return schema.properties ? "Object" : "";
  if (schema.type === "object" && !schema.properties) return "map[string]";
  return schema.type === "object" ? "Object" : schema.type;
}
