/** Which names, label keys and label values the API takes, and what it says of others (upstream's util/validation). Each check yields messages; none means right. */

const labelPart = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const qualifiedPart = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

const dnsLabelPattern = new RegExp(`^${labelPart}$`);
const dnsSubdomainPattern = new RegExp(`^${labelPart}(\\.${labelPart})*$`);
const dns1035Pattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedPattern = new RegExp(`^${qualifiedPart}$`);

const qualifiedRule = `must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualifiedPart}')`;
const subdomainRule = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${labelPart}(\\.${labelPart})*')`;
const labelRule = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${labelPart}')`;
const dns1035Rule =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const labelValueRule = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(${qualifiedPart})?')`;

/** A lower-case DNS name of several labels: what most objects may be called. */
export function dnsSubdomainProblems(name: string): string[] {
  const problems = [];
  if (Buffer.byteLength(name) > 253) problems.push("must be no more than 253 characters");
  if (!dnsSubdomainPattern.test(name)) problems.push(subdomainRule);
  return problems;
}

/** One lower-case label of a DNS name: namespaces, container names. */
export function dnsLabelProblems(name: string): string[] {
  const problems = [];
  if (Buffer.byteLength(name) > 63) problems.push("must be no more than 63 characters");
  if (!dnsLabelPattern.test(name)) problems.push(labelRule);
  return problems;
}

/** As a DNS label, but it begins with a letter: Services. */
export function dns1035LabelProblems(name: string): string[] {
  const problems = [];
  if (Buffer.byteLength(name) > 63) problems.push("must be no more than 63 characters");
  if (!dns1035Pattern.test(name)) problems.push(dns1035Rule);
  return problems;
}

/** Anything that can stand between two slashes of a URL: RBAC objects. */
export function pathSegmentProblems(name: string): string[] {
  if (name === ".") return ["may not be '.'"];
  if (name === "..") return ["may not be '..'"];
  const problems = [];
  if (name.includes("/")) problems.push("may not contain '/'");
  if (name.includes("%")) problems.push("may not contain '%'");
  return problems;
}

/** A key such as `app` or `example.com/app`: labels, annotations, taints, finalizers, resources. */
export function qualifiedNameProblems(key: string): string[] {
  const parts = key.split("/");
  if (parts.length > 2) {
    return [
      `a valid label key ${qualifiedRule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const problems: string[] = [];
  const name = parts[parts.length - 1] ?? "";
  const prefix = parts.length === 2 ? parts[0] : undefined;
  if (prefix === "") problems.push("prefix part must be non-empty");
  else if (prefix !== undefined) {
    if (Buffer.byteLength(prefix) > 253) problems.push("prefix part must be no more than 253 bytes");
    if (!dnsSubdomainPattern.test(prefix)) problems.push(`prefix part ${subdomainRule}`);
  }
  if (name === "") problems.push("name part must be non-empty");
  else if (Buffer.byteLength(name) > 63) problems.push("name part must be no more than 63 bytes");
  if (!qualifiedPattern.test(name)) problems.push(`name part ${qualifiedRule}`);
  return problems;
}

export function labelValueProblems(value: string): string[] {
  const problems = [];
  if (Buffer.byteLength(value) > 63) problems.push("must be no more than 63 bytes");
  if (value !== "" && !qualifiedPattern.test(value)) problems.push(labelValueRule);
  return problems;
}
