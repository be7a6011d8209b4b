/** The annotation in which client-side apply remembers what it sent. */
import type { Unstructured } from "./api.ts";
import { compactGoJson, goJsonInOrder } from "./printers/printable.ts";
import { asTyped } from "./printers/typed.ts";

export const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

/** The object with itself, without this annotation, written into it. */
export function withLastApplied(object: Unstructured): Unstructured {
  const bare = withoutLastApplied(object);
  const { annotations } = bare.metadata;
  const text = `${compactGoJson(bare)}\n`;
  return { ...bare, metadata: { ...bare.metadata, annotations: { ...annotations, [lastAppliedAnnotation]: text } } };
}

/** What the annotation says of an object, for those who write only the annotation. */
export function lastAppliedText(object: Unstructured): string {
  const { annotations = {}, ...metadata } = withoutLastApplied(object).metadata;
  const bare = { ...metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) };
  return `${compactGoJson({ ...object, metadata: bare })}\n`;
}

/** The same in the form that Go gives the struct of the kind. */
export function withTypedLastApplied(object: Unstructured): Unstructured {
  const { annotations } = object.metadata;
  const text = `${goJsonInOrder(asTyped(object))}\n`;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...annotations, [lastAppliedAnnotation]: text } },
  };
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
