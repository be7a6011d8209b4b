/** Kubernetes' named formats, and JSON pointers for patches. */
import {
  dns1035LabelProblems,
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from "../../name-validation.ts";
import { scaled, sizeRange } from "../code.ts";
import { type FunctionTable, globalFunction, memberFunction } from "../environment.ts";
import { parseTimestamp } from "../time.ts";
import { listOf, opaque, optionalOf, Text } from "../types.ts";
import { ArrayList, none, OpaqueValue, OptionalValue, type Value } from "../values.ts";
import { traversal } from "./standard.ts";

const formatType = opaque("kubernetes.NamedFormat");

class FormatValue extends OpaqueValue {
  override readonly typeName = "kubernetes.NamedFormat";
  readonly problemsOf: (text: string) => string[];
  /** What a pattern for it would be long, which is what a look costs. */
  readonly patternSize: number;
  constructor(problemsOf: (text: string) => string[], patternSize: number) {
    super();
    this.problemsOf = problemsOf;
    this.patternSize = patternSize;
  }
}

/** Names that end with a dash get a character more, as the server's suffix would give them. */
const prefix = (problemsOf: (text: string) => string[]) => (text: string) => problemsOf(text.replace(/-$/, "a"));

const unless = (pattern: RegExp, problem: string) => (text: string) => (pattern.test(text) ? [] : [problem]);

function uriProblems(text: string): string[] {
  return /^[A-Za-z][A-Za-z0-9+.-]*:\S+$|^\/\S*$/.test(text) ? [] : ["invalid URI for request"];
}

const formats: Readonly<Record<string, FormatValue>> = {
  dns1123Label: new FormatValue(dns1123LabelProblems, 30),
  dns1123Subdomain: new FormatValue(dns1123SubdomainProblems, 60),
  dns1035Label: new FormatValue(dns1035LabelProblems, 30),
  dns1123LabelPrefix: new FormatValue(prefix(dns1123LabelProblems), 30),
  dns1123SubdomainPrefix: new FormatValue(prefix(dns1123SubdomainProblems), 60),
  dns1035LabelPrefix: new FormatValue(prefix(dns1035LabelProblems), 30),
  qualifiedName: new FormatValue(qualifiedNameProblems, 60),
  labelValue: new FormatValue(labelValueProblems, 40),
  uri: new FormatValue(uriProblems, 1103),
  uuid: new FormatValue(
    unless(/^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i, "does not match the UUID format"),
    70,
  ),
  byte: new FormatValue(
    unless(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, "invalid base64"),
    84,
  ),
  date: new FormatValue((text) => (parseTimestamp(`${text}T00:00:00Z`) === undefined ? ["invalid date"] : []), 71),
  datetime: new FormatValue((text) => (parseTimestamp(text) === undefined ? ["invalid datetime"] : []), 71),
};

/** What estimates reckon with. */
const longestPattern = 128;

function validate({ problemsOf }: FormatValue, text: string): Value {
  const problems = problemsOf(text);
  return problems.length === 0 ? none : new OptionalValue(new ArrayList(problems));
}

export const formatLibrary: FunctionTable = {
  ...Object.fromEntries(
    Object.entries(formats).map(([name, format]) => [`format.${name}`, [globalFunction([], formatType, () => format)]]),
  ),
  "format.named": [
    globalFunction([Text], optionalOf(formatType), (name: string) => {
      const format = Object.hasOwn(formats, name) ? formats[name] : undefined;
      return format ? new OptionalValue(format) : none;
    }),
  ],
  validate: [
    memberFunction([formatType, Text], optionalOf(listOf(Text)), validate, {
      estimate: ([, text]) => ({ cost: scaled(scaled(sizeRange(text!), 0.1), longestPattern * 0.25) }),
      actual: ([format, text]) =>
        Math.ceil(((text as string).length + 1) * 0.1) * Math.ceil((format as FormatValue).patternSize * 0.25),
    }),
  ],
  "jsonpatch.escapeKey": [
    globalFunction([Text], Text, (text: string) => text.replaceAll("~", "~0").replaceAll("/", "~1"), {
      cost: ([text = 0]) => traversal(text),
    }),
  ],
};
