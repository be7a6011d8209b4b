/** For tests: what a kind says of an object, as a client would read it. */
import type { KubeObject } from "../api/object.ts";
import type { ResourceDefinition, WriteContext } from "../apimachinery/resource-definition.ts";

const context: WriteContext = {
  verb: "create",
  subresource: "",
  dryRun: false,
  now: 0,
  user: "test",
  warn() {},
};

/** Defaults the object, lets the kind prepare it, and lists the mistakes: `spec.replicas: Invalid value: -1: …`. */
export function problemsOf<T extends KubeObject>(definition: ResourceDefinition<T>, object: object): string[] {
  const fresh = prepared(definition, object);
  definition.beforeCreate?.(fresh, context);
  return texts(definition.validate?.(fresh, undefined, context) ?? []);
}

/** What is said of the new object in `Warning:` headers. */
export function warningsOf<T extends KubeObject>(definition: ResourceDefinition<T>, object: object): string[] {
  const said: string[] = [];
  const fresh = prepared(definition, object);
  definition.beforeCreate?.(fresh, { ...context, warn: (text) => said.push(text) });
  return [...said, ...(definition.warnings?.(fresh, undefined) ?? [])];
}

/** As warningsOf, for a change from `before` to `after`. */
export function changeWarningsOf<T extends KubeObject>(
  definition: ResourceDefinition<T>,
  before: object,
  after: object,
): string[] {
  const previous = storedForm(definition, before);
  const next = prepared(definition, { ...structuredClone(previous), ...structuredClone(after) });
  // The server keeps this itself, whatever the writer says.
  if (previous.metadata.generation) next.metadata.generation = previous.metadata.generation;
  definition.beforeUpdate?.(next, previous, { ...context, verb: "update" });
  return definition.warnings?.(next, previous) ?? [];
}

/** As problemsOf, for a change from `before` to `after`. */
export function changeProblemsOf<T extends KubeObject>(
  definition: ResourceDefinition<T>,
  before: object,
  after: object,
  subresource = "",
): string[] {
  const previous = prepared(definition, before);
  definition.beforeCreate?.(previous, context);
  const next = prepared(definition, after);
  const change: WriteContext = { ...context, verb: "update", subresource };
  definition.beforeUpdate?.(next, previous, change);
  return texts(definition.validate?.(next, previous, change) ?? []);
}

/** As changeProblemsOf, for a write to status. */
export function statusProblemsOf<T extends KubeObject>(
  definition: ResourceDefinition<T>,
  before: object,
  after: object,
): string[] {
  const previous = prepared(definition, before);
  const next = prepared(definition, after);
  const change: WriteContext = { ...context, verb: "update", subresource: "status" };
  definition.beforeStatusUpdate?.(next, previous, change);
  return texts(definition.validateStatus?.(next, previous, change) ?? []);
}

/** The object as it is stored. */
export function storedForm<T extends KubeObject>(definition: ResourceDefinition<T>, object: object): T {
  const fresh = prepared(definition, object);
  definition.beforeCreate?.(fresh, context);
  return fresh;
}

function prepared<T extends KubeObject>(definition: ResourceDefinition<T>, object: object): T {
  const fresh = structuredClone(object) as T & { spec?: object; status?: object };
  // The decoder fills in what upstream's JSON always has.
  fresh.metadata ??= {} as T["metadata"];
  fresh.metadata.name ??= "web";
  fresh.metadata.uid ??= "11111111-2222-3333-4444-555555555555";
  if (definition.scope === "Namespaced") (fresh.metadata as { namespace?: string }).namespace ??= "default";
  definition.defaults?.(fresh);
  return fresh;
}

function texts(errors: readonly { field: string; message: string }[]): string[] {
  return errors.map(({ field, message }) => `${field}: ${message}`);
}
