/** Fills Go's text/template. Numbers of the object are int64s and floats, those of the template ints: bigints. Pure. */
import { goQuote } from "../../../base/go-quote.ts";
import { entriesInOrder, goType, goValue } from "../../go-format.ts";
import { isTrue, templateFunctions } from "./functions.ts";
import { type Command, type Node, type Operand, type Pipeline, type Template, TemplateError } from "./parse.ts";

/** No argument from the stage before; unlike undefined, which is a value that is none. */
const missing = Symbol("missing");

/** Calls of templates by templates. */
const deepest = 100_000;

/** Ends a turn of a loop, or the loop. */
class Leaving {
  readonly word: "break" | "continue";

  constructor(word: "break" | "continue") {
    this.word = word;
  }
}

export interface Filled {
  text: string;
  /** What broke it off; `text` is what was there by then. */
  error?: TemplateError;
}

/** `allowsMissing`: what a map lacks is nothing, instead of an error. */
export function fillTemplate(template: Template, data: unknown, allowsMissing: boolean): Filled {
  const filling = new Filling(template, allowsMissing);
  try {
    filling.run(template.root, data);
    return { text: filling.text };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { text: filling.text, error };
  }
}

interface Variable {
  name: string;
  value: unknown;
}

class Filling {
  text = "";
  readonly #template: Template;
  readonly #allowsMissing: boolean;
  #name = "output";
  #depth = 0;
  #variables: Variable[] = [];
  /** What is being worked on, for messages. */
  #place: { at: number; text: string } = { at: 0, text: "" };

  constructor(template: Template, allowsMissing: boolean) {
    this.#template = template;
    this.#allowsMissing = allowsMissing;
  }

  run(nodes: readonly Node[], data: unknown): void {
    this.#variables = [{ name: "$", value: data }];
    this.#walkAll(nodes, data);
  }

  #fail(message: string): never {
    throw this.#failure(message);
  }

  #failure(message: string): TemplateError {
    const { at, text } = this.#place;
    const before = this.#template.source.slice(0, at);
    const column = Buffer.byteLength(before.slice(before.lastIndexOf("\n") + 1));
    const place = `output:${before.split("\n").length}:${column}`;
    return new TemplateError(`template: ${place}: executing ${goQuote(this.#name)} at <${text}>: ${message}`);
  }

  #walkAll(nodes: readonly Node[], dot: unknown): void {
    for (const node of nodes) this.#walk(node, dot);
  }

  #walk(node: Node, dot: unknown): void {
    switch (node.kind) {
      case "text":
        this.text += node.text;
        return;
      case "action": {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.variables.length === 0) {
          this.text += value === undefined || value === null ? "<no value>" : goValue(value, true);
        }
        return;
      }
      case "break":
      case "continue":
        throw new Leaving(node.kind);
      case "range":
        this.#range(node, dot);
        return;
      case "template":
        this.#call(node, dot);
        return;
      default: {
        const mark = this.#variables.length;
        const value = this.#pipeline(node.pipeline, dot);
        if (isTrue(value)) this.#walkAll(node.body, node.kind === "with" ? value : dot);
        else this.#walkAll(node.otherwise ?? [], dot);
        this.#variables.length = mark;
      }
    }
  }

  #range(node: Extract<Node, { kind: "if" | "with" | "range" }>, dot: unknown): void {
    const mark = this.#variables.length;
    const value = this.#pipeline(node.pipeline, dot);
    const { variables, isAssignment } = node.pipeline;
    const isCount = typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
    if (isCount && variables.length > 1) this.#fail(`can't use ${value} to iterate over more than one variable`);
    const turns = this.#turnsOf(value);
    const inner = this.#variables.length;
    for (const [key, item] of turns) {
      const values = variables.length > 1 ? [key, item] : [item];
      for (const [i, name] of variables.entries()) {
        if (isAssignment) this.#assign(name, values[i]);
        else this.#variables[inner - variables.length + i]!.value = values[i];
      }
      try {
        this.#walkAll(node.body, item);
      } catch (error) {
        if (!(error instanceof Leaving)) throw error;
        if (error.word === "break") break;
      } finally {
        this.#variables.length = inner;
      }
    }
    if (turns.length === 0) this.#walkAll(node.otherwise ?? [], dot);
    this.#variables.length = mark;
  }

  #turnsOf(value: unknown): [unknown, unknown][] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((item, i) => [BigInt(i), item]);
    if (typeof value === "object") return entriesInOrder(value);
    const isCount = typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
    if (!isCount) return this.#fail(`range can't iterate over ${goValue(value, true)}`);
    const isOwn = typeof value === "bigint";
    return Array.from({ length: Math.max(0, Number(value)) }, (_, i) => [undefined, isOwn ? BigInt(i) : i]);
  }

  #call(node: Extract<Node, { kind: "template" }>, dot: unknown): void {
    this.#place = node;
    const nodes = node.name === "output" ? this.#template.root : this.#template.defined.get(node.name);
    if (!nodes) throw this.#failure(`template ${goQuote(node.name)} not defined`);
    if (this.#depth === deepest) this.#fail(`exceeded maximum template depth (${deepest})`);
    const data = node.pipeline ? this.#pipeline(node.pipeline, dot) : undefined;
    const [name, variables] = [this.#name, this.#variables];
    this.#name = node.name;
    this.#variables = [{ name: "$", value: data }];
    this.#depth++;
    this.#walkAll(nodes, data);
    this.#depth--;
    [this.#name, this.#variables] = [name, variables];
  }

  #assign(name: string, value: unknown): void {
    this.#variables.findLast((variable) => variable.name === name)!.value = value;
  }

  #pipeline(pipeline: Pipeline, dot: unknown): unknown {
    this.#place = pipeline;
    let value: unknown = missing;
    for (const command of pipeline.commands) {
      value = this.#command(command, dot, value);
      // Nothing that is held by something is nothing.
      if (value === null) value = undefined;
    }
    for (const name of pipeline.variables) {
      if (pipeline.isAssignment) this.#assign(name, value);
      else this.#variables.push({ name, value });
    }
    return value;
  }

  #command(command: Command, dot: unknown, final: unknown): unknown {
    const [head, ...rest] = command.operands as [Operand, ...Operand[]];
    if (head.kind === "function") return this.#function(head.name, command, rest, dot, final);
    const hasArguments = rest.length > 0 || final !== missing;
    if (head.kind === "field" || head.kind === "variable" || head.kind === "chain") {
      const value = this.#operand(head, dot);
      if (!hasArguments) return value;
      const name = head.kind === "variable" && head.names.length === 0 ? undefined : head.names.at(-1);
      this.#place = head;
      return this.#fail(
        name === undefined
          ? `can't give argument to non-function ${head.text}`
          : `${name} is not a method but has arguments`,
      );
    }
    if (head.kind !== "pipeline") this.#place = head;
    if (hasArguments) this.#fail(`can't give argument to non-function ${head.text}`);
    if (head.kind === "nil") return this.#fail("nil is not a command");
    return this.#operand(head, dot);
  }

  #operand(operand: Operand, dot: unknown): unknown {
    if (operand.kind !== "pipeline") this.#place = operand;
    switch (operand.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "constant":
        return operand.value;
      case "field":
        return this.#fields(dot, operand.names);
      case "variable": {
        const variable = this.#variables.findLast(({ name }) => name === operand.name);
        return this.#fields(variable?.value, operand.names);
      }
      case "function":
        return this.#function(operand.name, operand, [], dot, missing);
      case "chain": {
        if (operand.head.kind === "nil") return this.#fail(`indirection through explicit nil in ${operand.text}`);
        const value = this.#operand(operand.head, dot);
        this.#place = operand;
        return this.#fields(value, operand.names);
      }
      case "pipeline":
        return this.#pipeline(operand.pipeline, dot);
    }
  }

  #fields(value: unknown, names: readonly string[]): unknown {
    return names.reduce((inner, name) => this.#field(inner, name), value);
  }

  #field(value: unknown, name: string): unknown {
    if (value === undefined)
      return this.#allowsMissing ? undefined : this.#fail(`nil data; no entry for key ${goQuote(name)}`);
    if (value === null) return this.#fail(`nil pointer evaluating interface {}.${name}`);
    if (typeof value !== "object" || Array.isArray(value)) {
      const isTop = value === this.#variables[0]?.value;
      return this.#fail(`can't evaluate field ${name} in type ${isTop ? goType(value, true) : "interface {}"}`);
    }
    if (Object.hasOwn(value, name)) return (value as Record<string, unknown>)[name];
    return this.#allowsMissing ? undefined : this.#fail(`map has no entry for key ${goQuote(name)}`);
  }

  #function(
    name: string,
    place: { at: number; text: string },
    rest: readonly Operand[],
    dot: unknown,
    final: unknown,
  ): unknown {
    const { takes, more = false, texts = 0, call } = templateFunctions[name]!;
    const count = rest.length + (final === missing ? 0 : 1);
    if (more ? count < takes : count !== takes) {
      this.#place = { at: place.at, text: name };
      this.#fail(
        `wrong number of args for ${name}: want ${more ? "at least " : ""}${takes} got ${more ? rest.length : count}`,
      );
    }
    if (name === "and" || name === "or") return this.#untilKnown(name, rest, dot, final);
    const args = rest.map((operand, i) => {
      const value = this.#operand(operand, dot);
      if (i < texts) this.#expectText(value, operand.kind === "constant" ? operand.text : undefined);
      return value;
    });
    if (final !== missing) {
      if (args.length < texts) this.#expectText(final, undefined);
      args.push(final);
    }
    try {
      return call(args);
    } catch (error) {
      this.#place = place;
      const reason = (error as Error).message;
      return this.#fail(
        `error calling ${name}: ${name === "call" ? reason.replace("function", `function ${rest[0]?.text ?? ""}`) : reason}`,
      );
    }
  }

  #untilKnown(name: "and" | "or", rest: readonly Operand[], dot: unknown, final: unknown): unknown {
    let value: unknown;
    for (const operand of rest) {
      value = this.#operand(operand, dot);
      if (isTrue(value) === (name === "or")) return value;
    }
    return final === missing ? value : final;
  }

  #expectText(value: unknown, constant: string | undefined): void {
    if (typeof value === "string") return;
    if (constant !== undefined) this.#fail(`expected string; found ${constant}`);
    if (value === undefined || value === null) this.#fail("invalid value; expected string");
    this.#fail(`wrong type for value; expected string; got ${goType(value, true)}`);
  }
}
