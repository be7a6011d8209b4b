/** Kubernetes' named formats, and JSON pointers for patches. */
import {
  dns1035LabelProblems,
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from "../../name-validation.ts";
import { type FunctionTable, globalFunction, memberFunction, type Sizes } from "../environment.ts";
import { parseTimestamp } from "../time.ts";
import { listOf, opaque, optionalOf, Text } from "../types.ts";
import { ArrayList, none, OpaqueValue, OptionalValue, type Value } from "../values.ts";
import { traversal } from "./standard.ts";

const formatType = opaque("kubernetes.NamedFormat");

class FormatValue extends OpaqueValue {
  override readonly typeName = "kubernetes.NamedFormat";
  readonly problemsOf: (text: string) => string[];
  constructor(problemsOf: (text: string) => string[]) {
    super();
    this.problemsOf = problemsOf;
  }
}

/** Names that end with a dash get a character more, as the server's suffix would give them. */
const prefix = (problemsOf: (text: string) => string[]) => (text: string) => problemsOf(text.replace(/-$/, "a"));

const unless = (pattern: RegExp, problem: string) => (text: string) => (pattern.test(text) ? [] : [problem]);

function uriProblems(text: string): string[] {
  return /^[A-Za-z][A-Za-z0-9+.-]*:\S+$|^\/\S*$/.test(text) ? [] : ["invalid URI for request"];
}

const formats: Readonly<Record<string, FormatValue>> = {
  dns1123Label: new FormatValue(dns1123LabelProblems),
  dns1123Subdomain: new FormatValue(dns1123SubdomainProblems),
  dns1035Label: new FormatValue(dns1035LabelProblems),
  dns1123LabelPrefix: new FormatValue(prefix(dns1123LabelProblems)),
  dns1123SubdomainPrefix: new FormatValue(prefix(dns1123SubdomainProblems)),
  dns1035LabelPrefix: new FormatValue(prefix(dns1035LabelProblems)),
  qualifiedName: new FormatValue(qualifiedNameProblems),
  labelValue: new FormatValue(labelValueProblems),
  uri: new FormatValue(uriProblems),
  uuid: new FormatValue(
    unless(/^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/, "does not match the UUID format"),
  ),
  byte: new FormatValue(unless(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, "invalid base64")),
  date: new FormatValue((text) => (parseTimestamp(`${text}T00:00:00Z`) === undefined ? ["invalid date"] : [])),
  datetime: new FormatValue((text) => (parseTimestamp(text) === undefined ? ["invalid datetime"] : [])),
};

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
      cost: ([, text = 0]: Sizes) => traversal(text),
    }),
  ],
  "jsonpatch.escapeKey": [
    globalFunction([Text], Text, (text: string) => text.replaceAll("~", "~0").replaceAll("/", "~1"), {
      cost: ([text = 0]) => traversal(text),
    }),
  ],
};
