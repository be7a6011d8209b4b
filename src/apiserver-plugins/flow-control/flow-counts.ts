/** What became of the requests of one FlowSchema at one level, for Prometheus. */
import { DurationHistogram } from "../../base/duration-histogram.ts";

/** `cancelled`: whoever asked went away while it waited. */
export type RejectionReason = "concurrency-limit" | "queue-full" | "time-out" | "cancelled";

const boundsInSeconds = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30] as const;

export class FlowCounts {
  dispatched = 0;
  readonly rejected = new Map<RejectionReason, number>();
  readonly waited = new DurationHistogram(boundsInSeconds);
  readonly waitedInVain = new DurationHistogram(boundsInSeconds);
  readonly executed = new DurationHistogram(boundsInSeconds);
}
