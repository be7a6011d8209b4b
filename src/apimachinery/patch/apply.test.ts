import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ManagedFieldsEntry } from "../../api/meta/v1.ts";
import { schemaForKind } from "../../api/schema.ts";
import { decodeValue } from "../serializer/json.ts";
import type { StatusError } from "../status-error.ts";
import { applyPatch } from "./apply.ts";
import { difference, type FieldSet, fieldPaths, fieldSetOf, intersection, union } from "./field-set.ts";
import { type ManagedFields, updateManagers } from "./managed-fields.ts";

type Thing = {
  apiVersion: string;
  kind: string;
  metadata: Record<string, unknown> & { managedFields?: ManagedFields };
  [field: string]: unknown;
};

/** An object and its managers, written to as the API server would. */
class Cluster {
  object: Thing | undefined;
  #second = 0;

  apply(manager: string, config: object, options: { force?: boolean; subresource?: string } = {}): this {
    const { apiVersion } = config as Thing;
    const type = typeOf(config);
    const { object } = applyPatch({
      live: this.object,
      applied: config,
      type,
      manager,
      force: options.force ?? false,
      subresource: options.subresource ?? "",
      apiVersion,
      time: this.#now(),
      ignore: fieldSetOf([options.subresource === "status" ? "f:spec" : "f:status"]),
    });
    this.object = object as Thing;
    return this;
  }

  update(manager: string, next: object): this {
    const type = typeOf(next);
    const object = decodeValue<Thing>(next, type).object;
    const managedFields = updateManagers({
      live: this.object,
      next: object,
      type,
      manager,
      subresource: "",
      apiVersion: object.apiVersion,
      time: this.#now(),
      ignore: fieldSetOf(["f:status"]),
    });
    this.object = object;
    this.#book(managedFields);
    return this;
  }

  owners(): Record<string, unknown> {
    return Object.fromEntries(
      (this.object?.metadata.managedFields ?? []).map((e) => [
        `${e.manager} ${e.operation}${e.subresource ? ` ${e.subresource}` : ""}`,
        e.fieldsV1,
      ]),
    );
  }

  #book(managedFields: ManagedFields | undefined): void {
    if (managedFields) this.object!.metadata.managedFields = managedFields;
    else delete this.object!.metadata.managedFields;
  }

  #now(): string {
    return `2024-01-01T00:00:${String(this.#second++).padStart(2, "0")}Z`;
  }
}

function typeOf(object: object) {
  const { apiVersion, kind } = object as Thing;
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  return schemaForKind(group!, version!, kind)!;
}

const configMap = (data?: Record<string, string | null>, metadata: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", ...metadata },
  ...(data ? { data } : {}),
});
const service = (ports: object[]) => ({ apiVersion: "v1", kind: "Service", metadata: { name: "a" }, spec: { ports } });
const message = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return "no error";
};

describe("managers of updates", () => {
  it("are written down in one order, so that a client that decodes them into maps writes the same bytes", () => {
    const cluster = new Cluster().update("kate", configMap({ b: "1" }, { labels: { z: "1" } }));
    cluster.update("kate", configMap({ b: "1", a: "1" }, { labels: { z: "1", c: "1" } }));
    cluster.update("tom", configMap({ b: "1", a: "2" }, { labels: { z: "1" } }));
    const text = JSON.stringify(cluster.owners()["kate Update"]);
    expect(text).toBe('{"f:data":{".":{},"f:b":{}},"f:metadata":{"f:labels":{".":{},"f:z":{}}}}');
  });

  it("own what they created, as upstream writes it down", () => {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a", labels: { app: "x" }, finalizers: ["b/c"] },
      spec: { containers: [{ name: "c", image: "i", ports: [{ containerPort: 80 }] }] },
    };
    expect(new Cluster().update("kate", pod).owners()).toEqual({
      "kate Update": {
        "f:metadata": { "f:labels": { ".": {}, "f:app": {} }, "f:finalizers": { ".": {}, 'v:"b/c"': {} } },
        "f:spec": {
          "f:containers": {
            'k:{"name":"c"}': {
              ".": {},
              "f:name": {},
              "f:image": {},
              "f:resources": {},
              "f:ports": { ".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } },
            },
          },
        },
      },
    });
  });

  it("take over what they change and lose what is removed", () => {
    const cluster = new Cluster().update("kate", configMap({ a: "1", b: "1" })).update("bob", configMap({ a: "2" }));
    expect(cluster.owners()).toEqual({ "kate Update": { "f:data": {} }, "bob Update": { "f:data": { "f:a": {} } } });
  });

  it("stay as they are, time and all, when a write changes nothing", () => {
    const cluster = new Cluster().update("kate", configMap({ a: "1" }));
    const before = cluster.object!.metadata.managedFields;
    cluster.update("bob", configMap({ a: "1" }));
    expect(cluster.object!.metadata.managedFields).toBe(before);
  });

  it("are forgotten when a client sends [{}], until the next apply", () => {
    const cluster = new Cluster()
      .update("kate", configMap({ a: "1" }))
      .update("kate", configMap({ a: "1" }, { managedFields: [{}] }));
    expect(cluster.update("bob", configMap({ a: "2" })).owners()).toEqual({});
    expect(cluster.apply("alice", configMap({ a: "2" })).owners()).toEqual({
      "alice Apply": { "f:data": { "f:a": {} } },
      "before-first-apply Update": { "f:data": { ".": {}, "f:a": {} } },
    });
  });

  it("become ancient changes beyond the tenth", () => {
    const cluster = new Cluster();
    const data: Record<string, string> = {};
    for (let i = 0; i < 13; i++) {
      data[`k${i}`] = "x";
      cluster.update(`m${i}`, configMap({ ...data }));
    }
    const owners = cluster.owners();
    expect(Object.keys(owners)).toHaveLength(10);
    expect(owners["ancient-changes Update"]).toEqual({
      "f:data": { ".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}, "f:k3": {} },
    });
  });
});

describe("server-side apply", () => {
  it("removes what the manager no longer applies and nobody else owns", () => {
    const cluster = new Cluster().apply("alice", configMap({ a: "1", b: "2" })).apply("alice", configMap({ a: "1" }));
    expect(cluster.object!["data"]).toEqual({ a: "1" });
    expect(cluster.owners()).toEqual({ "alice Apply": { "f:data": { "f:a": {} } } });
  });

  it("keeps the object's name when the manager gives up all it owned of the metadata", () => {
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" } };
    const cluster = new Cluster().apply("a", { ...config, metadata: { name: "c", labels: { x: "1" } } });
    expect(cluster.apply("a", config).object?.metadata).toEqual({ name: "c" });
  });

  it("shares a field until the last owner lets go", () => {
    const cluster = new Cluster()
      .apply("alice", configMap({ a: "1" }))
      .apply("bob", configMap({ a: "1" }))
      .apply("alice", configMap({}));
    expect(cluster.object!["data"]).toEqual({ a: "1" });
    expect(cluster.owners()).toEqual({ "alice Apply": { "f:data": {} }, "bob Apply": { "f:data": { "f:a": {} } } });
    cluster.apply("bob", configMap({}));
    expect(cluster.object!["data"]).toBeUndefined();
    expect(cluster.owners()).toEqual({ "alice Apply": { "f:data": {} }, "bob Apply": { "f:data": {} } });
  });

  it("conflicts with whoever set a field otherwise, and takes it when forced", () => {
    const cluster = new Cluster().update("kate", configMap({ a: "1" }));
    expect(message(() => cluster.apply("alice", configMap({ a: "2" })))).toBe(
      'Apply failed with 1 conflict: conflict with "kate" using v1: .data.a',
    );
    cluster.apply("alice", configMap({ a: "2" }), { force: true });
    expect(cluster.owners()).toEqual({ "kate Update": { "f:data": {} }, "alice Apply": { "f:data": { "f:a": {} } } });
  });

  it("lists several conflicts by manager", () => {
    const cluster = new Cluster().apply("alice", configMap({ a: "1" })).apply("carol", configMap({ b: "1", c: "1" }));
    let error: StatusError | undefined;
    try {
      cluster.apply("bob", configMap({ a: "2", b: "2", c: "2" }));
    } catch (caught) {
      error = caught as StatusError;
    }
    expect(error?.message).toBe(
      'Apply failed with 3 conflicts: conflicts with "alice":\n- .data.a\nconflicts with "carol":\n- .data.b\n- .data.c',
    );
    expect(error?.details?.causes?.[0]).toEqual({
      reason: "FieldManagerConflict",
      message: 'conflict with "alice"',
      field: ".data.a",
    });
  });

  it("names the subresource through which the other manager wrote", () => {
    const cluster = new Cluster().update("kate", configMap({ a: "1" }));
    const [entry] = cluster.object!.metadata.managedFields!;
    cluster.object!.metadata.managedFields = [{ ...entry!, subresource: "scale" }];
    expect(message(() => cluster.apply("alice", configMap({ a: "2" })))).toBe(
      'Apply failed with 1 conflict: conflict with "kate" with subresource "scale" using v1: .data.a',
    );
  });

  it("tells ports apart by port and protocol, TCP unless said", () => {
    const cluster = new Cluster()
      .apply("alice", service([{ name: "a", port: 80, protocol: "TCP" }]))
      .apply("bob", service([{ name: "b", port: 443 }]));
    expect(cluster.object!["spec"]).toEqual({
      ports: [
        { name: "a", port: 80, protocol: "TCP", targetPort: 0 },
        { name: "b", port: 443, targetPort: 0 },
      ],
    });
    expect(message(() => cluster.apply("bob", service([{ name: "zz", port: 80 }])))).toBe(
      'Apply failed with 1 conflict: conflict with "alice": .spec.ports[port=80,protocol="TCP"].name',
    );
    expect(message(() => cluster.apply("carol", service([{ port: 80 }, { port: 80 }])))).toBe(
      'failed to create typed patch object (/a; /v1, Kind=Service): .spec.ports: duplicate entries for key [port=80,protocol="TCP"]',
    );
  });

  it("refuses what does not fit the type", () => {
    const apply = (config: object) => message(() => new Cluster().apply("alice", config));
    expect(apply({ ...configMap({}), zz: 1 })).toBe(
      "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .zz: field not declared in schema",
    );
    expect(
      apply({
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "d", namespace: "n" },
        spec: { replicas: "3", template: { spec: { containers: [{ image: "x" }] } } },
      }),
    ).toBe(
      'failed to create typed patch object (n/d; apps/v1, Kind=Deployment): errors:\n  .spec.replicas: expected numeric (int or float), got string\n  .spec.template.spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
    );
    expect(apply(configMap({}, { managedFields: [] }))).toBe("metadata.managedFields must be nil");
  });

  it("keeps the order in which a manager applies, and puts others' items between", () => {
    const names = (cluster: Cluster) =>
      (cluster.object!["spec"] as { ports: { name: string }[] }).ports.map((port) => port.name).join("");
    const port = (name: string) => ({ name, port: name.charCodeAt(0) });
    const cluster = new Cluster()
      .apply("alice", service([..."abc"].map(port)))
      .apply("bob", service([..."xy"].map(port)));
    expect(names(cluster)).toBe("abcxy");
    expect(names(cluster.apply("alice", service([..."cdba"].map(port))))).toBe("cxydba");
  });

  it("leaves an atomic list to one owner", () => {
    const pod = (command: string[]) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p" },
      spec: { containers: [{ name: "main", command }] },
    });
    const cluster = new Cluster().apply("alice", pod(["a", "b"]));
    expect(cluster.owners()).toEqual({
      "alice Apply": {
        "f:spec": { "f:containers": { 'k:{"name":"main"}': { ".": {}, "f:name": {}, "f:command": {} } } },
      },
    });
    expect(message(() => cluster.apply("bob", pod(["c"])))).toBe(
      'Apply failed with 1 conflict: conflict with "alice": .spec.containers[name="main"].command',
    );
  });

  it("takes over silently from kubectl's client-side apply what nobody touched since", () => {
    const annotations = {
      "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(configMap({ a: "1", b: "1" })),
    };
    const cluster = new Cluster().update("kubectl-client-side-apply", configMap({ a: "1", b: "1" }, { annotations }));
    cluster.update("bob", configMap({ a: "1", b: "2" }, { annotations }));
    expect(message(() => cluster.apply("kubectl", configMap({ a: "3", b: "3" })))).toBe(
      'Apply failed with 1 conflict: conflict with "bob" using v1: .data.b',
    );
    cluster.apply("kubectl", configMap({ a: "3", b: "2" }));
    expect(cluster.object!["data"]).toEqual({ a: "3", b: "2" });
    expect(
      (cluster.object!.metadata["annotations"] as Record<string, string>)[
        "kubectl.kubernetes.io/last-applied-configuration"
      ],
    ).toBe(
      `${JSON.stringify({ apiVersion: "v1", data: { a: "3", b: "2" }, kind: "ConfigMap", metadata: { name: "a" } })}\n`,
    );
  });

  it("removes an item whole, with what others never owned in it", () => {
    const withEnv = (env: object[]) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p" },
      spec: { containers: [{ name: "c", env }] },
    });
    const cluster = new Cluster()
      .apply(
        "alice",
        withEnv([
          { name: "A", value: "1" },
          { name: "B", value: "1" },
        ]),
      )
      .apply("alice", withEnv([{ name: "B", value: "1" }]));
    expect(cluster.object!["spec"]).toEqual({
      containers: [{ name: "c", env: [{ name: "B", value: "1" }], resources: {} }],
    });
  });
});

describe("server-side apply, whatever is applied", () => {
  const port = fc.record(
    {
      port: fc.integer({ min: 1, max: 4 }),
      protocol: fc.constantFrom("TCP", "UDP"),
      name: fc.constantFrom("a", "b", "c"),
    },
    { requiredKeys: ["port"] },
  );
  const config = fc
    .record(
      {
        ports: fc.uniqueArray(port, { maxLength: 4, selector: (p) => `${p.port}/${p.protocol ?? "TCP"}` }),
        selector: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("1", "2"), {
          maxKeys: 3,
          noNullPrototype: true,
        }),
        type: fc.constantFrom("ClusterIP", "NodePort"),
        externalIPs: fc.array(fc.constantFrom("192.0.2.1", "192.0.2.2"), { maxLength: 2 }),
      },
      { requiredKeys: [] },
    )
    .chain((spec) =>
      fc
        .record({
          labels: fc.dictionary(fc.constantFrom("x", "y", "z"), fc.constantFrom("1", "2"), {
            maxKeys: 3,
            noNullPrototype: true,
          }),
          finalizers: fc.uniqueArray(fc.constantFrom("f/1", "f/2", "f/3"), { maxLength: 3 }),
        })
        .map((metadata) => ({ apiVersion: "v1", kind: "Service", metadata: { name: "s", ...metadata }, spec })),
    );
  const steps = fc.array(
    fc.record({ manager: fc.constantFrom("alice", "bob", "carol"), config, how: fc.constantFrom("apply", "update") }),
    { maxLength: 6 },
  );
  const play = (script: { manager: string; config: object; how: string }[]) => {
    const cluster = new Cluster();
    for (const { manager, config, how } of script) {
      if (how === "apply") cluster.apply(manager, config, { force: true });
      else cluster.update(manager, config);
    }
    return cluster;
  };

  it("holds everything that was applied last", () => {
    fc.assert(
      fc.property(steps, config, (script, last) => {
        const cluster = play(script).apply("alice", last, { force: true });
        const wanted = decodeValue<Thing>(last, typeOf(last)).object;
        const spec = (object: Thing) => object["spec"] as { ports?: object[] };
        const { ports: wantedPorts = [], ...wantedSpec } = spec(wanted);
        expect(spec(cluster.object!)).toMatchObject(wantedSpec);
        for (const port of wantedPorts)
          expect(spec(cluster.object!).ports).toContainEqual(expect.objectContaining(port));
        expect(cluster.object!.metadata["labels"] ?? {}).toMatchObject(
          (wanted.metadata["labels"] as object | undefined) ?? {},
        );
        expect(cluster.object!.metadata["finalizers"] ?? []).toEqual(
          expect.arrayContaining((wanted.metadata["finalizers"] as string[] | undefined) ?? []),
        );
      }),
    );
  });

  it("changes nothing when applied again", () => {
    fc.assert(
      fc.property(steps, config, (script, last) => {
        const cluster = play(script).apply("alice", last, { force: true });
        const { object } = cluster;
        expect(cluster.apply("alice", last).object).toBe(object);
      }),
    );
  });

  it("lets two managers claim an empty map that is not stored, again and again", () => {
    const service = (labels: Record<string, string>) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "s", labels, finalizers: [] },
      spec: {},
    });
    const emptied = play([
      { manager: "alice", config: service({ x: "1" }), how: "apply" },
      { manager: "carol", config: service({}), how: "apply" },
    ]).apply("alice", service({}), { force: true });
    const { object } = emptied;
    expect(emptied.apply("alice", service({})).object).toBe(object);
  });

  it("leaves no field to a manager that the object does not have", () => {
    fc.assert(
      fc.property(steps, (script) => {
        const { object } = play(script);
        if (!object) return;
        const { metadata: _, ...rest } = object;
        const all = (updateManagers({
          live: undefined,
          next: { metadata: { ...object.metadata, managedFields: undefined as unknown as ManagedFields }, ...rest },
          type: typeOf(object),
          manager: "all",
          subresource: "",
          apiVersion: "v1",
          time: "",
        }) ?? [])[0];
        // A configuration may own an empty map, or null, which the canonical form leaves out.
        const owned = (object.metadata.managedFields ?? []).reduce<FieldSet | undefined>(
          (set, entry: ManagedFieldsEntry) => union(set, entry.fieldsV1 as FieldSet),
          undefined,
        );
        const ghosts = [...fieldPaths(difference(owned, all?.fieldsV1 as FieldSet | undefined) ?? {})];
        expect(ghosts.filter((path) => !/\.(labels|selector|spec|externalIPs|finalizers|ports)$/.test(path))).toEqual(
          [],
        );
      }),
    );
  });
});

describe("field sets", () => {
  const leaf = fc.constant({} as FieldSet);
  const { set } = fc.letrec<{ set: FieldSet }>((tie) => ({
    set: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc
        .dictionary(fc.constantFrom(".", "f:a", "f:b", 'k:{"n":1}'), tie("set"), { maxKeys: 3, noNullPrototype: true })
        .map((node) => ("." in node ? { ...node, ".": {} } : node)),
    ),
  }));
  // A node that is nothing but a member is written as an empty object.
  const normal = (node: FieldSet): FieldSet =>
    Object.fromEntries(
      Object.entries(node)
        .filter(([key]) => key !== "." || Object.keys(node).length > 1)
        .map(([key, child]) => [key, normal(child)]),
    );
  const sets = set.map(normal).map(({ ".": _, ...root }) => root as FieldSet);
  const paths = (s: FieldSet | undefined) => new Set(s ? fieldPaths(s) : []);

  it("join, part and meet as sets of paths do", () => {
    fc.assert(
      fc.property(sets, sets, (a, b) => {
        const [x, y] = [paths(a), paths(b)];
        expect(paths(union(a, b))).toEqual(new Set([...x, ...y]));
        expect(paths(difference(a, b))).toEqual(new Set([...x].filter((path) => !y.has(path))));
        expect(paths(intersection(a, b))).toEqual(new Set([...x].filter((path) => y.has(path))));
      }),
    );
  });
});
