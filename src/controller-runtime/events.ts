/** Events as users see them in `kubectl describe`: recorded, aggregated, never in the way of the work itself. */
import type { KubeObject } from "../api/object.ts";

export interface EventRecorder {
  /**
   * Records that something happened to `object`. Returns at once; writes happen behind, failures are dropped.
   * Repeats of one (object, reason, message) raise `count` on the same Event, as upstream's correlator does.
   * `atMs`, in epoch milliseconds, is when it happened. Default: now.
   */
  event(
    object: EventSubject,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    fieldPath?: string,
    atMs?: number,
  ): void;
}

export type EventSubject = Pick<KubeObject, "apiVersion" | "kind"> & {
  metadata: { name?: string; namespace?: string; uid?: string; resourceVersion?: string };
};
