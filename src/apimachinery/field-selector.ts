/** Field selectors of a query (`metadata.name=web,status.phase!=Running`), with the messages upstream's parser gives. Which fields a kind knows is the kind's matter. */
import { SelectorSyntaxError } from "./label-selector.ts";

export interface FieldRequirement {
  field: string;
  value: string;
  negated: boolean;
}

/** Parses the query's syntax. Throws SelectorSyntaxError. `\` escapes `\`, `,` and `=`. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text)) {
    if (term === "") continue;
    const parsed = splitTerm(term);
    if (!parsed) throw new SelectorSyntaxError(`invalid selector: '${text}'; can't understand '${term}'`);
    requirements.push({ field: parsed.field, negated: parsed.negated, value: unescapeValue(parsed.value) });
  }
  return requirements;
}

function splitTerms(text: string): string[] {
  if (text === "") return [];
  const terms: string[] = [];
  let start = 0;
  let escaped = false;
  for (let i = 0; i < text.length; i++) {
    if (escaped) escaped = false;
    else if (text[i] === "\\") escaped = true;
    else if (text[i] === ",") {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function splitTerm(term: string): { field: string; value: string; negated: boolean } | undefined {
  for (let i = 0; i < term.length; i++) {
    for (const operator of ["!=", "==", "="]) {
      if (term.startsWith(operator, i)) {
        return { field: term.slice(0, i), value: term.slice(i + operator.length), negated: operator === "!=" };
      }
    }
  }
  return undefined;
}

function unescapeValue(value: string): string {
  if (!/[\\,=]/.test(value)) return value;
  let out = "";
  for (let i = 0; i < value.length; i++) {
    const character = value[i]!;
    if (character === "\\") {
      const next = value[++i];
      if (next === undefined)
        throw new SelectorSyntaxError("invalid field selector: escaped character at end of string");
      if (next !== "\\" && next !== "," && next !== "=") {
        throw new SelectorSyntaxError(`invalid field selector: invalid escape sequence: \\${next}`);
      }
      out += next;
    } else if (character === "," || character === "=") {
      throw new SelectorSyntaxError(`invalid field selector: unescaped character in field selector: ${character}`);
    } else {
      out += character;
    }
  }
  return out;
}
