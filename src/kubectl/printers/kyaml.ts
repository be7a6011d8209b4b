/** KYAML (`-o kyaml`): YAML that no reader can take for something else, with braces, brackets and every string in quotes. Pure. */

/** The whole document, with the line that begins it. Keys stand in the order in which the value has them. */
export function encodeKyaml(value: unknown): string {
  return `---\n${rendered(value, 0)}\n`;
}

function rendered(value: unknown, level: number): string {
  if (typeof value === "string") return quoted(value, level + 1);
  if (Array.isArray(value)) return renderedList(value, level);
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  if (entries.length === 0) return "{}";
  const lines = entries.map(([key, inner]) => `${margin(level + 1)}${keyText(key)}: ${rendered(inner, level + 1)},\n`);
  return `{\n${lines.join("")}${margin(level)}}`;
}

/** Brackets cuddle those of what they hold, unless there is a scalar among it. */
function renderedList(items: readonly unknown[], level: number): string {
  if (items.length === 0) return "[]";
  if (items.every((item) => typeof item === "object" && item !== null)) {
    return `[${items.map((item) => rendered(item, level)).join(", ")}]`;
  }
  const lines = items.map((item) => `${margin(level + 1)}${rendered(item, level + 1)},\n`);
  return `[\n${lines.join("")}${margin(level)}]`;
}

const margin = (level: number): string => "  ".repeat(level);

/** On several lines when it has several: each ends in a backslash, which folds the break away. */
function quoted(text: string, level: number): string {
  if (!text.includes("\n")) return `"${escaped(text)}"`;
  const lines = text.split("\n");
  const last = lines.pop()!;
  const shown = [...lines.map((line) => `${line}\n`), ...(last ? [last] : [])].map((line) => {
    const body = line.replace(/\n$/, "");
    // Blanks at a line's beginning would be folded away with the margin.
    const head = /^\s/.test(body) ? "\\" : " ";
    return `${margin(level)}${head}${escaped(body)}${line.endsWith("\n") ? "\\n" : ""}\\\n`;
  });
  return `"\\\n${shown.join("")}${margin(level)}"`;
}

const keyText = (key: string): string => (needsQuotes(key) ? `"${escaped(key, "\\t").replaceAll("\n", "\\n")}"` : key);

/** Whether some YAML reader would take the word for another thing than a string. */
function needsQuotes(key: string): boolean {
  if (!/^[\p{L}\p{N}_](?:[\p{L}\p{N}_./-]*[\p{L}\p{N}_])?$/u.test(key)) return true;
  if (/^(?:null|true|false|t|f|y|yes|on|n|no|off)$/i.test(key)) return true;
  const digits = key.replaceAll("_", "");
  if (/^(?:0[xX][\da-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|\d+)$/.test(digits)) return true;
  if (/^(?:\d+\.?\d*(?:[eE][+-]?\d+)?|inf|infinity|nan)$/i.test(digits)) return true;
  return /^\d{4}-\d{1,2}-\d{1,2}$/.test(key);
}

const named: Readonly<Record<string, string>> = {
  "\0": "\\0",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\r": "\\r",
  "\v": "\\v",
  "\x1b": "\\e",
  "\x85": "\\N",
  "\xa0": "\\_",
  "\u2028": "\\L",
  "\u2029": "\\P",
};

/** A tab stays as it is, unless something else is wanted for it. */
function escaped(text: string, tab = "\t"): string {
  return text.replace(/["\\]|[^\P{C}\n]|[^\P{Z} ]/gu, (character) => {
    if (character === '"' || character === "\\") return `\\${character}`;
    if (character === "\t") return tab;
    const known = named[character];
    if (known) return known;
    const code = character.codePointAt(0)!;
    const hex = code.toString(16);
    if (code < 0x20 || code === 0x7f) return `\\x${hex.padStart(2, "0")}`;
    return code < 0x1_0000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
}
