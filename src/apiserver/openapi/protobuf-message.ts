/** OpenAPI documents as gnostic's protobuf messages: what the two versions' writers share. JSON members become fields by name. */
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import { type ReverseWriter, wireBytes, wireFixed64, wireVarint } from "../../apimachinery/serializer/protobuf-wire.ts";

export type Json = Record<string, unknown>;

/** How one JSON member is written. A map is a list of (name, value) messages inside a message. */
export type Shape =
  | { kind: "string" | "strings" | "bool" | "double" | "int" | "any" | "anys" }
  | { kind: "message" | "messages"; of: () => Message }
  | { kind: "map"; of: () => Message; member: number }
  /** One message, or one for each item, whose inside is written by hand. */
  | { kind: "custom" | "repeated"; write(writer: ReverseWriter, value: unknown): void };

export interface Message {
  fields: Readonly<Record<string, readonly [number: number, shape: Shape]>>;
  /** The field that takes members beginning with `x-`. */
  extensions?: number;
}

export const string: Shape = { kind: "string" };
export const strings: Shape = { kind: "strings" };
export const bool: Shape = { kind: "bool" };
export const any: Shape = { kind: "any" };
export const anys: Shape = { kind: "anys" };
export const double: Shape = { kind: "double" };
export const int: Shape = { kind: "int" };
export const message = (of: () => Message): Shape => ({ kind: "message", of });
/** A message whose one field holds the value: how OpenAPI's "this or a list" and "this or a reference" travel. */
export const within = (number: number, shape: Shape): Shape => ({
  kind: "custom",
  write: (writer, value) => field(writer, number, shape, value),
});
export const map = (of: () => Message, member = 1): Shape => ({ kind: "map", of, member });

export function body(writer: ReverseWriter, type: Message, value: Json): void {
  for (const name of Object.keys(value).reverse()) {
    const member = value[name];
    if (member === undefined) continue;
    const known = type.fields[name];
    if (known) {
      const [number, shape] = known;
      field(writer, number, shape, member);
    } else if (type.extensions && name.startsWith("x-")) {
      named(writer, type.extensions, name, (inner) => anyValue(inner, member));
    }
  }
}

export function field(writer: ReverseWriter, number: number, shape: Shape, value: unknown): void {
  switch (shape.kind) {
    case "string":
      writer.string(String(value));
      writer.tag(number, wireBytes);
      return;
    case "strings":
      for (const item of (value as string[]).toReversed()) field(writer, number, string, item);
      return;
    case "bool":
      writer.uint(value ? 1 : 0);
      writer.tag(number, wireVarint);
      return;
    case "double":
      writer.double(Number(value));
      writer.tag(number, wireFixed64);
      return;
    case "int":
      writer.int(Number(value));
      writer.tag(number, wireVarint);
      return;
    case "repeated":
      for (const item of (value as unknown[]).toReversed()) nested(writer, number, () => shape.write(writer, item));
      return;
    case "any":
      nested(writer, number, () => anyValue(writer, value));
      return;
    case "anys":
      for (const item of (value as unknown[]).toReversed()) field(writer, number, any, item);
      return;
    case "message":
      nested(writer, number, () => body(writer, shape.of(), value as Json));
      return;
    case "messages":
      for (const item of (value as Json[]).toReversed()) nested(writer, number, () => body(writer, shape.of(), item));
      return;
    case "map":
      nested(writer, number, () => {
        for (const [name, item] of Object.entries(value as Json).reverse()) {
          named(writer, shape.member, name, () => body(writer, shape.of(), item as Json));
        }
      });
      return;
    case "custom":
      nested(writer, number, () => shape.write(writer, value));
  }
}

export function nested(writer: ReverseWriter, number: number, write: () => void): void {
  const { mark } = writer;
  write();
  writer.length(mark);
  writer.tag(number, wireBytes);
}

/** A (name, value) pair: how maps travel. */
export function named(
  writer: ReverseWriter,
  number: number,
  name: string,
  write: (writer: ReverseWriter) => void,
): void {
  nested(writer, number, () => {
    nested(writer, 2, () => write(writer));
    writer.string(name);
    writer.tag(1, wireBytes);
  });
}

/** Anything else travels as YAML text, which JSON is. */
function anyValue(writer: ReverseWriter, value: unknown): void {
  writer.string(typeof value === "string" ? value : stringifyExactly(value));
  writer.tag(2, wireBytes);
}
