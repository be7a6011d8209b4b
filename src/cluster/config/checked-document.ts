/** A YAML document checked against a JSON schema and against what a schema cannot say; every mistake is told with its line. */
import { type Document, LineCounter, type Node, parseDocument } from "yaml";
import { editDistance } from "../../base/edit-distance.ts";
import { parseCidr, parseIp } from "../../base/ip.ts";
import { type Schema, type SchemaError, schemaErrors } from "./schema-errors.ts";

export interface ConfigMistake {
  /** Counted from 1; undefined when the mistake concerns the file as a whole. */
  line: number | undefined;
  /** Dotted, as a user would write it: `nodes[1].address`. Empty for the file as a whole. */
  path: string;
  message: string;
}

/** Thrown with every mistake of the file at once. Its message is ready to be shown. */
export class ConfigError extends Error {
  readonly mistakes: readonly ConfigMistake[];
  constructor(fileName: string, mistakes: readonly ConfigMistake[]) {
    const lines = mistakes.map(({ line, path, message }) => {
      const place = line === undefined ? fileName : `${fileName}:${line}`;
      return `${place}: ${path ? `${path}: ` : ""}${message}`;
    });
    super(lines.join("\n"));
    this.name = "ConfigError";
    this.mistakes = mistakes;
  }
}

export type Path = readonly (string | number)[];

export interface DocumentRules<T> {
  schema: Schema;
  /** Where the `$ref`s of the schema lead. Default: to its own definitions. */
  root?: Schema;
  /** How a document of this sort begins, for who writes something else. */
  expected: string;
  /** What the schema cannot say. */
  mistakesOf(document: T): { path: Path; message: string }[];
}

/** The text's document. Throws ConfigError. Names in messages are those of `fileName`. */
export function checkedDocument<T>(text: string, fileName: string, rules: DocumentRules<T>): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const refuse = (mistakes: readonly { path: Path; message: string }[]): never => {
    const told = mistakes.map(({ path, message }) => ({
      line: lineAt(document, lines, path),
      path: pathText(path),
      message,
    }));
    throw new ConfigError(fileName, told);
  };
  if (document.errors.length > 0) {
    const mistakes = document.errors.map((error) => ({
      line: lines.linePos(error.pos[0]).line,
      path: "",
      message: error.message,
    }));
    throw new ConfigError(fileName, mistakes);
  }
  const content: unknown = document.toJS();
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new ConfigError(fileName, [{ line: 1, path: "", message: `expected ${rules.expected}` }]);
  }
  const shapeErrors = schemaErrors(rules.schema, content, documentFormats, rules.root).map(explain);
  if (shapeErrors.length > 0) refuse(shapeErrors);
  // Sound by the schema check above.
  const checked = content as T;
  const mistakes = rules.mistakesOf(checked);
  if (mistakes.length > 0) refuse(mistakes);
  return checked;
}

/** Of the texts that the schema names a format for. */
export const documentFormats = {
  ipv4: (text: string) => parseIp(text)?.length === 4,
  cidr4: (text: string) => parseCidr(text)?.address.length === 4,
  cidr6: (text: string) => parseCidr(text)?.address.length === 16,
};

function explain({ path, keyword, value, schema, message, field }: SchemaError): { path: Path; message: string } {
  const text = JSON.stringify(value);
  switch (keyword) {
    case "additionalProperties": {
      const known = Object.keys(schema.properties ?? {});
      const near = nearest(field!, known);
      const instead = near ? `did you mean "${near}"?` : `known fields: ${known.join(", ")}`;
      return { path: [...path, field!], message: `unknown field; ${instead}` };
    }
    case "required":
      return { path, message: `"${field}" is missing` };
    case "enum":
      return { path, message: `${text} is not one of ${schema.enum!.join(", ")}` };
    case "const":
      return { path, message: `${text} is not known; write ${JSON.stringify(schema.const)}` };
    default:
      return { path, message: `${text} ${schema.errorMessage ? `is not valid: ${schema.errorMessage}` : message}` };
  }
}

/** `a.b[1].c` as steps. */
export function pathOf(field: string): Path {
  return [...field.matchAll(/[^.[\]]+/g)].map(([step]) => (/^\d+$/.test(step) ? Number(step) : step));
}

function lineAt(document: Document, lines: LineCounter, path: Path): number | undefined {
  // A missing or unknown field has no node of its own: then the nearest one above it has.
  for (let length = path.length; length >= 0; length--) {
    const pair = length > 0 ? pairAt(document, path.slice(0, length)) : undefined;
    const node = pair ?? (document.getIn(path.slice(0, length), true) as Node | undefined);
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

/** The key of a mapping's entry, so that the reported line is the field's own and not its value's. */
function pairAt(document: Document, path: Path): Node | undefined {
  const parent = document.getIn(path.slice(0, -1), true) as
    | { items?: { key?: Node & { value?: unknown } }[] }
    | undefined;
  return parent?.items?.find((item) => item.key?.value === path.at(-1))?.key;
}

function pathText(path: Path): string {
  return path.map((step, i) => (typeof step === "number" ? `[${step}]` : i === 0 ? step : `.${step}`)).join("");
}

/** The known word within two edits of `word`. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((candidate) => ({
    candidate,
    distance: editDistance(word.toLowerCase(), candidate.toLowerCase()),
  }));
  ranked.sort((a, b) => a.distance - b.distance);
  return ranked[0] && ranked[0].distance <= 2 ? ranked[0].candidate : undefined;
}
