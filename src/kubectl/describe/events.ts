/** What `describe` ends with: the events about an object. */
import { age } from "../ages.ts";
import type { Api, Unstructured } from "../api.ts";
import { pathOf } from "../resource-catalog.ts";
import type { Outline } from "./outline.ts";

export interface Event extends Unstructured {
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  firstTimestamp?: string | null;
  lastTimestamp?: string | null;
  eventTime?: string | null;
  series?: { count?: number; lastObservedTime?: string };
  source?: { component?: string; host?: string };
  reportingComponent?: string;
  involvedObject?: { kind?: string; name?: string; namespace?: string; uid?: string; fieldPath?: string };
}

/** Oldest first; those of the newer recorders, the scheduler's above all, have no last timestamp and so come before all others. */
export async function eventsOf(api: Api, { metadata, kind }: Unstructured): Promise<Event[]> {
  const { name, namespace, uid } = metadata;
  const fields = [
    `involvedObject.name=${name}`,
    ...(namespace ? [`involvedObject.namespace=${namespace}`] : []),
    ...(kind ? [`involvedObject.kind=${kind}`] : []),
    // Nodes' events carry their name where others carry their uid.
    ...(uid && kind !== "Node" ? [`involvedObject.uid=${uid}`] : []),
  ];
  const path = pathOf({ group: "", version: "v1", plural: "events" }, namespace);
  const { items } = await api.get<{ items: Event[] }>(
    `${path}?fieldSelector=${encodeURIComponent(fields.join(","))}&limit=500`,
  );
  const last = ({ lastTimestamp }: Event) => (lastTimestamp ? Date.parse(lastTimestamp) : 0);
  return items.sort((a, b) => last(a) - last(b));
}

export function lastSeen(event: Event): number {
  const time = event.series?.lastObservedTime ?? event.lastTimestamp ?? event.firstTimestamp ?? event.eventTime;
  if (!time) return 0;
  // Events of one millisecond have an order, too.
  const micros = /\.\d{3}(\d{1,3})/.exec(time)?.[1] ?? "0";
  return Date.parse(time) + Number(`0.${micros}`);
}

export function writeEvents(outline: Outline, events: readonly Event[], nowMs: number): void {
  if (events.length === 0) {
    outline.line(0, "Events:\t<none>");
    return;
  }
  outline.line(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
  outline.line(1, "----\t------\t----\t----\t-------");
  for (const event of events) {
    const from = event.source?.component || event.reportingComponent || "";
    const place = event.involvedObject?.fieldPath ? `${event.involvedObject.fieldPath}: ` : "";
    outline.line(
      1,
      `${event.type}\t${event.reason}\t${interval(event, nowMs)}\t${from}\t${place}${(event.message ?? "").trim()}`,
    );
  }
}

/** `4s`, or `4s (x3 over 2m)` for one that came several times. */
function interval(event: Event, nowMs: number): string {
  const first = event.firstTimestamp ?? event.eventTime;
  if (event.series)
    return `${age(event.series.lastObservedTime, nowMs)} (x${event.series.count} over ${age(first, nowMs)})`;
  const last = event.lastTimestamp ?? event.firstTimestamp ?? event.eventTime;
  if ((event.count ?? 1) > 1) return `${age(last, nowMs)} (x${event.count} over ${age(first, nowMs)})`;
  return age(first ?? last, nowMs);
}
