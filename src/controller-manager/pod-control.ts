/** Creates Pods from templates and deletes them, with the events that users know (PodControl upstream). */
import type { Pod, PodTemplateSpec } from "../api/core/v1.ts";
import type { OwnerReference } from "../api/meta/v1.ts";
import type { DeepReadonly, KubeObject, New } from "../api/object.ts";
import { Pods } from "../api/resources.ts";
import { isConflict, isNotFound } from "../apimachinery/status-error.ts";
import { type Client, refOf } from "../client/client.ts";
import type { EventRecorder } from "../controller-runtime/events.ts";
import { isNamespaceTerminating } from "../controller-runtime/namespace-terminating.ts";

interface PodControlContext {
  api: Client;
  events: EventRecorder;
}

/** The Pod that a template asks for, owned by `reference`. Names end in a suffix that the server generates. */
export function podFromTemplate(
  template: DeepReadonly<PodTemplateSpec>,
  namePrefix: string,
  namespace: string,
  reference: OwnerReference,
): New<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      generateName: namePrefix,
      namespace,
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [reference],
    },
    // The server decodes or copies what it is given before it fills in defaults.
    spec: template.spec as Pod["spec"],
  };
}

/** Creates one Pod; records success or failure on its owner. Rejects when it failed. */
export async function createPod(
  { api, events }: PodControlContext,
  pod: New<Pod>,
  owner: DeepReadonly<KubeObject>,
): Promise<DeepReadonly<Pod>> {
  try {
    const created = await api.create(Pods, pod);
    events.event(owner, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`);
    return created;
  } catch (error) {
    // In a namespace that is going away every create fails: the namespace says so itself.
    if (!isNamespaceTerminating(error)) {
      events.event(owner, "Warning", "FailedCreate", `Error creating: ${messageOf(error)}`);
    }
    throw error;
  }
}

/**
 * Deletes one Pod; records it on its owner. A Pod that is gone already is fine. `isUnchanged`: only in the state that was seen;
 * a Conflict otherwise, which is not recorded.
 */
export async function deletePod(
  { api, events }: PodControlContext,
  pod: DeepReadonly<Pod>,
  owner: DeepReadonly<KubeObject>,
  { isUnchanged = false } = {},
): Promise<void> {
  const { uid, resourceVersion } = pod.metadata;
  try {
    await api.delete(Pods, refOf(pod), { preconditions: { uid, ...(isUnchanged ? { resourceVersion } : {}) } });
    events.event(owner, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
  } catch (error) {
    if (isNotFound(error)) return;
    if (isUnchanged && isConflict(error)) throw error;
    events.event(owner, "Warning", "FailedDelete", `Error deleting: ${messageOf(error)}`);
    throw error;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
