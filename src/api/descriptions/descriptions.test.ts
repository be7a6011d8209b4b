import { describe, expect, it } from "vitest";
import { allTypeSchemas, schemaForKind, type TypeSchema, type ValueSchema } from "../schema.ts";
import { describeField, describeType, tables } from "./index.ts";

/** What the documents name although it is a single value in JSON. */
const values = new Set(["MicroTime", "Time", "Quantity", "IntOrString", "RawExtension", "FieldsV1", "Patch"]);

/** Groups of which every type and field is described; of the others whatever their objects share. */
const described =
  /^io\.k8s\.(api\.(apps|authentication|authorization|autoscaling|batch|core|discovery|events|networking|policy|rbac|storage)\.|apimachinery\.)/;

describe("descriptions", () => {
  it("tell what every type is for", () => {
    const silent = [...allTypeSchemas()].filter((type) => described.test(type.fullName) && !describeType(type));
    expect(silent.map((type) => type.fullName)).toEqual([]);
  });

  it("tell what every field is for", () => {
    const silent = [...allTypeSchemas()]
      .filter((type) => described.test(type.fullName))
      .flatMap((type) => type.fields.filter((field) => !describeField(type, field.name)).map(({ name }) => [type, name]));
    expect(silent.map(([type, name]) => `${(type as TypeSchema).fullName}.${name}`)).toEqual([]);
  });

  it("reach everything that the kinds of the labs hold", () => {
    const silent: string[] = [];
    const seen = new Set<TypeSchema>();
    const visit = (type: TypeSchema): void => {
      if (seen.has(type)) return;
      seen.add(type);
      for (const field of type.fields) {
        if (!describeField(type, field.name)) silent.push(`${type.fullName}.${field.name}`);
        visitValue(field.value);
      }
    };
    const visitValue = (value: ValueSchema): void => {
      if (value.kind === "struct") visit(value.type);
      else if (value.kind === "list") visitValue(value.items);
      else if (value.kind === "map") visitValue(value.values);
    };
    for (const [group, kind] of [
      ["", "Pod"],
      ["", "Service"],
      ["", "Endpoints"],
      ["", "Node"],
      ["", "ConfigMap"],
      ["", "Secret"],
      ["apps", "Deployment"],
      ["apps", "ReplicaSet"],
      ["discovery.k8s.io", "EndpointSlice"],
    ] as const) {
      visit(schemaForKind(group, "v1", kind)!);
    }
    expect(silent).toEqual([]);
  });

  it("speak of no type and no field that does not exist", () => {
    const fields = new Map<string, Set<string>>([["*", new Set()]]);
    for (const { name, byName } of allTypeSchemas()) {
      fields.set(name, new Set([...(fields.get(name) ?? []), ...byName.keys()]));
      for (const field of byName.keys()) fields.get("*")!.add(field);
    }
    const wrong: string[] = [];
    for (const block of Object.values(tables).flatMap((table) => table.split(/^= /m).slice(1))) {
      const [head, ...lines] = block.trimEnd().split("\n");
      const name = /^[^ :]+/.exec(head!)![0];
      const known = fields.get(name) ?? new Set(values.has(name) ? [] : ["nothing"]);
      if (known.has("nothing")) wrong.push(name);
      for (const line of lines.filter(Boolean)) {
        const field = line.slice(0, line.indexOf(": "));
        if (!known.has(field)) wrong.push(`${name}.${field}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
