/** Events as events.k8s.io shows them: new names for the fields of the stored core Events. */
import type { Event as CoreEvent } from "../../api/core/v1.ts";
import type { Event } from "../../api/events/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { type FieldError, FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { events as coreEvents, validEvent } from "../core/event.ts";
import { served } from "../served.ts";

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
  allowCreateOnUpdate: true,
  validate: (next, previous) => [
    ...(previous ? [] : validNewEvent(next)),
    ...(previous ? [] : validEvent(toCoreEvent(next), "reportingController")),
  ],
  fieldSelectors: Object.fromEntries(
    Object.entries(coreEvents.fieldSelectors ?? {}).map(([field, read]) => [
      newNames[field] ?? field,
      (event: Event) => read(toCoreEvent(event)),
    ]),
  ),
  columns: coreEvents.columns?.map((column) => ({
    ...column,
    cell: (event: Event, now: number) => column.cell(toCoreEvent(event), now),
  })),
});

const root = FieldPath.root;

function validNewEvent(event: Event): FieldError[] {
  const errors: FieldError[] = [];
  if (!event.eventTime) errors.push(required(root.child("eventTime")));
  if (event.type !== "Normal" && event.type !== "Warning") {
    errors.push(invalid(root.child("type"), "", `has invalid value: ${event.type ?? ""}`));
  }
  for (const field of ["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount"] as const) {
    const old = `${field.charAt(10).toLowerCase()}${field.slice(11)}`;
    if (event[field]) errors.push(invalid(root.child(old), "", "needs to be unset"));
  }
  return errors;
}

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
