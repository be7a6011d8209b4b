/** Objects out of texts, as kustomize takes them from resources and patches. */
import { DecodeError } from "../../apimachinery/serializer/decode-error.ts";
import { parseYamlStream } from "../../apimachinery/serializer/yaml.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { type Resource, resourceOf, textOf } from "./resource.ts";

/** Of a text that is no YAML at all. */
export class MalformedYaml extends CommandError {}

/** One resource an object; lists are their items. Throws a CommandError for what is no object. */
export function resourcesIn(text: string): Resource[] {
  const found: Unstructured[] = [];
  const left = valuesIn(text).flatMap((value) =>
    isList(value, "List") ? ((value["items"] ?? []) as unknown[]) : [value],
  );
  for (let value = left.shift(); left.length > 0 || value !== undefined; value = left.shift()) {
    if (value === null || value === undefined || isEmpty(value)) continue;
    const object = checkedObject(value);
    if (!object.kind?.endsWith("List") || !("items" in object)) {
      found.push(object);
      continue;
    }
    const items = object["items"];
    if (items !== null && !Array.isArray(items)) {
      throw new CommandError(
        `expected array in ${object.kind}/items, but found ${typeof items === "object" ? "map[string]interface {}" : typeof items}`,
      );
    }
    left.push(...((items ?? []) as unknown[]));
  }
  return found.map(resourceOf);
}

/** Throws MalformedYaml. */
export function valuesIn(text: string): unknown[] {
  try {
    return parseYamlStream(text, false, true)
      .map(({ value }) => value)
      .filter((value) => value !== null && value !== undefined);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new MalformedYaml(`MalformedYAMLError: ${error.message}`);
  }
}

const isList = (value: unknown, kind: string): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  (value as Unstructured).kind === kind &&
  Array.isArray((value as Record<string, unknown>)["items"]);

const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;

function checkedObject(value: unknown): Unstructured {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const kind = Array.isArray(value) ? "SequenceNode" : "ScalarNode";
    throw new CommandError(`wrong Node Kind for  expected: MappingNode was ${kind}: value: {${textOf(value)}}`);
  }
  const object = value as Unstructured;
  const { apiVersion, kind } = object;
  const metadata = (object.metadata ?? {}) as Record<string, unknown>;
  if (!apiVersion && !kind && Object.keys(metadata).length === 0) throw new CommandError("missing Resource metadata");
  if (!kind) throw new CommandError(`missing kind in object ${showMeta(object)}`);
  if (!kind.endsWith("List") && !textOf(metadata["name"])) {
    throw new CommandError(`missing metadata.name in object ${showMeta(object)}`);
  }
  return object;
}

/** As Go prints the struct. */
function showMeta({ apiVersion = "", kind = "", metadata }: Unstructured): string {
  const { name, namespace, labels, annotations } = (metadata ?? {}) as unknown as Record<string, unknown>;
  const map = (entries: unknown) =>
    `map[${Object.entries((entries as object | undefined) ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}:${textOf(value)}`)
      .join(" ")}]`;
  return `{{${apiVersion} ${kind}} {{${textOf(name)} ${textOf(namespace)}} ${map(labels)} ${map(annotations)}}}`;
}
