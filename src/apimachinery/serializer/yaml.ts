/** YAML 1.1 in and out, read and written as upstream's Go library does: no timestamps, no base 60, sorted keys, flush lists. */
import {
  Document,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
  Scalar,
  type ScalarTag,
  stringify,
  type Tags,
  visit,
  type YAMLParseError,
} from "yaml";
import type { TypeSchema } from "../../api/schema.ts";
import { parseExactly } from "./big-integers.ts";
import { type Decoded, DecodeError } from "./decode-error.ts";
import { decodeValue } from "./json.ts";
import { countKeys, countTextKeys } from "./json-scan.ts";

export interface ParsedYaml {
  value: unknown;
  /** Keys given twice: `line 7: key "a" already set in map`. The last one counts. */
  problems: string[];
}

/** YAML 1.1 without timestamps and base 60, and with Go's idea of a float: the schema's takes a lone dot for one. */
function tags(all: Tags): Tags {
  const kept = all.filter(
    (tag) =>
      typeof tag === "object" &&
      !(tag.tag.endsWith(":timestamp") || ("format" in tag && tag.format === "TIME") || isDecimalFloat(tag)),
  );
  return [...kept, float];
}

const isDecimalFloat = (tag: Exclude<Tags[number], string>): boolean =>
  tag.tag.endsWith(":float") && !tag.test?.test(".inf");

const float: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  identify: (value) => typeof value === "number" && !Number.isInteger(value),
  test: /^[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$/,
  resolve: (text) => Number(text.replaceAll("_", "")),
};

const readOptions = {
  version: "1.1",
  customTags: tags,
  uniqueKeys: false,
  merge: true,
  logLevel: "silent",
} as const;

/**
 * The first document; with `isExact`, numbers as `parseExactly` reads them. Nothing at all is null. Text that is JSON, as
 * `kubectl apply --server-side` sends it, is read as JSON, which is far faster. Throws DecodeError with upstream's words for what is most often wrong: `yaml: line 2: ...`.
 */
export function parseYaml(text: string, isExact = false): ParsedYaml {
  const json = asJson(text);
  if (json !== undefined && countKeys(json) === countTextKeys(text))
    return { value: isExact ? parseExactly(text, json) : json, problems: [] };
  return parseYamlStream(text, isExact)[0] ?? { value: null, problems: [] };
}

/** As upstream's newer library reads: only `true` and `false` are no words; `yes`, `on` and `n` are. */
const newerTags = (all: Tags): Tags =>
  tags(all).map((tag) => {
    if (typeof tag === "string" || !tag.tag.endsWith(":bool")) return tag;
    const means = (tag as ScalarTag).test?.test("true") ? /^(?:true|True|TRUE)$/ : /^(?:false|False|FALSE)$/;
    return { ...(tag as ScalarTag), test: means };
  });

/** Every document of a stream, empty ones left out; `isNewer`: read as upstream's newer library does, where `yes` is a word. */
export function parseYamlStream(text: string, isExact = false, isNewer = false): ParsedYaml[] {
  const lineCounter = new LineCounter();
  const intAsBigInt = isExact && /\d{16}/.test(text);
  const documents = parseAllDocuments(text, {
    ...readOptions,
    ...(isNewer ? { customTags: newerTags } : {}),
    intAsBigInt,
    lineCounter,
  });
  if (!Array.isArray(documents)) return [];
  const parsed: ParsedYaml[] = [];
  for (const document of documents) {
    const error = document.errors[0];
    if (error) throw new DecodeError(yamlProblem(error, text, lineCounter), { cause: error });
    let value: unknown;
    try {
      value = intAsBigInt ? document.toJS({ reviver: withSmallNumbers }) : document.toJS();
    } catch (cause) {
      const { message } = cause as Error;
      const anchor = /^Unresolved alias.*: (.*)$/.exec(message)?.[1];
      throw new DecodeError(anchor === undefined ? `yaml: ${message}` : `yaml: unknown anchor '${anchor}' referenced`, {
        cause,
      });
    }
    if (value === null && documents.length > 1) continue;
    parsed.push({ value, problems: duplicateKeys(document, lineCounter) });
  }
  return parsed;
}

/** Bigints only where a number would not do. */
function withSmallNumbers(_: unknown, value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  const isBig = !Number.isSafeInteger(Number(value)) && BigInt.asIntN(64, value) === value;
  return isBig ? value : Number(value);
}

/** An object of a known type. */
export function decodeYaml<T>(text: string, type: TypeSchema): Decoded<T> {
  const { value, problems } = parseYaml(text, true);
  const decoded = decodeValue<T>(value, type);
  return { object: decoded.object, problems: [...problems, ...decoded.problems] };
}

/** What the text holds if it is a JSON object, else undefined. */
export function asJson(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function duplicateKeys(document: Document.Parsed<ParsedNode>, lineCounter: LineCounter): string[] {
  const problems: string[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value) && key.value !== "<<") {
          problems.push(
            `line ${lineCounter.linePos(key.range?.[0] ?? 0).line}: key ${JSON.stringify(key.value)} already set in map`,
          );
        }
        seen.add(key.value);
      }
    },
  });
  return problems;
}

/** Go's wording for the mistakes people make; the library's own for the rest. */
function yamlProblem(error: YAMLParseError, text: string, lineCounter: LineCounter): string {
  const line = lineCounter.linePos(error.pos[0]).line;
  const unclosed = /^Flow (map|sequence)/.exec(error.message);
  if (unclosed) {
    const wanted = /[[{:,]\s*$/.test(text) ? "node content" : unclosed[1] === "map" ? "',' or '}'" : "',' or ']'";
    // The end of a text with a line break at its end is no line of its own.
    const isAtEnd = error.pos[0] >= text.length && text.endsWith("\n");
    return `yaml: line ${isAtEnd ? Math.max(1, line - 1) : line}: did not find expected ${wanted}`;
  }
  // Go counts a mistake on the first line as no line at all.
  const at = (problem: string) => `yaml: ${line > 1 ? `line ${line}: ` : ""}${problem}`;
  switch (error.code) {
    case "TAB_AS_INDENT":
    case "BAD_SCALAR_START":
      return `yaml: line ${line}: found character that cannot start any token`;
    case "BLOCK_AS_IMPLICIT_KEY":
      return at("mapping values are not allowed in this context");
    case "BAD_INDENT":
      return `yaml: line ${line}: did not find expected key`;
    case "UNEXPECTED_TOKEN":
      return /flow-(map|seq)-end/.test(error.message)
        ? `yaml: line ${line}: did not find expected node content`
        : `yaml: line ${line}: did not find expected '-' indicator`;
    case "MISSING_CHAR":
      return /quote/.test(error.message)
        ? `yaml: line ${line}: found unexpected end of stream`
        : `yaml: line ${line}: could not find expected ':'`;
    default:
      return at(error.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, ""));
  }
}

/** The text upstream serves as application/yaml, and what a person reads. */
export function encodeYaml(value: unknown): string {
  const document = new Document(value, {
    version: "1.1",
    customTags: tags,
    sortMapEntries: (a, b) => compareKeys(keyText(a.key), keyText(b.key)),
    aliasDuplicateObjects: false,
  });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === "string") {
        if (node.value.includes("\n")) node.type = Scalar.BLOCK_LITERAL;
        else if (isAmbiguous(node.value)) node.type = Scalar.QUOTE_DOUBLE;
      }
    },
    Pair(_, pair) {
      if (isPair(pair) && isScalar(pair.key) && typeof pair.key.value === "string" && isAmbiguous(pair.key.value))
        pair.key.type = Scalar.QUOTE_DOUBLE;
    },
  });
  if (isMap(document.contents) && document.contents.items.length === 0) return "{}\n";
  return stringify(document, {
    indentSeq: false,
    lineWidth: 0,
    singleQuote: true,
    nullStr: "null",
    minContentWidth: 0,
  });
}

/** A plain scalar of this text would be read as something other than a string. */
function isAmbiguous(text: string): boolean {
  return (
    text === "" ||
    /^(?:~|null|Null|NULL|y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF|true|True|TRUE|false|False|FALSE|<<)$/.test(
      text,
    ) ||
    /^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)$/.test(
      text,
    ) ||
    (/^[-+]?(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][-+]?[0-9]+)?$/.test(text) && /[0-9]/.test(text)) ||
    /^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$/.test(text) ||
    /^\d{4}-\d{1,2}-\d{1,2}(?:(?:[Tt]|[ \t]+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::?\d\d)?))?)?$/.test(
      text,
    )
  );
}

const keyText = (key: unknown): string => String(isScalar(key) ? key.value : key);

/** Go's library sorts digits within keys by their value, and letters after everything else. */
function compareKeys(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    if (x === y) continue;
    const bothLetters = /\p{L}/u.test(x) && /\p{L}/u.test(y);
    if (bothLetters) return x < y ? -1 : 1;
    if (/\p{L}/u.test(x) || /\p{L}/u.test(y)) return /\p{L}/u.test(y) ? -1 : 1;
    const digits = /^\d+/;
    const [m, n] = [digits.exec(a.slice(i))?.[0], digits.exec(b.slice(i))?.[0]];
    if (m && n && Number(m) !== Number(n)) return Number(m) - Number(n);
    return x < y ? -1 : 1;
  }
  return a.length - b.length;
}
