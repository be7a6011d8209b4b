/** What OpenAPI documents say of a kind's fields, as far as `explain` needs it; versions 2 and 3 differ only in where things stand. */

export interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  allOf?: Schema[];
  oneOf?: Schema[];
  enum?: unknown[];
  "x-kubernetes-group-version-kind"?: { group: string; version: string; kind: string }[];
}

export class Schemas {
  readonly #byName: Readonly<Record<string, Schema>>;

  constructor(byName: Readonly<Record<string, Schema>>) {
    this.#byName = byName;
  }

  ofKind(group: string, version: string, kind: string): Schema | undefined {
    return Object.values(this.#byName).find((schema) =>
      schema["x-kubernetes-group-version-kind"]?.some(
        (each) => each.group === group && each.version === version && each.kind === kind,
      ),
    );
  }

  /** What a reference stands for; the schema itself when it is none. */
  resolve(schema: Schema): Schema {
    const ref = referenceOf(schema);
    return ref === undefined ? schema : (this.#byName[nameIn(ref)] ?? {});
  }

  /** The type whose fields are a field's own: through references, lists and maps. Also every name on the way. */
  target(schema: Schema): { schema: Schema; names: readonly string[] } {
    const names: string[] = [];
    let current = schema;
    for (;;) {
      const ref = referenceOf(current);
      const inner =
        ref !== undefined
          ? this.#byName[nameIn(ref)]
          : (current.items ??
            (typeof current.additionalProperties === "object" ? current.additionalProperties : undefined));
      if (ref !== undefined) names.push(nameIn(ref));
      if (!inner) return { schema: current, names };
      current = inner;
    }
  }
}

/** The reference that a schema consists of: bare, or as the one member of allOf, which lets it have a description. */
export function referenceOf(schema: Schema): string | undefined {
  if (schema.$ref) return schema.$ref;
  return schema.allOf?.length === 1 && !schema.properties ? schema.allOf[0]!.$ref : undefined;
}

const nameIn = (ref: string): string => ref.slice(ref.lastIndexOf("/") + 1);

/** `io.k8s.api.core.v1.PodSpec` is called PodSpec. */
export const shortName = (ref: string): string => ref.slice(Math.max(ref.lastIndexOf("/"), ref.lastIndexOf(".")) + 1);
