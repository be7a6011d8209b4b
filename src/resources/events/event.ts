/** Events as events.k8s.io shows them: new names for the fields of the stored core Events. */
import type { Event as CoreEvent } from "../../api/core/v1.ts";
import type { Event } from "../../api/events/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { type FieldError, FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { nameRuleOf, validateObjectMeta } from "../../apimachinery/object-meta-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { events as coreEvents, validEvent } from "../core/event.ts";
import { internalForm } from "../core/internal-form.ts";
import { served } from "../served.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

/** Field selectors that carry a new name here. */
const newNames: Record<string, string> = {
  "involvedObject.kind": "regarding.kind",
  "involvedObject.namespace": "regarding.namespace",
  "involvedObject.name": "regarding.name",
  "involvedObject.uid": "regarding.uid",
  "involvedObject.apiVersion": "regarding.apiVersion",
  "involvedObject.resourceVersion": "regarding.resourceVersion",
  "involvedObject.fieldPath": "regarding.fieldPath",
  reportingComponent: "reportingController",
};

export const newEvents = defineResource<Event>({
  ...served("events.k8s.io/v1", "events"),
  storedAs: {
    group: "",
    version: "v1",
    toStored: (event) => withoutAbsent(toCoreEvent(event)),
    fromStored: (event) => withoutAbsent(fromCoreEvent(event as CoreEvent)),
  },
  metadataLooks: { create: "last" },
  allowCreateOnUpdate: true,
  validate: (next, previous) => [
    ...validEvent(toCoreEvent(next), "reportingController"),
    ...(previous
      ? validChange(next, previous)
      : [...validateObjectMeta(next.metadata, true, nameRuleOf("dns-subdomain")), ...validNewEvent(next)]),
  ],
  fieldSelectors: Object.fromEntries(
    Object.entries(coreEvents.fieldSelectors ?? {})
      .filter(([field]) => field !== "source")
      .map(([field, read]) => [newNames[field] ?? field, (event: Event) => read(toCoreEvent(event))]),
  ),
  columns: coreEvents.columns?.map((column) => ({
    ...column,
    cell: (event: Event, now: number) => column.cell(toCoreEvent(event), now),
  })),
});

const root = FieldPath.root;

function validNewEvent(event: Event): FieldError[] {
  const errors = validSeries(event);
  if (!event.eventTime) errors.push(required(root.child("eventTime")));
  if (event.type !== "Normal" && event.type !== "Warning") {
    errors.push(invalid(root.child("type"), "", `has invalid value: ${event.type ?? ""}`));
  }
  const unset = (field: string, isSet: unknown) => {
    if (isSet) errors.push(invalid(root.child(field), "", "needs to be unset"));
  };
  unset("firstTimestamp", event.deprecatedFirstTimestamp);
  unset("lastTimestamp", event.deprecatedLastTimestamp);
  unset("count", event.deprecatedCount);
  unset("source", event.deprecatedSource?.component || event.deprecatedSource?.host);
  return errors;
}

function validSeries({ series }: Event): FieldError[] {
  if (!series) return [];
  const errors: FieldError[] = [];
  if ((series.count ?? 0) < 2) errors.push(invalid(root.child("series.count"), "", "should be at least 2"));
  if (!series.lastObservedTime) errors.push(required(root.child("series.lastObservedTime")));
  return errors;
}

/** What an event was about does not change; only its series goes on. Upstream looks at the reason twice. */
function validChange(next: Event, previous: Event): FieldError[] {
  const errors = semanticallyEqual(next.series, previous.series) ? [] : validSeries(next);
  const [now, before] = [toCoreEvent(next), toCoreEvent(previous)];
  for (const field of fixedFields) {
    if (semanticallyEqual(now[field], before[field])) continue;
    const value = now[field];
    const shown =
      field === "involvedObject" || field === "related"
        ? value && internalForm("ObjectReference", value)
        : field === "source"
          ? internalForm("EventSource", value)
          : (value ?? (field === "count" ? 0 : times.has(field) ? null : ""));
    errors.push(invalid(root.child(outerNames[field] ?? field), shown ?? null, "field is immutable"));
  }
  return errors;
}

const fixedFields = [
  "involvedObject",
  "reason",
  "message",
  "source",
  "firstTimestamp",
  "lastTimestamp",
  "count",
  "reason",
  "type",
  "eventTime",
  "action",
  "related",
  "reportingComponent",
  "reportingInstance",
] as const;
const times: ReadonlySet<string> = new Set(["firstTimestamp", "lastTimestamp", "eventTime"]);
const outerNames: Readonly<Record<string, string>> = { reportingComponent: "reportingController" };

function toCoreEvent(event: Event): CoreEvent {
  const { regarding, note, deprecatedSource, deprecatedFirstTimestamp, deprecatedLastTimestamp, ...same } = event;
  const { deprecatedCount, reportingController, ...rest } = same;
  return {
    ...rest,
    apiVersion: "v1",
    involvedObject: regarding ?? {},
    message: note,
    source: deprecatedSource,
    firstTimestamp: deprecatedFirstTimestamp,
    lastTimestamp: deprecatedLastTimestamp,
    count: deprecatedCount,
    reportingComponent: reportingController,
  };
}

function fromCoreEvent(event: CoreEvent): Event {
  const { involvedObject, message, source, firstTimestamp, lastTimestamp, count, reportingComponent, ...rest } = event;
  return {
    ...rest,
    apiVersion: "events.k8s.io/v1",
    eventTime: event.eventTime as string,
    series: event.series as Event["series"],
    regarding: involvedObject,
    note: message,
    deprecatedSource: source,
    deprecatedFirstTimestamp: firstTimestamp,
    deprecatedLastTimestamp: lastTimestamp,
    deprecatedCount: count,
    reportingController: reportingComponent,
  };
}

function withoutAbsent<T extends KubeObject>(object: T): T {
  const fields = object as unknown as Record<string, unknown>;
  for (const key of Object.keys(fields)) if (fields[key] === undefined) delete fields[key];
  return object;
}
