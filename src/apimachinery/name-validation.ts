/** What names, labels and keys may look like: each function returns the complaints, in upstream's words, or an empty list. */
import { utf8Length } from "../base/utf8.ts";

const dns1123LabelFormat = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const dns1123SubdomainFormat = `${dns1123LabelFormat}(\\.${dns1123LabelFormat})*`;
const dns1035LabelFormat = "[a-z]([-a-z0-9]*[a-z0-9])?";
const wildcardDns1123SubdomainFormat = `\\*\\.${dns1123SubdomainFormat}`;
const qualifiedNameFormat = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const labelValueFormat = `(${qualifiedNameFormat})?`;
const configMapKeyFormat = "[-._a-zA-Z0-9]+";
const httpHeaderNameFormat = "[-A-Za-z0-9]+";

const whole = (format: string) => new RegExp(`^${format}$`);
const dns1123LabelPattern = whole(dns1123LabelFormat);
const dns1123SubdomainPattern = whole(dns1123SubdomainFormat);
const dns1035LabelPattern = whole(dns1035LabelFormat);
const wildcardPattern = whole(wildcardDns1123SubdomainFormat);
const qualifiedNamePattern = whole(qualifiedNameFormat);
const labelValuePattern = whole(labelValueFormat);
const configMapKeyPattern = whole(configMapKeyFormat);
const httpHeaderNamePattern = whole(httpHeaderNameFormat);

const dns1123LabelMessage =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const dns1123SubdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const dns1035LabelMessage =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const wildcardMessage =
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
const qualifiedNameMessage =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const labelValueMessage =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const configMapKeyMessage = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
const httpHeaderNameMessage = "a valid HTTP header must consist of alphanumeric characters or '-'";

/** `message (e.g. 'a',  or 'b', regex used for validation is '...')`; two spaces as upstream has them. */
export function regexMessage(message: string, format: string, ...examples: string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${format}')`;
  return `${message} (e.g. ${examples.map((e) => `'${e}'`).join(",  or ")}, regex used for validation is '${format}')`;
}

const moreThanCharacters = (maximum: number) => `must be no more than ${maximum} characters`;
const moreThanBytes = (maximum: number) => `must be no more than ${maximum} bytes`;

export function dns1123LabelProblems(value: string): string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 63) problems.push(moreThanCharacters(63));
  if (!dns1123LabelPattern.test(value)) {
    problems.push(
      dns1123SubdomainPattern.test(value)
        ? "must not contain dots"
        : regexMessage(dns1123LabelMessage, dns1123LabelFormat, "my-name", "123-abc"),
    );
  }
  return problems;
}

export function dns1123SubdomainProblems(value: string): string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 253) problems.push(moreThanCharacters(253));
  if (!dns1123SubdomainPattern.test(value)) {
    problems.push(regexMessage(dns1123SubdomainMessage, dns1123SubdomainFormat, "example.com"));
  }
  return problems;
}

export function dns1035LabelProblems(value: string): string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 63) problems.push(moreThanCharacters(63));
  if (!dns1035LabelPattern.test(value)) {
    problems.push(regexMessage(dns1035LabelMessage, dns1035LabelFormat, "my-name", "abc-123"));
  }
  return problems;
}

export function wildcardDns1123SubdomainProblems(value: string): string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 253) problems.push(moreThanCharacters(253));
  if (!wildcardPattern.test(value)) {
    problems.push(regexMessage(wildcardMessage, wildcardDns1123SubdomainFormat, "*.example.com"));
  }
  return problems;
}

/** A label key, annotation key, finalizer, resource name: `name` or `prefix/name`. */
export function qualifiedNameProblems(value: string): string[] {
  const problems: string[] = [];
  const parts = value.split("/");
  let name: string;
  if (parts.length === 1) name = parts[0]!;
  else if (parts.length === 2) {
    name = parts[1]!;
    const prefix = parts[0]!;
    if (prefix === "") problems.push("prefix part must be non-empty");
    else problems.push(...prefixProblems(prefix).map((problem) => `prefix part ${problem}`));
  } else {
    const message = regexMessage(
      `a valid label key ${qualifiedNameMessage}`,
      qualifiedNameFormat,
      "MyName",
      "my.name",
      "123-abc",
    );
    return [`${message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  if (name === "") problems.push("name part must be non-empty");
  else if (utf8Length(name) > 63) problems.push(`name part ${moreThanBytes(63)}`);
  if (!qualifiedNamePattern.test(name)) {
    problems.push(
      `name part ${regexMessage(qualifiedNameMessage, qualifiedNameFormat, "MyName", "my.name", "123-abc")}`,
    );
  }
  return problems;
}

function prefixProblems(prefix: string): string[] {
  const problems: string[] = [];
  if (utf8Length(prefix) > 253) problems.push(moreThanBytes(253));
  if (!dns1123SubdomainPattern.test(prefix)) {
    problems.push(regexMessage(dns1123SubdomainMessage, dns1123SubdomainFormat, "example.com"));
  }
  return problems;
}

export function labelValueProblems(value: string): string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 63) problems.push(moreThanBytes(63));
  if (!labelValuePattern.test(value)) {
    problems.push(regexMessage(labelValueMessage, labelValueFormat, "MyValue", "my_value", "12345"));
  }
  return problems;
}

/** A key of a ConfigMap's or Secret's data. */
export function configMapKeyProblems(value: string): string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 253) problems.push(moreThanCharacters(253));
  if (!configMapKeyPattern.test(value)) {
    problems.push(regexMessage(configMapKeyMessage, configMapKeyFormat, "key.name", "KEY_NAME", "key-name"));
  }
  if (value === ".") problems.push("must not be '.'");
  else if (value === "..") problems.push("must not be '..'");
  else if (value.startsWith("..")) problems.push("must not start with '..'");
  return problems;
}

/** A Service port by name, as targetPort and container port names are written (IANA_SVC_NAME). */
export function portNameProblems(value: string): string[] {
  const problems: string[] = [];
  if (value.length > 15) problems.push(moreThanCharacters(15));
  if (!/^[-a-z0-9]+$/.test(value))
    problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(value)) problems.push("must contain at least one letter (a-z)");
  if (value.includes("--")) problems.push("must not contain consecutive hyphens");
  if (value.length > 0 && (value.startsWith("-") || value.endsWith("-"))) {
    problems.push("must not begin or end with a hyphen");
  }
  return problems;
}

export function portNumberProblems(port: number): string[] {
  return port >= 1 && port <= 65535 ? [] : ["must be between 1 and 65535, inclusive"];
}

/** Printable ASCII but `=`. */
export function environmentVariableNameProblems(value: string): string[] {
  const problems: string[] = [];
  if (value === "") problems.push("environment variable name must be non-empty");
  else if (!/^[\x20-\x3c\x3e-\x7e]+$/.test(value)) {
    problems.push("a valid environment variable name must consist only of printable ASCII characters other than '='");
  }
  return problems;
}

export function httpHeaderNameProblems(value: string): string[] {
  return httpHeaderNamePattern.test(value)
    ? []
    : [regexMessage(httpHeaderNameMessage, httpHeaderNameFormat, "X-Header-Name")];
}

/** A name that stands as one step of a URL path: RBAC roles, for instance. */
export function pathSegmentProblems(value: string): string[] {
  if (value === "." || value === "..") return [`may not be '${value}'`];
  return ["/", "%"].filter((part) => value.includes(part)).map((part) => `may not contain '${part}'`);
}

/** What a generateName prefix must fulfil: the rule of the name itself, a trailing dash forgiven. */
export function maskTrailingDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith("-") ? `${prefix.slice(0, -2)}a` : prefix;
}
