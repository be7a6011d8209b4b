/** What every describer works with, and how most kinds begin. */
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import type { Api, Unstructured } from "../api.ts";
import { pathOf } from "../resource-catalog.ts";
import type { Outline } from "./outline.ts";

export interface Describing {
  api: Api;
  nowMs: number;
  outline: Outline;
}

/** Writes one object of a kind, events left out. */
export type Describe = (object: Unstructured, describing: Describing) => void | Promise<void>;
/** By `group/Kind`. */
export type Describers = Readonly<Record<string, Describe>>;
export type Fields = Record<string, unknown>;

export const fields = (value: unknown): Fields => (value ?? {}) as Fields;
export const list = <T = Fields>(value: unknown): T[] => (value as T[] | undefined) ?? [];
export const orNone = (value: unknown): string =>
  value === undefined || value === null || value === "" ? "<none>" : String(value);
/** `a=b,c=d`, as Go formats labels on one line. */
export const oneLine = (map: Readonly<Record<string, string>> | undefined): string =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(",") || "<none>";

/** What the core group holds in a namespace. */
export async function coreObjects(api: Api, plural: string, namespace: string | undefined): Promise<Unstructured[]> {
  const { items } = await api.get<{ items?: Unstructured[] | null }>(
    pathOf({ group: "", version: "v1", plural }, namespace),
  );
  return items ?? [];
}

/** Labels and annotations, as every kind begins. */
export function writeHead(
  outline: Outline,
  { metadata }: Unstructured,
  { annotations = true, labels = true } = {},
): void {
  outline.field(0, "Name", metadata.name);
  if (metadata.namespace) outline.field(0, "Namespace", metadata.namespace);
  if (labels) outline.map(0, "Labels", metadata.labels);
  if (annotations) writeAnnotations(outline, metadata.annotations);
}

const annotationWidth = 140;

function shortened(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}...` : text;
}

/** What apply remembers is left out; long values go on lines of their own. */
export function writeAnnotations(outline: Outline, annotations: Record<string, string> = {}): void {
  const shown = Object.entries(annotations)
    .filter(([key]) => key !== "kubectl.kubernetes.io/last-applied-configuration")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (shown.length === 0) outline.line(0, "Annotations:\t<none>");
  for (const [i, [key, text]] of shown.entries()) {
    const head = i === 0 ? "Annotations:" : "";
    const value = text.replace(/\n$/, "");
    const lines = value.split("\n");
    if (lines.length === 1 && key.length + value.length + 2 <= annotationWidth)
      outline.line(0, `${head}\t${key}: ${value}`);
    else {
      outline.line(0, `${head}\t${key}:`);
      for (const line of lines) outline.line(0, `\t  ${shortened(line, annotationWidth - 2)}`);
    }
  }
}

export function controllerOf({ metadata }: Unstructured): string | undefined {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  return owner && `${owner.kind}/${owner.name}`;
}

export const selectorText = (selector: unknown): string => formatLabelSelector(selector as never) || "<none>";
