/** Objects as rows for `kubectl get` (meta.k8s.io Table), and objects reduced to their metadata. */
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Column, ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { badRequestError } from "../../apimachinery/status-error.ts";

type Shared = DeepReadonly<KubeObject>;

export interface ColumnDefinition {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}

export interface TableRow {
  cells: unknown[];
  object: unknown;
}

export interface Table {
  kind: "Table";
  apiVersion: string;
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  columnDefinitions: ColumnDefinition[] | null;
  rows: TableRow[];
}

export type IncludeObject = "None" | "Metadata" | "Object";

/** Reads `includeObject`, which Tables alone look at. */
export function includeObjectOf(text: string | undefined): IncludeObject {
  if (!text) return "Metadata";
  if (text === "None" || text === "Metadata" || text === "Object") return text;
  throw badRequestError(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(text)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

/** What a kind without columns of its own shows. */
const defaultColumns: readonly Column<KubeObject>[] = [
  {
    name: "Name",
    type: "string",
    format: "name",
    description: "What the object is called; unique among its kind, in its namespace if it has one.",
    cell: (object) => object.metadata.name,
  },
  {
    name: "Created At",
    type: "date",
    description: "When the server created the object (RFC 3339, UTC).",
    cell: (object) => object.metadata.creationTimestamp,
  },
];

export function columnsOf(definition: ResourceDefinition): readonly Column<KubeObject>[] {
  return definition.columns ?? defaultColumns;
}

export function columnDefinitions(columns: readonly Column<KubeObject>[]): ColumnDefinition[] {
  return columns.map((column) => ({
    name: column.name,
    type: column.type,
    format: column.format ?? "",
    description: column.description ?? "",
    priority: column.priority ?? 0,
  }));
}

export function tableRow(
  columns: readonly Column<KubeObject>[],
  object: Shared,
  include: IncludeObject,
  version: string,
  now: number,
): TableRow {
  const cells = columns.map((column) => column.cell(object as KubeObject, now));
  const shown = include === "None" ? null : include === "Object" ? object : partialMetadata(object, version);
  return { cells, object: shown };
}

export function partialMetadata(object: Shared, version: string): object {
  return { kind: "PartialObjectMetadata", apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}
