/**
 * YAML as programs write kubeconfigs: blocks of maps and lists with one-line scalars. Reading it so takes a tenth of what a whole
 * YAML parser takes to load and run, which everyone who types a command would wait for.
 */

/** Given for what is more than that: the whole parser's work. */
const tooMuch = Symbol("more than plain YAML");

interface Line {
  indent: number;
  text: string;
}

/** What the text says, every scalar as text, and an empty one for nothing. Undefined where it takes a whole parser to tell. */
export function parsePlainYaml(source: string): unknown {
  if (source.includes("\t") || source.includes("\r")) return undefined;
  const lines: Line[] = [];
  for (const [at, line] of source.split("\n").entries()) {
    const text = line.trim();
    if (text === "" || text.startsWith("#") || (at === 0 && text === "---")) continue;
    lines.push({ indent: line.length - line.trimStart().length, text });
  }
  if (lines.length === 0) return undefined;
  try {
    const reader = new Reader(lines);
    const value = reader.block(lines[0]!.indent);
    return reader.isDone ? value : undefined;
  } catch (error) {
    if (error === tooMuch) return undefined;
    throw error;
  }
}

class Reader {
  readonly #lines: Line[];
  #at = 0;

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  get isDone(): boolean {
    return this.#at === this.#lines.length;
  }

  block(indent: number): unknown {
    return isItem(this.#lines[this.#at]!) ? this.#list(indent) : this.#map(indent);
  }

  #list(indent: number): unknown[] {
    const items: unknown[] = [];
    for (let line = this.#lines[this.#at]; line?.indent === indent && isItem(line); line = this.#lines[this.#at]) {
      const rest = line.text.slice(1).trimStart();
      if (rest === "") throw tooMuch;
      if (isItem({ indent, text: rest })) throw tooMuch;
      if (!field.test(rest)) {
        this.#at++;
        items.push(this.#scalar(rest, indent));
        continue;
      }
      // `- name: a` is a map that begins where its first key stands.
      const inner = indent + line.text.length - rest.length;
      this.#lines[this.#at] = { indent: inner, text: rest };
      items.push(this.#map(inner));
    }
    return items;
  }

  #map(indent: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let line = this.#lines[this.#at]; line?.indent === indent && !isItem(line); line = this.#lines[this.#at]) {
      const [, key, value] = field.exec(line.text) ?? [];
      if (key === undefined || key === "__proto__" || Object.hasOwn(map, key)) throw tooMuch;
      this.#at++;
      map[key] = value ? this.#scalar(value, indent) : this.#nested(indent);
    }
    return map;
  }

  #nested(indent: number): unknown {
    const next = this.#lines[this.#at];
    if (next && next.indent > indent) return this.block(next.indent);
    return next && next.indent === indent && isItem(next) ? this.#list(indent) : "";
  }

  #scalar(text: string, indent: number): unknown {
    const next = this.#lines[this.#at];
    // It may go on there.
    if (next && next.indent > indent) throw tooMuch;
    if (text === "{}") return {};
    if (text === "[]") return [];
    const quoted = /^"([^"\\]*)"$|^'([^']*)'$/.exec(text);
    if (quoted) return quoted[1] ?? quoted[2];
    if (/^[?:,[\]{}#&*!|>'"%@`]|^-(?![-\w])|: | #|:$/.test(text)) throw tooMuch;
    return text;
  }
}

const field = /^([\w./-]+):(?: +(\S.*))?$/;

const isItem = ({ text }: Line): boolean => text === "-" || text.startsWith("- ");
