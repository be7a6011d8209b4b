/** ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, numbered. */
import type { ControllerRevision } from "../api/apps/v1.ts";
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { ControllerRevisions } from "../api/resources.ts";
import { semanticEqual } from "../apimachinery/semantic-equal.ts";
import { isAlreadyExists, isNotFound } from "../apimachinery/status-error.ts";
import { type Client, refOf } from "../client/client.ts";
import { controllerReferenceTo } from "./ownership.ts";
import { canonicalJson, templateHash } from "./template-hash.ts";

export const revisionHashLabel = "controller-revision-hash";

export type ReadRevision = DeepReadonly<ControllerRevision>;

export function byRevision(revisions: readonly ReadRevision[]): ReadRevision[] {
  return revisions.toSorted((a, b) => {
    if (a.revision !== b.revision) return a.revision < b.revision ? -1 : 1;
    return a.metadata.name < b.metadata.name ? -1 : 1;
  });
}

/** What a revision keeps of its owner's spec: a strategic patch that replaces the template. */
export function revisionData(template: unknown): { spec: { template: unknown } } {
  return { spec: { template: { ...(template as object), $patch: "replace" } } };
}

/** The template that a revision holds. */
export function templateOf<T>(revision: ReadRevision): T {
  const { spec } = revision.data as unknown as { spec: { template: Record<string, unknown> } };
  const { $patch: _, ...template } = spec.template;
  return template as T;
}

/**
 * The revision that holds the owner's present template, created or, after a rollback, numbered anew.
 * `onCollision` is told when the wanted name is taken by another template; the caller counts and looks again.
 */
export async function syncRevision(
  api: Client,
  owner: DeepReadonly<KubeObject>,
  owners: Resource,
  template: unknown,
  labels: Readonly<Record<string, string>> | undefined,
  collisionCount: number,
  history: readonly ReadRevision[],
  onCollision: () => Promise<void>,
): Promise<ReadRevision> {
  const data = revisionData(template);
  const sorted = byRevision(history);
  const latest = sorted.at(-1);
  const equal = sorted.findLast((revision) => semanticEqual(revision.data, data));
  if (equal && equal === latest) return equal;
  const revision = Number(latest?.revision ?? 0) + 1;
  if (equal) return await api.update(ControllerRevisions, { ...equal, revision });

  const hash = templateHash(template, collisionCount);
  const { name, namespace } = owner.metadata as { name: string; namespace: string };
  try {
    return await api.create(ControllerRevisions, {
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels: { ...labels, [revisionHashLabel]: hash },
        ...(owner.metadata.annotations ? { annotations: { ...owner.metadata.annotations } } : {}),
        ownerReferences: [controllerReferenceTo(owners, owner)],
      },
      // Whoever looks for the revision of a template compares the bytes, and Go writes maps by their keys.
      data: JSON.parse(canonicalJson(data)),
      revision,
    });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const existing = await api.get(ControllerRevisions, { name: `${name}-${hash}`, namespace });
    if (semanticEqual(existing.data, data)) return existing;
    await onCollision();
    throw new Error(`the name ${name}-${hash} is taken by a revision of another template`);
  }
}

/** Deletes the oldest revisions that nothing uses, beyond the limit. */
export async function trimRevisions(
  api: Client,
  history: readonly ReadRevision[],
  used: ReadonlySet<string>,
  limit: number,
): Promise<void> {
  const unused = byRevision(history).filter(({ metadata }) => !used.has(metadata.name));
  for (const revision of unused.slice(0, Math.max(0, unused.length - limit))) {
    try {
      await api.delete(ControllerRevisions, refOf(revision), { preconditions: { uid: revision.metadata.uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** The hash by which Pods carry their revision. */
export function hashOf(revision: ReadRevision): string {
  return revision.metadata.labels?.[revisionHashLabel] ?? revision.metadata.name;
}
