/**
 * Reads the generated schema tables: what every API type's fields are called, what they hold, how lists merge, how they travel in
 * protobuf. Strict decoding, pruning, patches, server-side apply, OpenAPI and protobuf all read this and nothing else.
 *
 * Nothing is parsed until a type is asked for, and each type is parsed once; the same TypeSchema object comes back every time, so
 * that callers may key a WeakMap by it to keep what they compile from it. CustomResourceDefinitions yield TypeSchemas of their own.
 */
import { schema as metricsV1beta1 } from "./metrics/v1beta1.schema.ts";
import { schemaModules as generatedModules } from "./schema-index.ts";

export interface GroupVersionKind {
  /** Empty for the core group. */
  group: string;
  version: string;
  kind: string;
}

/** One struct of the API. */
export interface TypeSchema {
  /** As OpenAPI names it: `io.k8s.api.core.v1.Pod`. */
  readonly fullName: string;
  /** The last label of the full name. */
  readonly name: string;
  /** There for types that are a kind of their own (objects, lists, Status, ...), with apiVersion and kind among their fields. */
  readonly gvk?: GroupVersionKind;
  /** In the order in which upstream writes them. */
  readonly fields: readonly FieldSchema[];
  readonly byName: ReadonlyMap<string, FieldSchema>;
  /** `x-kubernetes-map-type: atomic`: one owner for the whole struct, replaced as a whole. */
  readonly atomic: boolean;
  /** Fields that are not listed are kept and belong to nobody's schema (custom resources only). */
  readonly preserveUnknown: boolean;
  /** Made from a CustomResourceDefinition: decoding prunes, and leaves wrong types to the definition's own validation. */
  readonly custom: boolean;
  /** What OpenAPI 2 or 3 says of the type in place of what its fields would say (custom resources only). */
  published?(version: 2 | 3): Record<string, unknown> | undefined;
  /** `x-kubernetes-unions`, verbatim. */
  readonly unions?: readonly unknown[];
}

export interface FieldSchema {
  readonly name: string;
  readonly value: ValueSchema;
  /** As OpenAPI says: a client must give it (it may be the zero value). */
  readonly required: boolean;
  readonly whenEmpty: WhenEmpty;
  /** What upstream's error messages call the field's type, where it is not plain from `value`: `v1.Protocol`. */
  readonly goType?: string;
  /** What server-side apply takes an absent field for that identifies a list's item: a port's protocol is TCP. */
  readonly keyDefault?: string;
  /** As the document says it on the field; `value` already knows what follows from it. */
  readonly mapType?: "atomic" | "granular";
  /** Strategic merge: `merge`, `replace`, `retainKeys`; several at once in OpenAPI's order. */
  readonly patchStrategy?: readonly string[];
  /** Strategic merge: which field of a list's items identifies them. */
  readonly patchMergeKey?: string;
  /** Absent for apiVersion and kind (they stand in the envelope) and for custom resources. */
  readonly protobuf?: ProtobufField;
}

/**
 * What upstream's JSON does with a field that was not given or holds its zero value ("", 0, false, [], {}):
 * - `keep`: absent stays absent, a zero value that was given stays (pointers);
 * - `omit`: a zero value disappears (`omitempty`);
 * - `emit`: always written; absent becomes the zero value: "" 0 false, null for times and lists ([] for required ones), {} with its own
 *   emitted fields for structs;
 * - `null`: absent becomes null, what was given stays.
 */
export type WhenEmpty = "keep" | "omit" | "emit" | "null";

export interface ProtobufField {
  readonly number: number;
  /** Field numbers of the embedded messages around this field that JSON inlines; usually empty. */
  readonly via: readonly number[];
}

export type Scalar =
  | "string"
  | "boolean"
  | "int32"
  | "int64"
  | "double"
  /** Base64 text. */
  | "bytes"
  /** RFC 3339, whole seconds. */
  | "time"
  /** RFC 3339, microseconds. */
  | "microtime"
  /** In seconds: `15.02s`. */
  | "duration"
  | "quantity"
  | "int-or-string";

export type ValueSchema = ScalarSchema | StructSchema | ListSchema | MapSchema | AnySchema | EitherSchema;

interface ValueOptions {
  /** null is a value (custom resources only). */
  readonly nullable?: boolean;
  /** Filled in when absent (custom resources only; built-in kinds default in code). */
  readonly default?: unknown;
}

export interface ScalarSchema extends ValueOptions {
  readonly kind: "scalar";
  readonly scalar: Scalar;
}

export interface StructSchema extends ValueOptions {
  readonly kind: "struct";
  /** Resolved at first use: types may be recursive. */
  readonly type: TypeSchema;
  /** By the field or by the type. */
  readonly atomic: boolean;
}

export interface ListSchema extends ValueOptions {
  readonly kind: "list";
  readonly items: ValueSchema;
  /** How server-side apply sees the list; `atomic` when nothing is said. */
  readonly listType: "atomic" | "set" | "map";
  /** Whether the document says the list type; OpenAPI repeats it only then. */
  readonly listTypeGiven: boolean;
  /** For list type `map`. */
  readonly mapKeys: readonly string[];
  /** In protobuf the list is a message whose field 1 repeats (`Verbs`). */
  readonly wrapped: boolean;
}

export interface MapSchema extends ValueOptions {
  readonly kind: "map";
  readonly values: ValueSchema;
  readonly atomic: boolean;
  /** In protobuf each value is a message whose field 1 holds the list (`ExtraValue`). */
  readonly wrapped: boolean;
}

/** Free-form JSON. */
export interface AnySchema extends ValueOptions {
  readonly kind: "any";
  /** The type that OpenAPI names: RawExtension, FieldsV1, JSON, Patch; empty in custom resources. */
  readonly fullName: string;
  /** One owner for all of it, or ownership by what is found inside. */
  readonly atomic: boolean;
}

/** A struct, or something simpler in its place (JSONSchemaPropsOrBool and its like). */
export interface EitherSchema extends ValueOptions {
  readonly kind: "either";
  readonly fullName: string;
  readonly struct: StructSchema;
  readonly or: ValueSchema;
}

/** By full name: `io.k8s.api.core.v1.Pod`. Undefined when there is no such type. */
export function typeSchema(fullName: string): TypeSchema | undefined {
  const dot = fullName.lastIndexOf(".");
  const module = modulesByPackage.get(fullName.slice(0, dot));
  if (!module) return undefined;
  const found = module.type(fullName.slice(dot + 1));
  return found?.fullName === fullName ? found : undefined;
}

/**
 * The schema of a kind, lists and Status included. `DeleteOptions` and `WatchEvent` belong to every group-version and are found only
 * in "v1".
 */
export function schemaForKind(group: string, version: string, kind: string): TypeSchema | undefined {
  const found = modulesByGroupVersion.get(`${group}/${version}`)?.type(kind);
  if (found?.gvk) return found;
  if (group === "" && version === "v1") {
    const meta = metaModule.type(kind);
    if (meta?.byName.has("kind")) return meta;
  }
  return undefined;
}

/** Every type of every group-version; parses all of them. */
export function* allTypeSchemas(): Generator<TypeSchema> {
  for (const module of modules) yield* module.all();
}

/** One generated table. `folder` and `version` are its place under src/api. */
export interface SchemaModule {
  folder: string;
  version: string;
  group: string;
  packages: readonly string[];
  text: string;
}

/**
 * The tables' notation. A line `@package` begins a package and `=Name flags` a type (`kind` or `kind:group`, `atomic`); every other line is a field: name, type, flags.
 * Types: a scalar's name, a type's name (`folder/version.Name` of another module), `[T]` a list, `{T}` a map.
 * Flags: `r` required; `k` `e` `n` keep, emit, null when empty (omit when none is given); `#2.1` protobuf number, after those of the
 * messages around it; `la` `ls` `lm:keys` list types; `ma` `mg` map types; `ps:` patch strategies; `pk:` merge key; `w` wrapped;
 * `g:` Go's name of the type; `d:` default as a list key.
 */
class Module {
  readonly #source: SchemaModule;
  #blocks: Map<string, { packageName: string; text: string }> | undefined;
  readonly #parsed = new Map<string, TypeSchema>();

  constructor(source: SchemaModule) {
    this.#source = source;
  }

  type(name: string): TypeSchema | undefined {
    const known = this.#parsed.get(name);
    if (known) return known;
    const block = this.#index().get(name);
    if (!block) return undefined;
    const type = this.#parse(name, block.packageName, block.text);
    this.#parsed.set(name, type);
    return type;
  }

  *all(): Generator<TypeSchema> {
    for (const name of this.#index().keys()) yield this.type(name)!;
  }

  #index(): Map<string, { packageName: string; text: string }> {
    if (this.#blocks) return this.#blocks;
    const blocks = new Map<string, { packageName: string; text: string }>();
    for (const part of this.#source.text.split("\n@").slice(1)) {
      const [packageName, ...types] = part.split("\n=");
      for (const text of types) {
        const end = text.search(/[ \n]|$/);
        blocks.set(text.slice(0, end), { packageName: packageName!.trim(), text });
      }
    }
    this.#blocks = blocks;
    return blocks;
  }

  #parse(name: string, packageName: string, text: string): TypeSchema {
    const [head, ...lines] = text.trimEnd().split("\n");
    const flags = new Map(
      head!
        .split(" ")
        .map((flag): [string, string | undefined] =>
          flag.startsWith("kind:") ? ["kind", flag.slice(5)] : [flag, undefined],
        ),
    );
    const unions = lines[0]?.startsWith("+unions ")
      ? (JSON.parse(lines.shift()!.slice("+unions ".length)) as unknown[])
      : undefined;
    const fields = lines.map((line) => this.#field(line));
    return {
      fullName: `${packageName}.${name}`,
      name,
      ...(flags.has("kind")
        ? { gvk: { group: flags.get("kind") ?? this.#source.group, version: this.#source.version, kind: name } }
        : {}),
      fields,
      byName: new Map(fields.map((field) => [field.name, field])),
      atomic: flags.has("atomic"),
      preserveUnknown: false,
      custom: false,
      ...(unions ? { unions } : {}),
    };
  }

  #field(line: string): FieldSchema {
    const [name, typeText, ...flags] = line.split(" ");
    let required = false;
    let granular = false;
    let whenEmpty: WhenEmpty = "omit";
    let protobuf: ProtobufField | undefined;
    let patchStrategy: string[] | undefined;
    let patchMergeKey: string | undefined;
    let goType: string | undefined;
    let keyDefault: string | undefined;
    const topology: Topology = {};
    for (const flag of flags) {
      if (flag === "r") required = true;
      else if (flag === "k") whenEmpty = "keep";
      else if (flag === "e") whenEmpty = "emit";
      else if (flag === "n") whenEmpty = "null";
      else if (flag === "w") topology.wrapped = true;
      else if (flag === "la") topology.listType = "atomic";
      else if (flag === "ls") topology.listType = "set";
      else if (flag === "ma") topology.atomic = true;
      else if (flag === "mg") granular = true;
      else if (flag.startsWith("lm")) {
        topology.listType = "map";
        topology.mapKeys = flag.slice(3).split(",");
      } else if (flag.startsWith("#")) {
        const via = flag.slice(1).split(".").map(Number);
        protobuf = { number: via.pop()!, via };
      } else if (flag.startsWith("ps:")) patchStrategy = flag.slice(3).split(",");
      else if (flag.startsWith("pk:")) patchMergeKey = flag.slice(3);
      else if (flag.startsWith("g:")) goType = flag.slice(2);
      else if (flag.startsWith("d:")) keyDefault = JSON.parse(flag.slice(2)) as string;
    }
    return {
      name: name!,
      value: this.#value(typeText!, topology),
      required,
      whenEmpty,
      ...(goType ? { goType } : {}),
      ...(keyDefault !== undefined ? { keyDefault } : {}),
      ...(topology.atomic || granular ? { mapType: granular ? "granular" : "atomic" } : {}),
      ...(patchStrategy ? { patchStrategy } : {}),
      ...(patchMergeKey !== undefined ? { patchMergeKey } : {}),
      ...(protobuf ? { protobuf } : {}),
    };
  }

  #value(text: string, topology: Topology): ValueSchema {
    const known = plainValues.get(text);
    if (known) return known;
    const inner = text.slice(1, -1);
    if (text.startsWith("[")) {
      const { listType = "atomic", mapKeys = [] } = topology;
      return {
        kind: "list",
        items: this.#value(inner, {}),
        listType,
        listTypeGiven: topology.listType !== undefined,
        mapKeys,
        wrapped: topology.wrapped ?? false,
      };
    }
    if (text.startsWith("{")) {
      return {
        kind: "map",
        values: this.#value(inner, {}),
        atomic: topology.atomic ?? false,
        wrapped: topology.wrapped ?? false,
      };
    }
    if (text.startsWith("JSONSchemaPropsOr")) {
      const struct = new Reference(this, "JSONSchemaProps", false);
      const or = text.endsWith("Bool") ? "boolean" : text.endsWith("StringArray") ? "[string]" : "[JSONSchemaProps]";
      return { kind: "either", fullName: `${this.#source.packages[0]}.${text}`, struct, or: this.#value(or, {}) };
    }
    const dot = text.lastIndexOf(".");
    if (dot < 0) return new Reference(this, text, topology.atomic ?? false);
    return new Reference(modulesByPlace.get(text.slice(0, dot))!, text.slice(dot + 1), topology.atomic ?? false);
  }
}

interface Topology {
  listType?: "atomic" | "set" | "map";
  mapKeys?: string[];
  atomic?: boolean;
  wrapped?: boolean;
}

class Reference implements StructSchema {
  readonly kind = "struct";
  readonly #module: Module;
  readonly #name: string;
  readonly #atomic: boolean;
  #type: TypeSchema | undefined;

  constructor(module: Module, name: string, atomic: boolean) {
    this.#module = module;
    this.#name = name;
    this.#atomic = atomic;
  }

  get type(): TypeSchema {
    return (this.#type ??= this.#module.type(this.#name)!);
  }

  get atomic(): boolean {
    return this.#atomic || this.type.atomic;
  }
}

const apimachinery = "io.k8s.apimachinery.pkg";
const plainValues = new Map<string, ValueSchema>([
  ...(
    [
      "string",
      "boolean",
      "int32",
      "int64",
      "double",
      "bytes",
      "time",
      "microtime",
      "duration",
      "quantity",
      "int-or-string",
    ] as const
  ).map((scalar): [string, ValueSchema] => [scalar, { kind: "scalar", scalar }]),
  ["raw", { kind: "any", fullName: `${apimachinery}.runtime.RawExtension`, atomic: true }],
  ["fieldsv1", { kind: "any", fullName: `${apimachinery}.apis.meta.v1.FieldsV1`, atomic: true }],
  ["patch", { kind: "any", fullName: `${apimachinery}.apis.meta.v1.Patch`, atomic: true }],
  ["json", { kind: "any", fullName: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", atomic: true }],
]);

const schemaModules = [
  ...generatedModules,
  {
    folder: "metrics",
    version: "v1beta1",
    group: "metrics.k8s.io",
    packages: ["io.k8s.metrics.pkg.apis.metrics.v1beta1"],
    text: metricsV1beta1,
  },
];
const modules = schemaModules.map((source) => new Module(source));
const modulesByPlace = new Map(schemaModules.map((source, i) => [`${source.folder}/${source.version}`, modules[i]!]));
const modulesByGroupVersion = new Map(
  schemaModules.flatMap((source, i) =>
    source.folder === "meta" ? [] : [[`${source.group}/${source.version}`, modules[i]!] as const],
  ),
);
const modulesByPackage = new Map(
  schemaModules.flatMap((source, i) => source.packages.map((name) => [name, modules[i]!] as const)),
);
const metaModule = modulesByPlace.get("meta/v1")!;
modulesByGroupVersion.set("meta.k8s.io/v1", metaModule);
