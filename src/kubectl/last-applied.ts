/** The annotation in which client-side apply remembers what it sent. */
import type { Unstructured } from "./api.ts";
import { sortKeys } from "./printers/printable.ts";

export const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

/** The object with itself, without this annotation, written into it. */
export function withLastApplied(object: Unstructured): Unstructured {
  const annotations = { ...object.metadata.annotations };
  delete annotations[lastAppliedAnnotation];
  const bare = { ...object, metadata: { ...object.metadata, annotations } };
  const text = `${JSON.stringify(sortKeys(bare))}\n`;
  return { ...bare, metadata: { ...bare.metadata, annotations: { ...annotations, [lastAppliedAnnotation]: text } } };
}

export function lastAppliedOf({ metadata }: Unstructured): Unstructured | undefined {
  const text = metadata.annotations?.[lastAppliedAnnotation];
  return text ? (JSON.parse(text) as Unstructured) : undefined;
}
