import { describe, expect, it } from "vitest";
import { allTypeSchemas, schemaForKind, typeSchema, type ValueSchema } from "./schema.ts";

describe("schema tables", () => {
  it("know a Service's ports as a list keyed by port and protocol", () => {
    const ports = typeSchema("io.k8s.api.core.v1.ServiceSpec")?.byName.get("ports");
    expect(ports).toMatchObject({
      required: false,
      whenEmpty: "omit",
      value: { kind: "list", listType: "map", mapKeys: ["port", "protocol"] },
      patchStrategy: ["merge"],
      patchMergeKey: "port",
      protobuf: { number: 1, via: [] },
    });
  });

  it("find a kind by group, version and kind, and answer with the same object each time", () => {
    const deployment = schemaForKind("apps", "v1", "Deployment");
    expect(deployment?.fullName).toBe("io.k8s.api.apps.v1.Deployment");
    expect(schemaForKind("apps", "v1", "Deployment")).toBe(deployment);
    expect(schemaForKind("", "v1", "Status")?.fullName).toBe("io.k8s.apimachinery.pkg.apis.meta.v1.Status");
    expect(schemaForKind("apps", "v1", "DeploymentSpec")).toBeUndefined();
    expect(schemaForKind("apps", "v9", "Deployment")).toBeUndefined();
  });

  it("give every field of every type a protobuf number, save the envelope's", () => {
    const without: string[] = [];
    for (const type of allTypeSchemas()) {
      for (const field of type.fields) {
        resolve(field.value);
        if (!field.protobuf && !(type.byName.has("kind") && (field.name === "kind" || field.name === "apiVersion")))
          without.push(`${type.fullName}.${field.name}`);
      }
    }
    // version.Info and Table have no message: upstream serves them as JSON alone.
    expect(without.filter((name) => !name.includes("pkg.version.Info") && !name.includes("meta.v1.Table"))).toEqual([]);
  });

  it("number the messages that JSON inlines", () => {
    const volume = typeSchema("io.k8s.api.core.v1.Volume");
    expect(volume?.byName.get("hostPath")?.protobuf).toEqual({ via: [2], number: 1 });
  });
});

/** Fails when a table names a type that does not exist. */
function resolve(value: ValueSchema): void {
  if (value.kind === "struct") expect(value.type.fullName).toBeTruthy();
  else if (value.kind === "list") resolve(value.items);
  else if (value.kind === "map") resolve(value.values);
  else if (value.kind === "either") resolve(value.struct);
}
