/** Label and field selectors: the query syntax, LabelSelector objects and matching (labels and fields packages upstream). */
import type { LabelSelector, LabelSelectorRequirement } from "../api/meta/v1.ts";
import { labelValueProblems, qualifiedNameProblems } from "./name-validation.ts";

/** The selector cannot be understood. The message is upstream's and goes into a 400. */
export class SelectorError extends Error {
  override name = "SelectorError";
}

export type LabelOperator = "in" | "notin" | "=" | "==" | "!=" | "exists" | "!" | "gt" | "lt";

export interface LabelRequirement {
  key: string;
  operator: LabelOperator;
  values: readonly string[];
}

type Labels = Readonly<Record<string, string>> | undefined;

/** What decides whether an object's labels are wanted. */
export interface LabelMatcher {
  /** Undefined when nothing can match. */
  readonly requirements: readonly LabelRequirement[] | undefined;
  matches(labels: Labels): boolean;
  /** The query syntax, keys sorted: parsing it gives the same matcher. Empty for both everything and nothing. */
  toString(): string;
}

export const everything: LabelMatcher = { requirements: [], matches: () => true, toString: () => "" };
export const nothing: LabelMatcher = { requirements: undefined, matches: () => false, toString: () => "" };

/** `app=web,tier in (front,back),!canary`. Throws a SelectorError in upstream's words. */
export function parseLabelSelector(text: string): LabelMatcher {
  if (text === "") return everything;
  return matcherOf(new LabelParser(tokenize(text)).parse());
}

/** matchLabels and matchExpressions. Absent selects nothing, empty selects everything, as upstream. Throws a SelectorError when it is invalid. */
export function labelSelectorMatcher(selector: LabelSelector | undefined): LabelMatcher {
  if (!selector) return nothing;
  const requirements = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => requirement(key, "=", [value]));
  for (const expression of selector.matchExpressions ?? []) requirements.push(expressionRequirement(expression));
  return matcherOf(requirements);
}

/** A plain map, as Services and node selectors have it: every pair must be present. */
export function labelMapMatcher(map: Labels): LabelMatcher {
  return matcherOf(Object.entries(map ?? {}).map(([key, value]) => ({ key, operator: "=", values: [value] })));
}

/** How a LabelSelector prints in tables and scale statuses: `app=web,tier in (a,b)`, `<none>`, `<error>`. */
export function formatLabelSelector(selector: LabelSelector | undefined): string {
  try {
    return labelSelectorMatcher(selector).toString() || "<none>";
  } catch (error) {
    if (error instanceof SelectorError) return "<error>";
    throw error;
  }
}

function expressionRequirement({ key, operator, values }: LabelSelectorRequirement): LabelRequirement {
  switch (operator) {
    case "In":
      return requirement(key, "in", values ?? []);
    case "NotIn":
      return requirement(key, "notin", values ?? []);
    case "Exists":
      return requirement(key, "exists", values ?? []);
    case "DoesNotExist":
      return requirement(key, "!", values ?? []);
    default:
      throw new SelectorError(`"${operator}" is not a valid label selector operator`);
  }
}

function matcherOf(requirements: readonly LabelRequirement[]): LabelMatcher {
  if (requirements.length === 0) return everything;
  return {
    requirements,
    matches: (labels) => requirements.every((requirement) => meets(labels ?? {}, requirement)),
    toString: () =>
      requirements
        .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
        .map(requirementText)
        .join(","),
  };
}

function meets(labels: Readonly<Record<string, string>>, { key, operator, values }: LabelRequirement): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "in":
    case "=":
    case "==":
      return value !== undefined && values.includes(value);
    case "notin":
    case "!=":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
    case "lt": {
      if (value === undefined || !integerPattern.test(value)) return false;
      const [actual, limit] = [BigInt(value), BigInt(values[0]!)];
      return operator === "gt" ? actual > limit : actual < limit;
    }
  }
}

function requirementText({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case "exists":
      return key;
    case "!":
      return `!${key}`;
    case "in":
    case "notin":
      return `${key} ${operator} (${values.toSorted().join(",")})`;
    case "gt":
      return `${key}>${values[0]}`;
    case "lt":
      return `${key}<${values[0]}`;
    default:
      return `${key}${operator}${values[0]}`;
  }
}

const integerPattern = /^[+-]?[0-9]+$/;

/** Checks a requirement as upstream does, field paths included. */
function requirement(key: string, operator: LabelOperator, values: readonly string[]): LabelRequirement {
  const problems: string[] = [];
  const invalid = (path: string, value: unknown, detail: string) =>
    problems.push(`${path}: Invalid value: ${JSON.stringify(value)}: ${detail}`);
  const keyProblems = qualifiedNameProblems(key);
  if (keyProblems.length > 0) invalid("key", key, keyProblems.join("; "));
  switch (operator) {
    case "in":
    case "notin":
      if (values.length === 0) invalid("values", values, "for 'in', 'notin' operators, values set can't be empty");
      break;
    case "=":
    case "==":
    case "!=":
      if (values.length !== 1) invalid("values", values, "exact-match compatibility requires one single value");
      break;
    case "exists":
    case "!":
      if (values.length > 0) invalid("values", values, "values set must be empty for exists and does not exist");
      break;
    case "gt":
    case "lt":
      if (values.length !== 1) invalid("values", values, "for 'Gt', 'Lt' operators, exactly one value is required");
      for (const [index, value] of values.entries()) {
        if (!integerPattern.test(value)) {
          invalid(`values[${index}]`, value, "for 'Gt', 'Lt' operators, the value must be an integer");
        }
      }
  }
  for (const [index, value] of values.entries()) {
    const valueProblems = labelValueProblems(value);
    if (valueProblems.length > 0) invalid(`values[${index}][${key}]`, value, valueProblems.join("; "));
  }
  if (problems.length > 0) throw new SelectorError(problems.length === 1 ? problems[0] : `[${problems.join(", ")}]`);
  return { key, operator, values };
}

type TokenKind =
  | "error"
  | ")"
  | ","
  | "!"
  | "=="
  | "end"
  | "="
  | "identifier"
  | "in"
  | "!="
  | "notin"
  | "("
  | ">"
  | "<";

interface Token {
  kind: TokenKind;
  text: string;
}

const symbolTokens: ReadonlySet<string> = new Set([")", ",", "!", "==", "=", "!=", "(", ">", "<"]);
const isSymbol = (character: string) => "=!(),><".includes(character);
const isSpace = (character: string) => " \t\r\n".includes(character);

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  while (position < text.length) {
    const character = text[position]!;
    if (isSpace(character)) {
      position++;
    } else if (isSymbol(character)) {
      const symbol = scanSymbol(text, position);
      tokens.push(symbol.token);
      position = symbol.end;
    } else {
      let end = position;
      while (end < text.length && !isSymbol(text[end]!) && !isSpace(text[end]!)) end++;
      const word = text.slice(position, end);
      tokens.push({ kind: word === "in" || word === "notin" ? word : "identifier", text: word });
      position = end;
    }
  }
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

/** The longest token that starts here. */
function scanSymbol(text: string, start: number): { token: Token; end: number } {
  let found: Token | undefined;
  let end = start;
  while (end < text.length && isSymbol(text[end]!)) {
    const candidate = text.slice(start, end + 1);
    if (symbolTokens.has(candidate)) found = { kind: candidate as TokenKind, text: candidate };
    else if (found) break;
    end++;
  }
  return { token: found ?? { kind: "error", text: `error expected: keyword found '${text.slice(start, end)}'` }, end };
}

/** Where "in" and "notin" may also be ordinary words. */
type Context = "values" | "key-and-operator";

class LabelParser {
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const token = this.#peek("values");
      if (token.kind === "end") return requirements;
      if (token.kind !== "identifier" && token.kind !== "!") {
        throw new SelectorError(`found '${token.text}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirement());
      const separator = this.#take("values");
      if (separator.kind === "end") return requirements;
      if (separator.kind !== ",") {
        throw new SelectorError(`found '${separator.text}', expected: ',' or 'end of string'`);
      }
      const next = this.#peek("values");
      if (next.kind !== "identifier" && next.kind !== "!") {
        throw new SelectorError(`found '${next.text}', expected: identifier after ','`);
      }
    }
  }

  #requirement(): LabelRequirement {
    try {
      return this.#requirementUnwrapped();
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      throw new SelectorError(`unable to parse requirement: ${error.message}`);
    }
  }

  #requirementUnwrapped(): LabelRequirement {
    let token = this.#take("values");
    const negated = token.kind === "!";
    if (negated) token = this.#take("values");
    if (token.kind !== "identifier") throw new SelectorError(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const problems = qualifiedNameProblems(key);
    if (problems.length > 0) {
      throw new SelectorError(`<nil>: Invalid value: ${JSON.stringify(key)}: ${problems.join("; ")}`);
    }
    if (negated) return requirement(key, "!", []);
    const next = this.#peek("values").kind;
    if (next === "end" || next === ",") return requirement(key, "exists", []);
    const operator = this.#operator();
    if (operator === "in" || operator === "notin") return requirement(key, operator, [...this.#values()].toSorted());
    return requirement(key, operator, [this.#exactValue()]);
  }

  #operator(): LabelOperator {
    const token = this.#take("key-and-operator");
    switch (token.kind) {
      case "in":
      case "notin":
      case "=":
      case "==":
      case "!=":
        return token.kind;
      case ">":
        return "gt";
      case "<":
        return "lt";
      default:
        throw new SelectorError(`found '${token.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  #exactValue(): string {
    const next = this.#peek("values").kind;
    if (next === "end" || next === ",") return "";
    const token = this.#take("values");
    if (token.kind !== "identifier") throw new SelectorError(`found '${token.text}', expected: identifier`);
    return token.text;
  }

  #values(): Set<string> {
    const open = this.#take("values");
    if (open.kind !== "(") throw new SelectorError(`found '${open.text}' expected: '('`);
    const first = this.#peek("values");
    if (first.kind === ")") {
      this.#take("values");
      return new Set([""]);
    }
    if (first.kind !== "identifier" && first.kind !== ",") {
      throw new SelectorError(`found '${first.text}', expected: ',', ')' or identifier`);
    }
    const values = this.#identifiers();
    if (this.#take("values").kind !== ")") throw new SelectorError(`found '${first.text}', expected: ')'`);
    return values;
  }

  /** Commas with nothing between them stand for the empty value. */
  #identifiers(): Set<string> {
    const values = new Set<string>();
    for (;;) {
      const token = this.#take("values");
      if (token.kind === "identifier") {
        values.add(token.text);
        const next = this.#peek("values");
        if (next.kind === ")") return values;
        if (next.kind !== ",") throw new SelectorError(`found '${next.text}', expected: ',' or ')'`);
      } else if (token.kind === ",") {
        if (values.size === 0) values.add("");
        const next = this.#peek("values").kind;
        if (next === ")") return values.add("");
        if (next === ",") {
          this.#take("values");
          values.add("");
        }
      } else {
        throw new SelectorError(`found '${token.text}', expected: ',', or identifier`);
      }
    }
  }

  #peek(context: Context): Token {
    const token = this.#tokens[this.#position] ?? this.#tokens.at(-1)!;
    const isWord = token.kind === "in" || token.kind === "notin";
    return context === "values" && isWord ? { kind: "identifier", text: token.text } : token;
  }

  #take(context: Context): Token {
    const token = this.#peek(context);
    this.#position++;
    return token;
  }
}

export interface FieldRequirement {
  field: string;
  operator: "=" | "!=";
  value: string;
}

/** `metadata.name=web,status.phase!=Running`. Throws a SelectorError in upstream's words. Whether a kind has the field is not decided here. */
export function parseFieldSelector(text: string): FieldRequirement[] {
  const requirements: FieldRequirement[] = [];
  for (const term of splitFieldTerms(text).toSorted()) {
    if (term === "") continue;
    const match = /(!=|==|=)/.exec(term);
    if (!match) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
    const value = unescapeFieldValue(term.slice(match.index + match[0].length));
    requirements.push({ field: term.slice(0, match.index), operator: match[0] === "!=" ? "!=" : "=", value });
  }
  return requirements;
}

/** Splits at commas that no backslash precedes. */
function splitFieldTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === ",") {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function unescapeFieldValue(text: string): string {
  let value = "";
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === "\\") {
      const escaped = text[++i];
      if (escaped === undefined || !"\\,=".includes(escaped)) {
        throw new SelectorError(`invalid field selector: invalid escape sequence: \\${escaped ?? ""}`);
      }
      value += escaped;
    } else if (character === "," || character === "=") {
      throw new SelectorError(`invalid field selector: unescaped character in value: ${character.charCodeAt(0)}`);
    } else {
      value += character;
    }
  }
  return value;
}
