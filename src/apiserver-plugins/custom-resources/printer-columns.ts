/** The columns of `kubectl get` that a CustomResourceDefinition asks for. */
import type { CustomResourceColumnDefinition } from "../../api/apiextensions/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { humanDuration } from "../../apimachinery/human-duration.ts";
import type { Column } from "../../apimachinery/resource-definition.ts";
import { stringifyExactly } from "../../apimachinery/serializer/big-integers.ts";
import { compileJsonPath } from "../../apimachinery/structural-schema/json-path.ts";

const nameColumn: Column<KubeObject> = {
  name: "Name",
  type: "string",
  format: "name",
  description: "What the object is called; unique among its kind, in its namespace if it has one.",
  cell: (object) => object.metadata.name,
};

const ageColumn: CustomResourceColumnDefinition = {
  name: "Age",
  type: "date",
  description: "How long ago the server created the object.",
  jsonPath: ".metadata.creationTimestamp",
};

export function printerColumns(
  columns: readonly CustomResourceColumnDefinition[] | undefined,
): readonly Column<KubeObject>[] {
  return [nameColumn, ...(columns?.length ? columns : [ageColumn]).map(columnOf)];
}

function columnOf({ name, type, format, description, priority, jsonPath }: CustomResourceColumnDefinition) {
  const find = compileJsonPath(jsonPath);
  return {
    name,
    type: type as Column<KubeObject>["type"],
    ...(format ? { format } : {}),
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    ...(priority ? { priority } : {}),
    cell: (object, now) => cellOf(type, find(object)[0], now),
  } satisfies Column<KubeObject>;
}

/** Null where there is nothing, or nothing of the column's type. */
function cellOf(type: string, value: unknown, now: number): string | number | bigint | boolean | null {
  if (value === undefined || value === null) return null;
  switch (type) {
    case "string":
      return typeof value === "string" ? value : stringifyExactly(value);
    case "integer":
      return typeof value === "bigint" ? value : typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "bigint" || typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value === "string" ? sinceText(value, now) : null;
    default:
      return null;
  }
}

function sinceText(time: string, now: number): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "<invalid>" : humanDuration(now - at);
}
