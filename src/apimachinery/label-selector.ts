/** Label selectors in the query's syntax (`app=web,tier in (a,b),!old`) and as objects (LabelSelector), with the messages upstream's parser gives. */
import type { LabelSelector as LabelSelectorObject } from "../api/meta/v1.ts";
import { labelValueProblems, qualifiedNameProblems } from "./name-validation.ts";

export type LabelOperator = "in" | "notin" | "exists" | "absent" | "gt" | "lt";

export interface LabelRequirement {
  key: string;
  operator: LabelOperator;
  values: readonly string[];
}

type Labels = Readonly<Record<string, string>> | undefined;

/** A conjunction of requirements. Immutable. */
export class LabelSelector {
  readonly requirements: readonly LabelRequirement[];

  constructor(requirements: readonly LabelRequirement[]) {
    this.requirements = requirements;
  }

  /** Selects every object. */
  static readonly everything = new LabelSelector([]);

  get isEverything(): boolean {
    return this.requirements.length === 0;
  }

  matches(labels: Labels): boolean {
    for (const requirement of this.requirements) if (!meets(requirement, labels)) return false;
    return true;
  }
}

function meets({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const has = labels !== undefined && Object.hasOwn(labels, key);
  const value = has ? labels[key]! : "";
  switch (operator) {
    case "in":
      return has && values.includes(value);
    case "notin":
      return !has || !values.includes(value);
    case "exists":
      return has;
    case "absent":
      return !has;
    case "gt":
      return has && isInteger(value) && BigInt(value) > BigInt(values[0]!);
    case "lt":
      return has && isInteger(value) && BigInt(value) < BigInt(values[0]!);
  }
}

/** What a LabelSelector object selects. Absent selects nothing, empty selects everything: the meaning upstream gives both. */
export function compileLabelSelector(selector: LabelSelectorObject | undefined): { matches(labels: Labels): boolean } {
  if (!selector) return { matches: () => false };
  const requirements: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    requirements.push({ key, operator: "in", values: [value] });
  }
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const compiled = expressionOperators[operator];
    if (!compiled) throw new Error(`"${operator}" is not a valid label selector operator`);
    requirements.push({ key, operator: compiled, values: values ?? [] });
  }
  return new LabelSelector(requirements);
}

const expressionOperators: Record<string, LabelOperator> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "absent",
};

/** A selector that cannot be understood; the message is upstream's. */
export class SelectorSyntaxError extends Error {
  override readonly name = "SelectorSyntaxError";
}

/** Parses the query's syntax. Throws SelectorSyntaxError. */
export function parseLabelSelector(text: string): LabelSelector {
  if (text === "") return LabelSelector.everything;
  return new LabelSelector(new Parser(scan(text)).parse());
}

type TokenKind = "word" | "end" | "," | "(" | ")" | "!" | "=" | "==" | "!=" | ">" | "<" | "in" | "notin";
interface Token {
  kind: TokenKind;
  text: string;
}

const special = new Set(["=", "!", "(", ")", ",", ">", "<"]);
const symbols = new Set<string>([")", ",", "!", "==", "=", ">", "<", "!=", "("]);
const whitespace = new Set([" ", "\t", "\r", "\n"]);

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at]!;
    if (whitespace.has(character)) {
      at++;
    } else if (special.has(character)) {
      const two = text.slice(at, at + 2);
      const symbol = symbols.has(two) ? two : character;
      tokens.push({ kind: symbol as TokenKind, text: symbol });
      at += symbol.length;
    } else {
      let end = at;
      while (end < text.length && !special.has(text[end]!) && !whitespace.has(text[end]!)) end++;
      const word = text.slice(at, end);
      tokens.push({ kind: word === "in" || word === "notin" ? word : "word", text: word });
      at = end;
    }
  }
  return tokens;
}

const end: Token = { kind: "end", text: "" };

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const first = this.#peek();
      if (first.kind === "end") return requirements;
      if (first.kind !== "word" && first.kind !== "!") {
        throw new SelectorSyntaxError(`found '${first.text}', expected: !, identifier, or 'end of string'`);
      }
      try {
        requirements.push(this.#requirement());
      } catch (error) {
        if (!(error instanceof SelectorSyntaxError)) throw error;
        throw new SelectorSyntaxError(`unable to parse requirement: ${error.message}`);
      }
      const next = this.#take();
      if (next.kind === "end") return requirements;
      if (next.kind !== ",") throw new SelectorSyntaxError(`found '${next.text}', expected: ',' or 'end of string'`);
      const after = this.#peek();
      if (after.kind !== "word" && after.kind !== "!") {
        throw new SelectorSyntaxError(`found '${after.text}', expected: identifier after ','`);
      }
    }
  }

  #requirement(): LabelRequirement {
    let token = this.#take();
    const negated = token.kind === "!";
    if (negated) token = this.#take();
    if (token.kind !== "word") throw new SelectorSyntaxError(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const problems = qualifiedNameProblems(key);
    if (problems.length > 0) {
      throw new SelectorSyntaxError(`<nil>: Invalid value: ${JSON.stringify(key)}: ${problems.join("; ")}`);
    }
    const next = this.#peek();
    if (negated) return { key, operator: "absent", values: [] };
    if (next.kind === "end" || next.kind === ",") return { key, operator: "exists", values: [] };
    const operator = this.#operator();
    const values = operator === "in" || operator === "notin" ? this.#values() : [this.#exactValue()];
    return requirementOf(key, operator, values);
  }

  #operator(): TokenKind {
    const token = this.#take(true);
    switch (token.kind) {
      case "in":
      case "notin":
      case "=":
      case "==":
      case "!=":
      case ">":
      case "<":
        return token.kind;
      default:
        throw new SelectorSyntaxError(`found '${token.text}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  #exactValue(): string {
    const next = this.#peek();
    if (next.kind === "end" || next.kind === ",") return "";
    const token = this.#take();
    if (token.kind === "word") return token.text;
    throw new SelectorSyntaxError(`found '${token.text}', expected: identifier`);
  }

  #values(): string[] {
    const open = this.#take();
    if (open.kind !== "(") throw new SelectorSyntaxError(`found '${open.text}' expected: '('`);
    const first = this.#peek();
    if (first.kind === ")") {
      this.#take();
      return [];
    }
    if (first.kind !== "word" && first.kind !== ",") {
      throw new SelectorSyntaxError(`found '${first.text}', expected: ',', ')' or identifier`);
    }
    const values = this.#identifiers();
    if (this.#take().kind !== ")") throw new SelectorSyntaxError(`found '${first.text}', expected: ')'`);
    return values;
  }

  #identifiers(): string[] {
    const values = new Set<string>();
    for (;;) {
      const token = this.#take();
      if (token.kind === "word") {
        values.add(token.text);
        const next = this.#peek();
        if (next.kind === ")") return [...values];
        if (next.kind !== ",") throw new SelectorSyntaxError(`found '${next.text}', expected: ',' or ')'`);
      } else if (token.kind === ",") {
        if (values.size === 0) values.add("");
        const next = this.#peek();
        if (next.kind === ")") {
          values.add("");
          return [...values];
        }
        if (next.kind === ",") {
          this.#take();
          values.add("");
        }
      } else {
        throw new SelectorSyntaxError(`found '${token.text}', expected: ',', or identifier`);
      }
    }
  }

  /** `in` and `notin` are ordinary words except where an operator is due. */
  #peek(): Token {
    return asValue(this.#tokens[this.#at] ?? end);
  }

  #take(operatorDue = false): Token {
    const token = this.#tokens[this.#at++] ?? end;
    return operatorDue ? token : asValue(token);
  }
}

function asValue(token: Token): Token {
  return token.kind === "in" || token.kind === "notin" ? { kind: "word", text: token.text } : token;
}

function requirementOf(key: string, symbol: TokenKind, values: string[]): LabelRequirement {
  const problems: string[] = [];
  if ((symbol === "in" || symbol === "notin") && values.length === 0) {
    problems.push("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
  }
  if ((symbol === ">" || symbol === "<") && !isInteger(values[0]!)) {
    problems.push(
      `values[0]: Invalid value: ${JSON.stringify(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer`,
    );
  }
  values.forEach((value, i) => {
    const wrong = labelValueProblems(value);
    if (wrong.length > 0) {
      problems.push(`values[${i}][${key}]: Invalid value: ${JSON.stringify(value)}: ${wrong.join("; ")}`);
    }
  });
  if (problems.length > 0)
    throw new SelectorSyntaxError(problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]`);
  return { key, operator: operatorOf[symbol]!, values };
}

const operatorOf: Partial<Record<TokenKind, LabelOperator>> = {
  in: "in",
  notin: "notin",
  "=": "in",
  "==": "in",
  "!=": "notin",
  ">": "gt",
  "<": "lt",
};

function isInteger(text: string): boolean {
  return /^[+-]?\d{1,18}$/.test(text);
}
