import { describe, expect, it } from "vitest";
import type { FieldSchema, TypeSchema, ValueSchema } from "../api/schema.ts";
import { typeSchema } from "../api/schema.ts";
import { compareObjects } from "./patch/typed-compare.ts";
import { stringifyExactly } from "./serializer/big-integers.ts";
import { decodeJson, decodeValue } from "./serializer/json.ts";
import { decodeProtobuf, encodeProtobuf } from "./serializer/protobuf.ts";
import { decodeYaml } from "./serializer/yaml.ts";
import { conform } from "./strict-decode.ts";

/** A custom resource's type, as a CustomResourceDefinition gives it. */
function customType(name: string, values: Record<string, ValueSchema>, preserveUnknown = false): TypeSchema {
  const fields = Object.entries(values).map(
    ([field, value]): FieldSchema => ({ name: field, value, required: false, whenEmpty: "keep" }),
  );
  return {
    fullName: `test.example.v1.${name}`,
    name,
    fields,
    byName: new Map(fields.map((field) => [field.name, field])),
    atomic: false,
    preserveUnknown,
    custom: true,
  };
}
const string: ValueSchema = { kind: "scalar", scalar: "string" };
const struct = (type: TypeSchema): ValueSchema => ({ kind: "struct", type, atomic: false });
const widget = customType("Widget", {
  apiVersion: string,
  kind: string,
  metadata: struct(typeSchema("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")!),
  spec: struct(
    customType("WidgetSpec", {
      color: string,
      size: { kind: "scalar", scalar: "int64", nullable: true },
      extra: struct(customType("Extra", { known: string }, true)),
      parts: {
        kind: "list",
        items: struct(customType("Part", { name: string })),
        listType: "map",
        listTypeGiven: true,
        mapKeys: ["name"],
        wrapped: false,
      },
    }),
  ),
});

describe("custom resources", () => {
  it("are pruned, keep their nulls and wrong types, and have their metadata read as any object's", () => {
    const text = JSON.stringify({
      metadata: { name: "w", creationTimestamp: null, zz: 1 },
      spec: {
        color: 5,
        size: null,
        zz: 1,
        extra: { known: "k", more: { deep: [1] } },
        parts: [{ name: "a", zz: 2 }, 7],
      },
    });
    const { object, problems } = decodeJson(text, widget);
    expect(object).toEqual({
      metadata: { name: "w" },
      spec: { color: 5, size: null, extra: { known: "k", more: { deep: [1] } }, parts: [{ name: "a" }, 7] },
    });
    expect(problems).toEqual([
      'unknown field "metadata.zz"',
      'unknown field "spec.zz"',
      'unknown field "spec.parts[0].zz"',
    ]);
    expect(() => decodeJson('{"metadata":{"name":5}}', widget)).toThrow(
      "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string",
    );
  });

  it("report duplicates before what is pruned, as upstream's two steps do", () => {
    expect(decodeJson('{"spec":{"zz":1,"extra":{"more":{"a":1,"a":2}}}}', widget).problems).toEqual([
      'duplicate field "spec.extra.more.a"',
      'unknown field "spec.zz"',
    ]);
  });

  it("are owned entry by entry where the definition keeps unknown fields", () => {
    const object = { metadata: { name: "w" }, spec: { extra: { more: { a: 1, b: [1] } }, parts: [{ name: "a" }] } };
    expect(compareObjects(undefined, object, widget).changed).toEqual({
      "f:spec": {
        ".": {},
        "f:extra": { ".": {}, "f:more": { ".": {}, "f:a": {}, "f:b": {} } },
        "f:parts": { ".": {}, 'k:{"name":"a"}': { ".": {}, "f:name": {} } },
      },
    });
  });
});

describe("conforming an object that shares parts with a stored one", () => {
  it("copies it and leaves the original alone", () => {
    const data = Object.freeze({ a: "1" });
    const original = Object.freeze({
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: Object.freeze({ name: "a", labels: undefined }),
      data,
    });
    const { object, hasUnknown } = conform<typeof original>(original, typeSchema("io.k8s.api.core.v1.ConfigMap")!);
    expect(object).toEqual({ kind: "ConfigMap", apiVersion: "v1", metadata: { name: "a" }, data: { a: "1" } });
    expect(object.data).not.toBe(data);
    expect(hasUnknown).toBe(false);
  });

  it("puts fields in upstream's order", () => {
    const { object } = conform<object>(
      { spec: {}, metadata: { labels: {}, uid: "u", name: "n" }, apiVersion: "v1", kind: "Pod" },
      typeSchema("io.k8s.api.core.v1.Pod")!,
    );
    expect(JSON.stringify(object)).toBe(
      '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"n","uid":"u"},"spec":{"containers":[]},"status":{}}',
    );
  });
});

describe("Wrong types", () => {
  it("are told by the element's own name, where the list's is not its own", () => {
    const claim = typeSchema("io.k8s.api.core.v1.PersistentVolumeClaim")!;
    expect(() => decodeJson('{"spec":{"accessModes":[5]}}', claim)).toThrow(
      "json: cannot unmarshal number into Go struct field PersistentVolumeClaimSpec.spec.accessModes of type v1.PersistentVolumeAccessMode",
    );
  });
});

describe("numbers and wrong types", () => {
  const deployment = typeSchema("io.k8s.api.apps.v1.Deployment")!;
  const refusal = (text: string) => {
    try {
      decodeJson(text, deployment);
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };
  it("are refused in integer fields unless they are spelled as integers", () => {
    const replicas = (literal: string) => refusal(`{"metadata":{"name":"a"},"spec":{"replicas":${literal}}}`);
    expect(["3", "-3", "3.0", "1e3", "1.5", "99999999999", "99999999999999999999999", "1e400"].map(replicas)).toEqual([
      "taken",
      "taken",
      ...["3.0", "1e3", "1.5", "99999999999", "99999999999999999999999", "1e400"].map(
        (literal) =>
          `json: cannot unmarshal number ${literal} into Go struct field DeploymentSpec.spec.replicas of type int32`,
      ),
    ]);
    const surge = (literal: string) => refusal(`{"spec":{"strategy":{"rollingUpdate":{"maxSurge":${literal}}}}}`);
    expect(["1", '"1.0"', "1.0"].map(surge)).toEqual([
      "taken",
      "taken",
      "json: cannot unmarshal number 1.0 into Go value of type int32",
    ]);
    expect(refusal('{"metadata":{"generation":9223372036854775808}}')).toBe(
      "json: cannot unmarshal number 9223372036854775808 into Go struct field ObjectMeta.metadata.generation of type int64",
    );
    expect(refusal('{"metadata":{"annotations":{"a":"[1.0, 1e3]"},"generation":1}}')).toBe("taken");
  });

  it("of 64 bits keep their last digit in integer fields and in free-form ones", () => {
    const type = typeSchema("io.k8s.api.apps.v1.ControllerRevision")!;
    const text = (revision: string) => `{"data":{"x":9007199254740993},"metadata":{"name":"a"},"revision":${revision}}`;
    for (const revision of ["9223372036854775807", "-9223372036854775808", "9007199254740993", "9007199254740992"]) {
      const { object } = decodeJson<object>(text(revision), type);
      expect(stringifyExactly(object)).toContain(`"data":{"x":9007199254740993},"revision":${revision}`);
      expect(stringifyExactly(decodeYaml<object>(text(revision).replaceAll(":", ": "), type).object)).toBe(
        stringifyExactly(object),
      );
      expect(stringifyExactly(decodeProtobuf(encodeProtobuf(object, type), type))).toBe(stringifyExactly(object));
    }
    const beyond =
      "json: cannot unmarshal number 9223372036854775808 into Go struct field ControllerRevision.revision of type int64";
    expect(() => decodeJson(text("9223372036854775808"), type)).toThrow(beyond);
  });

  it("are converted where the object never was text: whole ones fit, their upper bits or not", () => {
    const type = typeSchema("io.k8s.api.apps.v1.DeploymentSpec")!;
    const replicas = (value: unknown) =>
      decodeValue<{ replicas: unknown }>({ replicas: value }, type, { isConverted: true }).object.replicas;
    expect([3, 4294967297, 2 ** 63, 2147483648].map(replicas)).toEqual([3, 1, 0, -2147483648]);
    expect(() => replicas(1.5)).toThrow();
    expect(() => replicas("3")).toThrow();
  });

  it("are named in the document's order, a malformed quantity or time before all others", () => {
    expect(refusal('{"spec":{"paused":1,"replicas":"x"},"metadata":{"name":5}}')).toBe(
      "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool",
    );
    expect(refusal('{"spec":{"paused":1},"metadata":{"creationTimestamp":"now"}}')).toContain("parsing time");
  });
});
