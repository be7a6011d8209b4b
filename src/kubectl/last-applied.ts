/** The annotation in which client-side apply remembers what it sent. */
import type { Unstructured } from "./api.ts";
import { compactGoJson } from "./printers/printable.ts";

export const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

/** The object with itself, without this annotation, written into it. */
export function withLastApplied(object: Unstructured): Unstructured {
  const bare = withoutLastApplied(object);
  const { annotations } = bare.metadata;
  const text = `${compactGoJson(bare)}\n`;
  return { ...bare, metadata: { ...bare.metadata, annotations: { ...annotations, [lastAppliedAnnotation]: text } } };
}

/** The object with annotations, if only an empty map of them: what is compared with what was applied last. */
export function withoutLastApplied(object: Unstructured): Unstructured {
  const annotations = { ...object.metadata.annotations };
  delete annotations[lastAppliedAnnotation];
  return { ...object, metadata: { ...object.metadata, annotations } };
}

export function lastAppliedOf({ metadata }: Unstructured): Unstructured | undefined {
  const text = metadata.annotations?.[lastAppliedAnnotation];
  return text ? (JSON.parse(text) as Unstructured) : undefined;
}
