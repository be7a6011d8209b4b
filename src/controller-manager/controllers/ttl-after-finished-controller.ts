/** Deletes Jobs when their time after finishing is over. */
import type { Job } from "../../api/batch/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Jobs } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { refOf } from "../../client/client.ts";
import { defineController } from "../../controller-runtime/controller.ts";
import { finishedCondition } from "./job/job-facts.ts";

export const ttlAfterFinishedController = defineController<Job>({
  name: "ttl-after-finished-controller",
  reconciles: Jobs,
  when: ({ type, object }) => type !== "DELETED" && object.spec.ttlSecondsAfterFinished !== undefined,
  writes: [Jobs],
  async reconcile({ key, cache, api, clock }) {
    const job = cache.get(Jobs, key);
    if (!job || job.metadata.deletionTimestamp) return;
    const dueMs = expiryMs(job);
    if (dueMs === undefined) return;
    const afterMs = dueMs - clock.now();
    if (afterMs > 0) return { afterMs };
    const preconditions = { uid: job.metadata.uid, resourceVersion: job.metadata.resourceVersion };
    try {
      await api.delete(Jobs, refOf(job), { propagationPolicy: "Foreground", preconditions });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  },
});

/** When the Job may go, in epoch milliseconds; undefined while it runs or when it stays for good. */
export function expiryMs(job: DeepReadonly<Job>): number | undefined {
  const { ttlSecondsAfterFinished } = job.spec;
  const finished = finishedCondition(job);
  if (ttlSecondsAfterFinished === undefined || !finished?.lastTransitionTime) return undefined;
  return Date.parse(finished.lastTransitionTime) + ttlSecondsAfterFinished * 1000;
}
