/** Field paths as rules and selectable fields name them (`.spec.ports`, `.labels['a.b']`), read against a schema. */
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { escapes } from "../../base/escapes.ts";
import { FieldPath } from "../field-error.ts";

export type FoundField =
  | { readonly path: FieldPath; readonly schema: JSONSchemaProps; readonly root: string; readonly problem?: undefined }
  /** In upstream's words. */
  | { readonly problem: string };

/** `brackets`: names may stand in them. */
export function findField(text: string, schema: JSONSchemaProps, { brackets = true } = {}): FoundField {
  const tokens = tokensOf(text);
  let path = FieldPath.root;
  let root = "";
  let at: JSONSchemaProps = schema;
  for (let i = 0; i < tokens.length; ) {
    const token = tokens[i++]!;
    let name: string;
    if (token === "[") {
      if (!brackets) return { problem: "array notation is not allowed" };
      const quoted = tokens[i++];
      if (quoted === undefined) return { problem: "unexpected end of JSON path" };
      if (!/^'.*'$/s.test(quoted) || quoted.length < 2)
        return { problem: `expected single quoted string but got ${quoted}` };
      const read = unquote(quoted.slice(1, -1));
      if (read.problem) return { problem: `invalid string literal: ${read.problem}` };
      name = read.text;
    } else if (token === ".") {
      const next = tokens[i++];
      if (next === undefined) return { problem: "unexpected end of JSON path" };
      name = next;
    } else return { problem: `expected [ or . but got: ${token}` };
    const { properties, additionalProperties: values } = at;
    if (properties && Object.keys(properties).length > 0) {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (!property) return { problem: "does not refer to a valid field" };
      path = path.child(name);
      at = property;
    } else if (typeof values === "object") {
      path = path.key(name);
      at = values;
    } else return { problem: "does not refer to a valid field" };
    root ||= name;
    if (token === "[") {
      const end = tokens[i++];
      if (end === undefined) return { problem: "unexpected end of JSON path" };
      if (end !== "]") return { problem: `expected ] but got ${end}` };
    }
  }
  return { path, schema: at, root };
}

/** Dots, brackets, quoted texts and what stands between them. */
function tokensOf(text: string): string[] {
  return text.match(/'(?:[^'\\]|\\.)*'|[.[\]]|[^.[\]']+|'/gs) ?? [];
}

const escapesInQuotes: Readonly<Record<string, string>> = { ...escapes, "'": "'" };

function unquote(text: string): { text: string; problem?: string } {
  let problem: string | undefined;
  const read = text.replace(/\\(.)/gs, (whole, character: string) => {
    const meant = escapesInQuotes[character];
    if (meant === undefined) problem = `invalid escape char ${whole}`;
    return meant ?? "";
  });
  return problem ? { text: read, problem } : { text: read };
}
