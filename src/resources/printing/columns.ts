/** The columns that most kinds share, and how their cells are worded (kubectl's server-side printers upstream). */
import type { KubeObject } from "../../api/object.ts";
import { humanDuration } from "../../apimachinery/human-duration.ts";
import type { Column } from "../../apimachinery/resource-definition.ts";

type Cell<T> = Column<T>["cell"];

export const none = "<none>";
export const unset = "<unset>";
export const unknown = "<unknown>";

export function text<T>(name: string, cell: Cell<T>): Column<T> {
  return { name, type: "string", cell };
}

export function integer<T>(name: string, cell: (object: T) => number | undefined): Column<T> {
  return { name, type: "integer", cell: (object) => cell(object) ?? 0 };
}

export function boolean<T>(name: string, cell: (object: T) => boolean | undefined): Column<T> {
  return { name, type: "boolean", cell: (object) => cell(object) ?? false };
}

/** Shown only by `kubectl get -o wide`. */
export function wide<T>(column: Column<T>): Column<T> {
  return { ...column, priority: 1 };
}

export const name: Column<KubeObject> = {
  name: "Name",
  type: "string",
  format: "name",
  cell: (object) => object.metadata.name,
};

export const age: Column<KubeObject> = text("Age", (object, now) => ageText(object.metadata.creationTimestamp, now));

/** `<unknown>` when there is no time. */
export function ageText(time: string | undefined | null, now: number): string {
  if (!time) return unknown;
  return humanDuration(now - Date.parse(time));
}

/** `a=b,c=d`, keys sorted; `<none>` when empty. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? none : pairs.sort().join(",");
}

/** Names or images of a template's containers, as wide columns show them. */
export const containerNames = <T>(
  containers: (object: T) => readonly { name?: string }[] | null | undefined,
): Column<T> => wide(text("Containers", (object) => (containers(object) ?? []).map((c) => c.name ?? "").join(",")));

export const containerImages = <T>(
  containers: (object: T) => readonly { image?: string }[] | null | undefined,
): Column<T> => wide(text("Images", (object) => (containers(object) ?? []).map((c) => c.image ?? "").join(",")));
