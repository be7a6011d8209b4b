/** Patches done here: for `--local`, `--dry-run=client` and `--overrides`. */
import type { Unstructured } from "./api.ts";
import { splitApiVersion } from "./resource-catalog.ts";

export type PatchType = "json" | "merge" | "strategic";

/** The object as the patch makes it. A strategic patch of a kind without a schema is merged. Throws what the patch's algorithm throws. */
export async function patchLocally(object: Unstructured, patch: unknown, type: PatchType): Promise<Unstructured> {
  if (type === "json") {
    const { applyJsonPatch, readJsonPatch } = await import("../apimachinery/patch/json.ts");
    return applyJsonPatch(object, readJsonPatch(patch)) as Unstructured;
  }
  if (type === "strategic") {
    const { schemaForKind } = await import("../api/schema.ts");
    const { group, version } = splitApiVersion(object.apiVersion ?? "");
    const schema = schemaForKind(group, version, object.kind ?? "");
    if (schema) {
      const { strategicMergePatch } = await import("../apimachinery/patch/strategic.ts");
      return strategicMergePatch(object, patch as object, schema) as Unstructured;
    }
  }
  const { mergePatch } = await import("../apimachinery/patch/merge.ts");
  return mergePatch(object, patch) as Unstructured;
}
