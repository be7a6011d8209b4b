/** The syntax tree of a CEL expression. Macros stand in it as they are written; nothing is expanded. */

/** Offset in UTF-16 units of the source. */
export type Position = number;

export type Literal =
  | { kind: "null" }
  | { kind: "bool"; value: boolean }
  | { kind: "int"; value: bigint }
  | { kind: "uint"; value: bigint }
  | { kind: "double"; value: number }
  | { kind: "string"; value: string }
  | { kind: "bytes"; value: Uint8Array };

export type Macro =
  | "all"
  | "exists"
  | "existsOne"
  | "map"
  | "filter"
  | "transformList"
  | "transformMap"
  | "transformMapEntry"
  | "optMap"
  | "optFlatMap";

export type SyntaxNode =
  | { kind: "literal"; at: Position; literal: Literal }
  /** A leading dot means the root scope. */
  | { kind: "identifier"; at: Position; name: string; root: boolean }
  | { kind: "select"; at: Position; operand: SyntaxNode; field: string; optional: boolean }
  | { kind: "has"; at: Position; operand: SyntaxNode; field: string }
  | { kind: "call"; at: Position; name: string; target: SyntaxNode | undefined; args: SyntaxNode[] }
  | { kind: "list"; at: Position; elements: { value: SyntaxNode; optional: boolean }[] }
  | { kind: "map"; at: Position; entries: { key: SyntaxNode; value: SyntaxNode; optional: boolean }[] }
  | {
      kind: "struct";
      at: Position;
      typeName: string;
      fields: { at: Position; name: string; value: SyntaxNode; optional: boolean }[];
    }
  /** `variables` has one name, or two for the two-variable forms; `parts` are the macro's other arguments, in order. */
  | {
      kind: "macro";
      at: Position;
      macro: Macro;
      target: SyntaxNode;
      variables: string[];
      parts: SyntaxNode[];
    };

export interface Issue {
  at: Position;
  message: string;
}

/** How upstream prints problems of an expression: place, words, the line, and a caret under the place. */
export function formatIssues(source: string, issues: readonly Issue[]): string {
  return issues.map((issue) => formatIssue(source, issue)).join("\n");
}

function formatIssue(source: string, { at, message }: Issue): string {
  const before = source.slice(0, at);
  const line = before.split("\n").length;
  const start = before.lastIndexOf("\n") + 1;
  const column = [...source.slice(start, at)].length;
  const end = source.indexOf("\n", start);
  const text = source.slice(start, end < 0 ? undefined : end).replaceAll("\t", " ");
  return `ERROR: <input>:${line}:${column + 1}: ${message}\n | ${text}\n | ${".".repeat(column)}^`;
}
