/** CEL's own conformance suite, as far as it is about what Kubernetes has: no protocol buffers, no extensions of others. */
import { tests as suite } from "@bufbuild/cel-spec/testdata/conformance.js";
import { describe, expect, it } from "vitest";
import { compile } from "./compile.ts";
import { Environment } from "./environment.ts";
import { kubernetesEnvironment } from "./kubernetes-environment.ts";
import { formatDuration, formatTimestamp, parseDuration, parseTimestamp } from "./time.ts";
import { Bool, Bytes, type CelType, Double, Dyn, Int, listOf, mapOf, Null, Text, typeOf, Uint } from "./types.ts";
import {
  ArrayList,
  CelError,
  DurationValue,
  equals,
  keyOf,
  LiteralMap,
  OptionalValue,
  TimestampValue,
  TypeValue,
  UintValue,
  type Value,
} from "./values.ts";

/** Of protocol buffers, and of extensions that Kubernetes does not switch on. */
const elsewhere = new Set(
  "bindings_ext block_ext encoders_ext enums math_ext proto2 proto2_ext proto3 string_ext wrappers unknowns type_deductions".split(
    " ",
  ),
);

interface SpecTest {
  name: string;
  expr: string;
  disableCheck?: boolean;
  checkOnly?: boolean;
  container?: string;
  typeEnv?: { name: string; ident?: { type: object } }[];
  bindings?: Record<string, { value: object }>;
  value?: object;
  typedResult?: { result?: object };
  evalError?: object;
}

interface SpecSuite {
  name: string;
  suites?: SpecSuite[];
  tests?: { original: SpecTest }[];
}

/** Where we know that we differ: name → why. */
const differing: Readonly<Record<string, string>> = {
  "namespace/namespace/self_eval_container_lookup": "Kubernetes gives expressions no container",
  "namespace/namespace/self_eval_container_lookup_unchecked": "Kubernetes gives expressions no container",
  "dynamic/value_null/literal": "a message of protocol buffers",
};

function* testsOf(suite: SpecSuite, path: string): Generator<[string, SpecTest]> {
  for (const { original } of suite.tests ?? []) yield [`${path}/${original.name}`, original];
  for (const inner of suite.suites ?? []) yield* testsOf(inner, `${path}/${inner.name}`);
}

function concerns(test: SpecTest): boolean {
  const text = JSON.stringify(test);
  const messages =
    /TestAllTypes|GlobalEnum|google\.protobuf\.(?!Timestamp|Duration)|google\.type|objectValue|cel\.expr/;
  return !messages.test(text.replaceAll(/type\.googleapis\.com\/google\.protobuf\.(?:Timestamp|Duration)/g, ""));
}

describe.each(((suite as SpecSuite).suites ?? []).filter(({ name }) => !elsewhere.has(name)))(
  "CEL's suite, $name",
  (part) => {
    const cases = [...testsOf(part, part.name)].filter(([, test]) => concerns(test));
    it.each(cases.filter(([name]) => !differing[name]))("%s", (_, test) => {
      const variables: Record<string, CelType> = {};
      for (const { name, ident } of test.typeEnv ?? []) if (ident) variables[name] = typeOfProto(ident.type);
      const bindings: Record<string, Value> = {};
      for (const [name, { value }] of Object.entries(test.bindings ?? {})) {
        bindings[name] = valueOfProto(value);
        variables[name] ??= Dyn;
      }
      const container = test.container ?? "";
      const environment = kubernetesEnvironment({
        variables,
        homogeneousLiterals: false,
        unchecked: test.disableCheck ?? false,
        container,
      });
      expect(environment).toBeInstanceOf(Environment);
      const compiled = compile(test.expr, environment);
      const { program } = compiled;
      if (test.evalError) {
        if (!program) return;
        expect(() => program.evaluate(bindings)).toThrow(CelError);
        return;
      }
      expect("message" in compiled ? compiled.message : undefined).toBeUndefined();
      if (test.checkOnly) return;
      const wanted = valueOfProto(test.value ?? test.typedResult?.result ?? { boolValue: true });
      const { value } = program!.evaluate(bindings);
      if (typeof wanted === "number" && Number.isNaN(wanted)) expect(value).toBeNaN();
      else
        expect(
          equals(value, wanted) && typeof value === typeof wanted,
          `${String(value)} is not ${String(wanted)}`,
        ).toBe(true);
    });
  },
);

function typeOfProto(type: object): CelType {
  const { primitive, listType, mapType, wellKnown, abstractType } = type as {
    primitive?: string;
    listType?: { elemType: object };
    mapType?: { keyType: object; valueType: object };
    wellKnown?: string;
    abstractType?: { name: string; parameterTypes?: object[] };
  };
  if (primitive)
    return { BOOL: Bool, INT64: Int, UINT64: Uint, DOUBLE: Double, STRING: Text, BYTES: Bytes }[primitive] ?? Dyn;
  if (listType) return listOf(typeOfProto(listType.elemType));
  if (mapType) return mapOf(typeOfProto(mapType.keyType), typeOfProto(mapType.valueType));
  if (wellKnown === "TIMESTAMP") return { kind: "timestamp" };
  if (wellKnown === "DURATION") return { kind: "duration" };
  if (abstractType) {
    return {
      kind: "opaque",
      name: abstractType.name,
      parameters: (abstractType.parameterTypes ?? []).map(typeOfProto),
    };
  }
  if ("null" in type) return Null;
  if ("type" in type) return typeOf(Dyn);
  return Dyn;
}

function valueOfProto(value: object): Value {
  const [kind, content] = Object.entries(value)[0]! as [string, never];
  switch (kind) {
    case "boolValue":
    case "stringValue":
      return content;
    case "int64Value":
      return BigInt(content);
    case "uint64Value":
      return new UintValue(BigInt(content));
    case "doubleValue":
      return Number(content);
    case "bytesValue":
      return Uint8Array.from(Buffer.from(content as string, "base64"));
    case "nullValue":
      return null;
    case "typeValue":
      return new TypeValue(content);
    case "listValue":
      return new ArrayList(((content as { values?: object[] }).values ?? []).map(valueOfProto));
    case "mapValue": {
      const entries = (content as { entries?: { key: object; value: object }[] }).entries ?? [];
      return new LiteralMap(
        new Map(
          entries.map(({ key, value }) => {
            const name = valueOfProto(key);
            return [keyOf(name), { key: name, value: valueOfProto(value) }] as const;
          }),
        ),
      );
    }
    default: {
      const any = content as { "@type": string; value: string };
      if (any["@type"].endsWith("Timestamp")) return new TimestampValue(parseTimestamp(any.value)!);
      if (any["@type"].endsWith("Duration")) return new DurationValue(parseDuration(any.value)!);
      throw new Error(`no value for ${kind}: ${formatDuration(0n)} ${formatTimestamp(0n)} ${String(OptionalValue)}`);
    }
  }
}
