/** What client-side apply sends for an object that is there: the difference from what was applied last. Pure. */
import { schemaForKind } from "../api/schema.ts";
import type { Unstructured } from "./api.ts";
import { lastAppliedOf } from "./last-applied.ts";
import type { ApiResource } from "./resource-catalog.ts";
import { threeWayPatch } from "./three-way-patch.ts";

export const clientSideManager = "kubectl-client-side-apply";

/** What makes `current` as `modified` is. An empty patch: nothing to do. */
export function applyPatch(
  { group, version, kind }: ApiResource,
  modified: Unstructured,
  current: Unstructured,
): { patch: Record<string, unknown>; contentType: string } {
  const type = schemaForKind(group, version, kind);
  const patch = threeWayPatch(lastAppliedOf(current) ?? {}, modified, current, type);
  const contentType = `application/${type ? "strategic-merge-patch" : "merge-patch"}+json`;
  return { patch, contentType };
}
