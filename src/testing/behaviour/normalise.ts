/**
 * Answers without what differs from run to run: uids, versions, addresses, generated names and times become placeholders, numbered
 * by first appearance within a case, so that equality is still compared. What a case itself sends stays as it is.
 */

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const timestamp = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g;
const clusterIp = /\b10\.96\.\d{1,3}\.\d{1,3}\b/g;
const wellKnownIps = new Set(["10.96.0.0", "10.96.0.1"]);
/** Versions inside messages. */
const messageVersions: readonly RegExp[] = [
  /((?:[Rr]esource ?[Vv]ersion(?: in precondition| in object meta)?|current|metadata\.resourceVersion)\\*"?:? ?\\*"?)(\d+)/g,
  /(too old resource version: (?:\d+|<rv>) \()(\d+)/g,
  /(\bin (?:the )?(?:precondition|record|object meta) \()(\d+)/g,
];
/** What the machine and the build decide. */
const unspecified = new Set(["gitCommit", "buildDate", "goVersion", "compiler", "platform", "gitTreeState"]);
const prefixLimit = 58;

type Fields = Record<string, unknown>;

export class Normaliser {
  readonly #namespace: string;
  readonly #numbers = new Map<string, Map<string, number>>();
  readonly #generated: { name: string; placeholder: string }[] = [];
  #sent = "";

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** What a request holds needs no placeholder in its answers. */
  sends(text: string): void {
    this.#sent += `\n${text}`;
  }

  text(text: string): string {
    let out = text;
    for (const { name, placeholder } of this.#generated) out = out.replaceAll(name, placeholder);
    out = out.replace(uuid, (found) => (this.#sent.includes(found) ? found : this.#numbered("uid", found)));
    out = out.replace(timestamp, (found) => (this.#sent.includes(found) ? found : "<time>"));
    out = out.replace(clusterIp, (found) =>
      wellKnownIps.has(found) || this.#sent.includes(found) ? found : this.#numbered("ip", found),
    );
    out = out.replace(/X509SHA256=[0-9a-f]+/g, "X509SHA256=<hash>").replace(/hash=[0-9A-F]{20,}/g, "hash=<hash>");
    out = out.replace(/(kube-api-access-)[bcdfghjklmnpqrstvwxz2456789]{5}/g, "$1<gen>");
    for (const pattern of messageVersions) {
      out = out.replace(pattern, (whole, before: string, digits: string) =>
        digits.length > 8 && this.#sent.includes(digits) ? whole : `${before}<rv>`,
      );
    }
    return this.#namespace ? out.replaceAll(this.#namespace, "{{ns}}") : out;
  }

  /** A whole answer, or the object of an event. Members come out sorted. */
  answer(value: unknown): unknown {
    this.#findGeneratedNames(value);
    return this.#value(sorted(value), "", false);
  }

  /** Bookmarks are about the whole collection: their version is no object's. */
  bookmark(value: unknown): unknown {
    const { metadata, ...rest } = value as Fields;
    const out = this.#value(sorted(rest), "", false) as Fields;
    return sorted({ ...out, ...(metadata ? { metadata: this.#members(sorted(metadata) as Fields, true) } : {}) });
  }

  #findGeneratedNames(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    const { metadata } = value as { metadata?: { name?: unknown; generateName?: unknown } };
    const { name, generateName } = metadata ?? {};
    if (typeof name === "string" && typeof generateName === "string" && generateName !== "") {
      const prefix = generateName.slice(0, prefixLimit);
      const isNew = !this.#generated.some((one) => one.name === name);
      if (isNew && name.startsWith(prefix)) {
        this.#generated.push({ name, placeholder: `${prefix}<gen${this.#generated.length + 1}>` });
      }
    }
    for (const member of Object.values(value)) this.#findGeneratedNames(member);
  }

  #value(value: unknown, key: string, ofList: boolean): unknown {
    if (typeof value === "string") return this.#string(value, key, ofList);
    if (typeof value === "number") {
      const isNodePort = (key === "nodePort" || key === "healthCheckNodePort") && value >= 30000 && value <= 32767;
      return isNodePort && !this.#sent.includes(String(value)) ? this.#numbered("port", String(value)) : value;
    }
    if (Array.isArray(value)) return this.#array(value, key);
    if (typeof value === "object" && value !== null) return this.#object(value as Fields, ofList);
    return value;
  }

  #string(value: string, key: string, ofList: boolean): string {
    if (key === "resourceVersion" && /^\d+$/.test(value)) {
      if (value === "0") return value;
      return ofList ? "<rv>" : this.#numbered("rv", value);
    }
    if (key === "continue" && value !== "") return "<continue>";
    if (key === "token" && value.length > 40) return "<token>";
    if (key === "serverAddress") return "<address>";
    if (unspecified.has(key)) return "<any>";
    return this.text(value);
  }

  #array(value: readonly unknown[], key: string): unknown[] {
    if (key === "managedFields")
      return (comparableManagers(value) as unknown[]).map((one) => this.#value(one, "", false));
    if (key === "cells") {
      return value.map((cell) =>
        typeof cell === "string" && /^(\d+[smhd])+$/.test(cell) ? "<age>" : this.#value(cell, "", false),
      );
    }
    const groups =
      key === "groups"
        ? value.filter((one) => !String((one as Fields)?.["name"] ?? "").endsWith(".corpus.test"))
        : value;
    return groups.map((one) => this.#value(one, "", false));
  }

  #object(value: Fields, ofList: boolean): Fields {
    const { kind } = value;
    const isList = typeof kind === "string" && /List$|^Table$/.test(kind) && (kind === "Table" || "items" in value);
    const out: Fields = {};
    for (const [key, member] of Object.entries(value)) {
      // Set by a controller, at its own time.
      if (key === "deployment.kubernetes.io/revision") continue;
      const inListMeta = key === "metadata" && isList && typeof member === "object" && member !== null;
      out[this.text(key)] = inListMeta
        ? this.#members(member as Fields, true)
        : this.#value(member, key, ofList && key !== "items");
    }
    return out;
  }

  #members(value: Fields, ofList: boolean): Fields {
    const out: Fields = {};
    for (const [key, member] of Object.entries(value)) out[this.text(key)] = this.#value(member, key, ofList);
    return out;
  }

  #numbered(what: string, found: string): string {
    let known = this.#numbers.get(what);
    if (!known) this.#numbers.set(what, (known = new Map()));
    if (!known.has(found)) known.set(found, known.size + 1);
    return `<${what}${known.get(found)}>`;
  }
}

/** Without their times and without controllers, which come when they come. */
function comparableManagers(entries: readonly unknown[]): unknown[] {
  const kept = (entries as Fields[])
    .filter((entry) => entry?.["manager"] !== "kube-controller-manager")
    .map(({ time: _time, ...entry }) => entry);
  const order = (entry: Fields) =>
    [entry["operation"], entry["manager"], entry["apiVersion"], entry["subresource"] ?? ""].join("|");
  return kept.sort((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const fields = value as Fields;
  return Object.fromEntries(
    Object.keys(fields)
      .sort()
      .map((key) => [key, sorted(fields[key])]),
  );
}

/** Types in the place of values; of an array, those of its first item. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (value === null) return null;
  if (typeof value !== "object") return typeof value;
  const fields = sorted(value) as Fields;
  return Object.fromEntries(Object.entries(fields).map(([key, member]) => [key, shapeOf(member)]));
}
