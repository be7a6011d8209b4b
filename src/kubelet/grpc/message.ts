/**
 * Protobuf messages of the gRPC interfaces that a kubelet speaks (CRI, CSI, plugin registration), described by a table of
 * fields each, from which the types follow. As proto3 has it: absent scalars read as their zero value, absent messages as undefined.
 */
import { Reader, ReverseWriter, wireBytes, wireVarint } from "../../apimachinery/serializer/protobuf-wire.ts";

/** One field: how it is written from an `In` and what is read of it. */
export interface Field<In, Out> {
  readonly number: number;
  readonly initial: () => Out;
  /** Written back to front. */
  write(writer: ReverseWriter, value: In): void;
  read(reader: Reader, wire: number, before: Out): Out;
}

// biome-ignore lint/suspicious/noExplicitAny: the two sides of a field are inferred per field.
type Fields = Readonly<Record<string, Field<any, any>>>;

export type Written<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends Field<infer In, infer _> ? In : never;
};
export type Read<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer _, infer Out> ? Out : never };

export interface Message<F extends Fields = Fields> {
  readonly fields: F;
  encode(value: Written<F>): Buffer;
  /** Throws DecodeError for what is no such message. Unknown fields are passed over. */
  decode(bytes: Uint8Array): Read<F>;
}

export function message<F extends Fields>(fields: F): Message<F> {
  const byNumber = new Map(Object.entries(fields).map(([name, field]) => [field.number, { name, field }]));
  const self: Message<F> & Part<F> = {
    fields,
    encode(value) {
      const writer = new ReverseWriter(256);
      self.write(writer, value);
      return writer.finish();
    },
    decode: (bytes) => self.read(new Reader(bytes)),
    write(writer, value) {
      for (const [name, field] of Object.entries(fields).reverse()) {
        const part = value[name];
        if (part !== undefined) field.write(writer, part);
      }
    },
    read(reader) {
      const out: Record<string, unknown> = {};
      for (const [name, field] of Object.entries(fields)) out[name] = field.initial();
      while (!reader.done) {
        const tag = reader.uint();
        const known = byNumber.get(Math.floor(tag / 8));
        if (known) out[known.name] = known.field.read(reader, tag % 8, out[known.name]);
        else reader.skip(tag % 8);
      }
      return out as Read<F>;
    },
  };
  return self;
}

interface Part<F extends Fields> {
  write(writer: ReverseWriter, value: Written<F>): void;
  read(reader: Reader): Read<F>;
}

function partOf<F extends Fields>(type: Message<F>): Part<F> {
  return type as Message<F> & Part<F>; // Only `message` makes them.
}

export function text(number: number): Field<string, string> {
  return {
    number,
    initial: () => "",
    write(writer, value) {
      if (value === "") return;
      writer.string(value);
      writer.tag(number, wireBytes);
    },
    read: (reader) => reader.string(),
  };
}

export function bytes(number: number): Field<Uint8Array, Buffer> {
  return {
    number,
    initial: () => Buffer.alloc(0),
    write(writer, value) {
      writer.bytes(value);
      writer.tag(number, wireBytes);
    },
    read: (reader) => reader.bytes(),
  };
}

/** All integers and enums. Exact up to 2^53: nanoseconds since 1970 are rounded to a quarter of a microsecond. */
export function int(number: number): Field<number, number> {
  return {
    number,
    initial: () => 0,
    write(writer, value) {
      if (value === 0) return;
      writer.int(value);
      writer.tag(number, wireVarint);
    },
    read: (reader) => reader.int(),
  };
}

export function flag(number: number): Field<boolean, boolean> {
  return {
    number,
    initial: () => false,
    write(writer, value) {
      if (!value) return;
      writer.uint(1);
      writer.tag(number, wireVarint);
    },
    read: (reader) => reader.int() !== 0,
  };
}

export function part<F extends Fields>(number: number, type: Message<F>): Field<Written<F>, Read<F> | undefined> {
  return {
    number,
    initial: () => undefined,
    write(writer, value) {
      const { mark } = writer;
      partOf(type).write(writer, value);
      writer.length(mark);
      writer.tag(number, wireBytes);
    },
    read: (reader) => partOf(type).read(reader.message()),
  };
}

export function list<In, Out>(field: Field<In, Out>): Field<readonly In[], Exclude<Out, undefined>[]> {
  return {
    number: field.number,
    initial: () => [],
    write(writer, values) {
      for (const value of [...values].reverse()) field.write(writer, value);
    },
    read: (reader, wire, before) => [
      ...before,
      field.read(reader, wire, field.initial()) as Exclude<Out, undefined>, // Reading one never gives the absent one.
    ],
  };
}

/** Whole numbers one after the other. Written one tag each, which every reader takes; read either way. */
export function ints(number: number): Field<readonly number[], number[]> {
  return {
    number,
    initial: () => [],
    write(writer, values) {
      for (const value of [...values].reverse()) {
        writer.int(value);
        writer.tag(number, wireVarint);
      }
    },
    read(reader, wire, before) {
      if (wire === wireVarint) return [...before, reader.int()];
      const packed = reader.message();
      const values = [...before];
      while (!packed.done) values.push(packed.int());
      return values;
    },
  };
}

/** Text to text. */
export function map(number: number): Field<Readonly<Record<string, string>>, Record<string, string>> {
  const entry = partOf(message({ key: text(1), value: text(2) }));
  return {
    number,
    initial: () => ({}),
    write(writer, values) {
      for (const [key, value] of Object.entries(values).reverse()) {
        const { mark } = writer;
        entry.write(writer, { key, value });
        writer.length(mark);
        writer.tag(number, wireBytes);
      }
    },
    read(reader, _wire, before) {
      const { key, value } = entry.read(reader.message());
      return { ...before, [key]: value };
    },
  };
}

/** Text to messages. */
export function mapOf<F extends Fields>(
  number: number,
  type: Message<F>,
): Field<Readonly<Record<string, Written<F>>>, Record<string, Read<F>>> {
  const entry = partOf(message({ key: text(1), value: part(2, type) }));
  return {
    number,
    initial: () => ({}),
    write(writer, values) {
      for (const [key, value] of Object.entries(values).reverse()) {
        const { mark } = writer;
        entry.write(writer, { key, value });
        writer.length(mark);
        writer.tag(number, wireBytes);
      }
    },
    read(reader, _wire, before) {
      const { key, value } = entry.read(reader.message());
      return { ...before, [key]: value ?? type.decode(new Uint8Array()) };
    },
  };
}

/** A number that may be absent: protobuf's Int64Value and UInt64Value. */
export function wrapped(number: number): Field<number, number | undefined> {
  const inner = partOf(message({ value: int(1) }));
  return {
    number,
    initial: () => undefined,
    write(writer, value) {
      const { mark } = writer;
      inner.write(writer, { value });
      writer.length(mark);
      writer.tag(number, wireBytes);
    },
    read: (reader) => inner.read(reader.message()).value,
  };
}
