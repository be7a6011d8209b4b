/** What holds of patches whatever the schema: random schemas, random objects of them, random writers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JSONSchemaProps } from "../../api/apiextensions/v1.ts";
import { schemaForKind, type TypeSchema } from "../../api/schema.ts";
import { decodeValue } from "../serializer/json.ts";
import { customType } from "../structural-schema/type-schema.ts";
import { applyPatch } from "./apply.ts";
import { type FieldSet, fieldPaths, intersection } from "./field-set.ts";
import { type ManagedFields, updateManagers } from "./managed-fields.ts";
import { mergePatch } from "./merge.ts";
import { strategicMergePatch } from "./strategic.ts";
import { compareObjects } from "./typed-compare.ts";

const gvk = { group: "example.com", version: "v1", kind: "Thing" };
const names = ["a", "b", "c"] as const;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
interface Thing {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels: Record<string, string>; managedFields?: ManagedFields };
  spec?: Json;
}

const scalar = fc.constantFrom<JSONSchemaProps>({ type: "string" }, { type: "integer" }, { type: "boolean" });
const { schema } = fc.letrec<{ schema: JSONSchemaProps; fields: JSONSchemaProps }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 2 },
    scalar,
    tie("fields"),
    scalar.map((additionalProperties) => ({ type: "object", additionalProperties })),
    scalar.map((items) => ({ type: "array", items })),
    fc.constant({ type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } }),
    tie("schema").map((v) => ({
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["key"],
      items: { type: "object", required: ["key"], properties: { key: { type: "string" }, v } },
    })),
  ),
  fields: fc
    .dictionary(fc.constantFrom(...names), tie("schema"), { minKeys: 1, noNullPrototype: true })
    .map((properties) => ({ type: "object", properties })),
}));

/** Never empty: what is applied empty after it held something is null at first, as upstream has it, and empty the next time. */
function valuesOf(of: JSONSchemaProps): fc.Arbitrary<Json> {
  if (of.type === "string") return fc.constantFrom("x", "y", "z");
  if (of.type === "integer") return fc.integer({ min: 0, max: 2 });
  if (of.type === "boolean") return fc.boolean();
  if (of.type === "array") {
    const items = valuesOf(of.items as JSONSchemaProps);
    if (of["x-kubernetes-list-type"] === "set") return fc.uniqueArray(items, { minLength: 1, maxLength: 3 });
    if (of["x-kubernetes-list-type"] !== "map") return fc.array(items, { minLength: 1, maxLength: 2 });
    return fc.uniqueArray(items, { minLength: 1, maxLength: 3, selector: (item) => (item as { key: string }).key });
  }
  if (of.additionalProperties)
    return fc.dictionary(fc.constantFrom(...names), valuesOf(of.additionalProperties as JSONSchemaProps), {
      minKeys: 1,
      noNullPrototype: true,
    });
  const fields = Object.entries(of.properties ?? {}).map(([name, field]) => [name, valuesOf(field)] as const);
  return fc
    .record(Object.fromEntries(fields), { requiredKeys: of.required ?? [], noNullPrototype: true })
    .filter((value) => Object.keys(value).length > 0);
}

interface Write {
  manager: string;
  how: "apply" | "update";
  spec: Json;
}

/** A schema, and what writers do to one object of it, one after the other. */
const histories = schema
  .map((spec) => ({ type: "object", properties: { spec } }))
  .chain((root) =>
    fc.record({
      type: fc.constant(customType(gvk, root)),
      writes: fc.array(
        fc.record<Write>({
          manager: fc.constantFrom("alice", "bob", "carol"),
          how: fc.constantFrom("apply", "update"),
          spec: valuesOf(root.properties.spec),
        }),
        { minLength: 1, maxLength: 6 },
      ),
    }),
  );

/** The label is every writer's: who owns nothing at all is not known the next time. */
const thing = (spec: Json): Thing => ({
  apiVersion: "example.com/v1",
  kind: "Thing",
  metadata: { name: "t", labels: { made: "here" } },
  spec,
});

function write(type: TypeSchema, live: Thing | undefined, { manager, how, spec }: Write, force = true): Thing {
  const common = { live, type, manager, subresource: "", apiVersion: "example.com/v1", time: "2026-01-01T00:00:00Z" };
  if (how === "apply") return applyPatch({ ...common, applied: thing(spec), force }).object as Thing;
  const next = decodeValue<Thing>(thing(spec), type).object;
  const managedFields = updateManagers({ ...common, next });
  if (managedFields) next.metadata.managedFields = managedFields;
  return next;
}

const play = (type: TypeSchema, writes: readonly Write[]) =>
  writes.reduce<Thing | undefined>((live, one) => write(type, live, one), undefined);

/** Whether all that was asked for is there: in lists as items, in objects as fields. What is empty asks for nothing. */
function holds(got: Json | undefined, asked: Json | undefined): boolean {
  if (Array.isArray(asked)) return asked.every((item) => Array.isArray(got) && got.some((one) => holds(one, item)));
  if (typeof asked !== "object" || asked === null) return got === asked;
  const fields = typeof got === "object" && got !== null && !Array.isArray(got) ? got : {};
  return Object.entries(asked).every(([name, value]) => holds(fields[name], value));
}

describe("server-side apply, whatever the schema", () => {
  it("leaves what was asked for", () => {
    fc.assert(
      fc.property(histories, ({ type, writes }) => {
        const asked = writes.at(-1)!;
        const live = play(type, [...writes.slice(0, -1), { ...asked, how: "apply" }]);
        expect(holds(live?.spec, asked.spec), JSON.stringify([live?.spec, asked.spec])).toBe(true);
      }),
    );
  });

  it("changes nothing when the same is applied again", () => {
    fc.assert(
      fc.property(histories, ({ type, writes }) => {
        const last = { ...writes.at(-1)!, how: "apply" as const };
        const live = play(type, [...writes.slice(0, -1), last]);
        expect(write(type, live, last, false)).toBe(live);
      }),
    );
  });

  it("leaves what a writer changed to that writer alone", () => {
    fc.assert(
      fc.property(histories, ({ type, writes }) => {
        const before = play(type, writes.slice(0, -1));
        const last = writes.at(-1)!;
        const after = write(type, before, last);
        if (!before || after === before) return;
        const { changed } = compareObjects(before, after, type);
        const operation = last.how === "apply" ? "Apply" : "Update";
        const shared = (after.metadata.managedFields ?? [])
          .filter((entry) => entry.manager !== last.manager || entry.operation !== operation)
          .flatMap((entry) => [...fieldPaths(intersection(entry.fieldsV1 as FieldSet, changed) ?? {})]);
        expect(shared).toEqual([]);
      }),
    );
  });

  it("gives two managers of different fields no conflict, and nothing in common", () => {
    const pairs = fc.record({ left: schema, right: schema }).chain(({ left, right }) =>
      fc.record({
        type: fc.constant(
          customType(gvk, {
            type: "object",
            properties: { spec: { type: "object", properties: { left, right } } },
          }),
        ),
        left: valuesOf(left),
        right: valuesOf(right),
      }),
    );
    fc.assert(
      fc.property(pairs, ({ type, left, right }) => {
        const first = write(type, undefined, { manager: "alice", how: "apply", spec: { left } });
        const both = write(type, first, { manager: "bob", how: "apply", spec: { right } }, false);
        const [alice, bob] = both.metadata.managedFields ?? [];
        const common = intersection(alice!.fieldsV1 as FieldSet, bob!.fieldsV1 as FieldSet);
        expect([...fieldPaths(common ?? {})].filter((path) => path !== ".metadata.labels.made")).toEqual([]);
        expect(holds(both.spec, { left, right })).toBe(true);
      }),
    );
  });
});

describe("merge patch, whatever the documents", () => {
  const document = fc.letrec<{ json: Json; object: Json }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom("x", "y"),
      fc.integer({ min: 0, max: 2 }),
      fc.array(fc.constantFrom<Json>(1, "x"), { maxLength: 2 }),
      tie("object"),
    ),
    object: fc.dictionary(fc.constantFrom(...names), tie("json"), { noNullPrototype: true }),
  })).object;
  const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  /** What makes one of the other: RFC 7386 the other way round. */
  const patchBetween = (from: Json | undefined, to: Json): Json => {
    if (!isObject(to)) return to;
    const old = isObject(from) ? from : {};
    const gone = Object.keys(old).filter((name) => !(name in to));
    const kept = Object.entries(to).map(([name, value]) => [name, patchBetween(old[name], value)] as const);
    return Object.fromEntries([...gone.map((name) => [name, null] as const), ...kept]);
  };

  it("makes of one document the other, once and for all", () => {
    fc.assert(
      fc.property(document, document, (from, to) => {
        const patch = patchBetween(from, to);
        const made = mergePatch(structuredClone(from), patch);
        expect(made).toEqual(to);
        expect(mergePatch(structuredClone(made), patch)).toEqual(to);
      }),
    );
  });
});

describe("strategic merge patch, whatever is patched", () => {
  const type = schemaForKind("", "v1", "Service")!;
  const port = fc.record(
    { port: fc.integer({ min: 1, max: 4 }), name: fc.constantFrom("a", "b"), appProtocol: fc.constantFrom("x", "y") },
    { requiredKeys: ["port"], noNullPrototype: true },
  );
  const service = fc.record({
    metadata: fc.record({
      labels: fc.dictionary(fc.constantFrom(...names), fc.constantFrom("1", "2"), { noNullPrototype: true }),
      finalizers: fc.uniqueArray(fc.constantFrom("f/1", "f/2", "f/3"), { maxLength: 3 }),
    }),
    spec: fc.record({ ports: fc.uniqueArray(port, { maxLength: 3, selector: (one) => one.port }) }),
  });

  it("leaves what was asked for, and once is as good as twice", () => {
    fc.assert(
      fc.property(service, service, (live, patch) => {
        const once = strategicMergePatch(structuredClone(live), patch, type);
        expect(holds(once as Json, patch)).toBe(true);
        expect(strategicMergePatch(structuredClone(once), patch, type)).toEqual(once);
      }),
    );
  });
});
