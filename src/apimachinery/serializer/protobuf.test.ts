import { describe, expect, it } from "vitest";
import type { Pod } from "../../api/core/v1.ts";
import { allTypeSchemas, schemaForKind, type TypeSchema, type ValueSchema } from "../../api/schema.ts";
import { conform } from "../strict-decode.ts";
import {
  decodeProtobuf,
  encodeEnvelope,
  encodeMessage,
  encodeProtobuf,
  encodeWatchEvent,
  frame,
  listPieces,
  readEnvelope,
} from "./protobuf.ts";

const pod = schemaForKind("", "v1", "Pod")!;

/** Protobuf does not tell an empty list from none. */
function emptyListsAsNull(object: object): object {
  const withNull = (_: string, value: unknown) => {
    if (typeof value === "bigint") return `${value}n`;
    return Array.isArray(value) && value.length === 0 ? null : value;
  };
  return JSON.parse(JSON.stringify(object, withNull));
}

describe("protobuf", () => {
  const kinds = [...allTypeSchemas()].filter((type) => type.gvk && type.gvk.group !== "meta.k8s.io");
  it.each(kinds.map((type) => [`${type.gvk!.group}/${type.gvk!.version} ${type.name}`, type] as const))(
    "%s comes back as it was sent",
    (_, type) => {
      for (let seed = 0; seed < 8; seed++) {
        const { object } = conform<object>(fill(type, new Sequence(seed), 0), type);
        expect(emptyListsAsNull(decodeProtobuf(encodeProtobuf(object, type), type))).toEqual(emptyListsAsNull(object));
      }
    },
  );

  it("writes the bytes upstream writes", () => {
    const namespace = {
      kind: "Namespace",
      apiVersion: "v1",
      metadata: { name: "a", labels: { b: "c" } },
      spec: {},
      status: { phase: "Active" },
    };
    const bytes = encodeProtobuf(namespace, schemaForKind("", "v1", "Namespace")!);
    expect(bytes.subarray(0, 4).toString()).toBe("k8s\0");
    expect(bytes.subarray(4).toString("hex")).toBe(
      // typeMeta, raw { metadata { name, labels }, spec, status }, contentEncoding, contentType
      "0a0f" +
        "0a027631" +
        "12094e616d657370616365" +
        "1219" +
        ("0a0b" + "0a0161" + "5a06" + "0a01621201" + "63") +
        "1200" +
        "1a08" +
        "0a06416374697665" +
        "1a00" +
        "2200",
    );
  });

  it("puts encoded items into lists and watch events without decoding them", () => {
    const list = schemaForKind("", "v1", "PodList")!;
    const items = ["a", "b"].map((name) => encodeMessage({ metadata: { name } }, pod));
    const pieces = listPieces({ apiVersion: "v1", kind: "PodList" }, { resourceVersion: "7" }, items, list);
    const bytes = Buffer.concat([...pieces]);
    expect(decodeProtobuf(bytes, list)).toMatchObject({
      kind: "PodList",
      metadata: { resourceVersion: "7" },
      items: [{ metadata: { name: "a" } }, { metadata: { name: "b" } }],
    });
    const event = encodeWatchEvent("ADDED", encodeEnvelope({ apiVersion: "v1", kind: "Pod" }, items[0]!));
    expect(frame(event).readUInt32BE()).toBe(event.length);
    expect(event.subarray(2, 7).toString()).toBe("ADDED");
  });

  it("skips fields it does not know and takes packed numbers", () => {
    const message = Buffer.concat([
      Buffer.from([0xaa, 0x3f, 1, 0, 0xa0, 0x3f, 5, 0xa1, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8, 0xa5, 0x3f, 1, 2, 3, 4]),
      encodeMessage({ metadata: { name: "a" } }, pod),
    ]);
    expect(decodeProtobuf<Pod>(encodeEnvelope({ apiVersion: "v1", kind: "Pod" }, message), pod).metadata.name).toBe(
      "a",
    );
  });

  it.each([
    [Buffer.from("{}"), "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"],
    [Buffer.from("k8s\0\x12\x7f"), "unexpected EOF"],
    [Buffer.from("k8s\0\x12\x01\x0a"), "unexpected EOF"],
    [Buffer.from("k8s\0\x12\x02\x08\x01"), "proto: wrong wireType = 0"],
    [Buffer.concat([Buffer.from("k8s\0"), Buffer.alloc(20, 0xff)]), "proto: integer overflow"],
  ])("refuses %j", (bytes, message) => {
    expect(() => decodeProtobuf(bytes, pod)).toThrow(message);
  });

  it("never fails on damaged bytes with anything but a DecodeError", () => {
    const bytes = encodeProtobuf(conform<object>(fill(pod, new Sequence(1), 0), pod).object, pod);
    for (let i = 4; i < bytes.length; i += 7) {
      const damaged = Buffer.from(bytes);
      damaged[i]! ^= 1 << (i % 8);
      try {
        decodeProtobuf(damaged, pod);
      } catch (error) {
        expect((error as Error).name).toBe("DecodeError");
      }
    }
  });

  it("tells which kind an envelope holds", () => {
    expect(readEnvelope(encodeProtobuf({ apiVersion: "v1", kind: "Pod" }, pod))).toMatchObject({
      apiVersion: "v1",
      kind: "Pod",
    });
  });
});

/** A cheap source of varied values. */
class Sequence {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 7919 + 1;
  }

  next(bound: number): number {
    this.#state = (Math.imul(this.#state, 1103515245) + 12345) >>> 0;
    return (this.#state >>> 8) % bound;
  }
}

function fill(type: TypeSchema, values: Sequence, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const field of type.fields) {
    if (depth > 12 || (depth > 3 && values.next(4) !== 0)) continue;
    if (type.gvk && depth === 0 && field.name === "kind") object["kind"] = type.gvk.kind;
    else if (type.gvk && depth === 0 && field.name === "apiVersion") object["apiVersion"] = "x/v1";
    // Items of a list have no apiVersion and kind in protobuf.
    else if (field.protobuf && values.next(5) !== 0) {
      const value = valueFor(field.value, values, depth + 1);
      // What JSON keeps apart, an empty list and none, is one in protobuf.
      const isLost = field.whenEmpty === "keep" && Array.isArray(value) && value.length === 0;
      if (!isLost) object[field.name] = value;
    }
  }
  return object;
}

function valueFor(value: ValueSchema, values: Sequence, depth: number): unknown {
  switch (value.kind) {
    case "struct":
      return fill(value.type, values, depth);
    case "list":
      return Array.from({ length: values.next(3) }, () => valueFor(value.items, values, depth));
    case "map":
      return Object.fromEntries(
        Array.from({ length: values.next(3) }, (_, i) => [`key${i}`, valueFor(value.values, values, depth)]),
      );
    case "any":
      return { "f:x": { n: values.next(9), s: "ünï" } };
    case "either":
      return values.next(2) && depth < 6
        ? fill(value.struct.type, values, depth + 4)
        : valueFor(value.or, values, depth + 4);
    case "scalar":
      return {
        string: () => ["", "text", "Grüße, 世界", "x".repeat(200)][values.next(4)],
        boolean: () => values.next(2) === 1,
        int32: () => [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 300][values.next(6)],
        int64: () => [0, -1, 2 ** 40, -(2n ** 63n), 2n ** 53n + 1n, 5][values.next(6)],
        double: () => [0.5, -1e100, 3][values.next(3)],
        bytes: () => Buffer.alloc(values.next(40), values.next(256)).toString("base64"),
        time: () => ["2024-01-02T03:04:05Z", "1969-12-31T23:59:58Z", null][values.next(3)],
        duration: () => ["15.02s", "0s"][values.next(2)],
        microtime: () => ["2024-01-02T03:04:05.000001Z", "1969-12-31T23:59:58.500000Z"][values.next(2)],
        quantity: () => ["1", "500m", "64Mi"][values.next(3)],
        "int-or-string": () => [8080, "http", "25%", 0, ""][values.next(5)],
      }[value.scalar]();
  }
}
