/** Events: what components tell users about an object. Two group-versions show the same stored objects. */
import type { Event } from "../../api/core/v1.ts";
import { type FieldError, FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { utf8Length } from "../../base/utf8.ts";
import { ageText, name, text, unknown, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { obeys } from "../validation/rules.ts";

const eventFieldSelectors = {
  "involvedObject.kind": (event: Event) => event.involvedObject?.kind ?? "",
  "involvedObject.namespace": (event: Event) => event.involvedObject?.namespace ?? "",
  "involvedObject.name": (event: Event) => event.involvedObject?.name ?? "",
  "involvedObject.uid": (event: Event) => event.involvedObject?.uid ?? "",
  "involvedObject.apiVersion": (event: Event) => event.involvedObject?.apiVersion ?? "",
  "involvedObject.resourceVersion": (event: Event) => event.involvedObject?.resourceVersion ?? "",
  "involvedObject.fieldPath": (event: Event) => event.involvedObject?.fieldPath ?? "",
  reason: (event: Event) => event.reason ?? "",
  reportingComponent: (event: Event) => event.reportingComponent ?? "",
  source: (event: Event) => event.source?.component || event.reportingComponent || "",
  type: (event: Event) => event.type ?? "",
};

const root = FieldPath.root;

export const events = defineResource<Event>({
  ...served("v1", "events"),
  metadataLooks: { create: "last", update: [] },
  allowCreateOnUpdate: true,
  validate: (next) => validEvent(next, "reportingComponent"),
  fieldSelectors: eventFieldSelectors,
  columns: [
    text("Last Seen", (event, now) => lastSeen(event, now)),
    text("Type", (event) => event.type ?? ""),
    text("Reason", (event) => event.reason ?? ""),
    text("Object", involvedObjectText),
    wide(text("Subobject", (event) => event.involvedObject?.fieldPath ?? "")),
    wide(text("Source", sourceText)),
    text("Message", (event) => (event.message ?? "").trim()),
    wide(text("First Seen", (event, now) => firstSeen(event, now))),
    wide(text("Count", countText)),
    wide(name),
  ],
});

/** Events of the old form must stand in their object's namespace; those with an eventTime must name their reporter. */
export function validEvent(event: Event, reporterField: string): FieldError[] {
  const { namespace = "" } = event.metadata;
  const about = event.involvedObject?.namespace ?? "";
  const errors: FieldError[] = [];
  if (!mayStandIn(namespace, about, !!event.eventTime)) {
    errors.push(invalid(root.child("involvedObject", "namespace"), about, "does not match event.namespace"));
  }
  if (event.eventTime) errors.push(...validReport(event, reporterField));
  errors.push(...obeys(namespace, dns1123SubdomainProblems, root.child("namespace")));
  return errors;
}

/** Of an event about something in the namespace `about`, or about something that is in none. */
function mayStandIn(namespace: string, about: string, hasEventTime: boolean): boolean {
  if (about !== "") return hasEventTime || about === namespace;
  return namespace === "default" || (hasEventTime && namespace === "kube-system");
}

function validReport(event: Event, reporterField: string): FieldError[] {
  const reporter = event.reportingComponent ?? "";
  return [
    ...(reporter === "" ? [required(root.child(reporterField))] : []),
    ...obeys(reporter, qualifiedNameProblems, root.child(reporterField)),
    ...atMost(event.reportingInstance ?? "", 128, "reportingInstance", true),
    ...atMost(event.action ?? "", 128, "action", true),
    ...atMost(event.reason ?? "", 128, "reason", true),
    ...atMost(event.message ?? "", 1024, "message", false),
  ];
}

/** The message says characters, and bytes are meant. */
function atMost(value: string, maximum: number, field: string, mandatory: boolean): FieldError[] {
  if (mandatory && value === "") return [required(root.child(field))];
  if (utf8Length(value) <= maximum) return [];
  return [invalid(root.child(field), "", `can have at most ${maximum} characters`)];
}

function involvedObjectText(event: Event): string {
  const { kind = "", name: objectName = "" } = event.involvedObject ?? {};
  return objectName ? `${kind.toLowerCase()}/${objectName}` : kind.toLowerCase();
}

function sourceText(event: Event): string {
  const component = event.source?.component || event.reportingComponent || "";
  const host = event.source?.host || event.reportingInstance || "";
  return host ? `${component}, ${host}` : component;
}

function firstSeen(event: Event, now: number): string {
  return ageText(event.firstTimestamp ?? event.eventTime, now);
}

/** With a series: `5m (x3 over 20m)`. */
function lastSeen(event: Event, now: number): string {
  if (event.series) {
    return `${ageText(event.series.lastObservedTime, now)} (x${event.series.count} over ${firstSeen(event, now)})`;
  }
  if ((event.count ?? 0) > 1) {
    return `${ageText(event.lastTimestamp, now)} (x${event.count} over ${firstSeen(event, now)})`;
  }
  const last = ageText(event.lastTimestamp, now);
  return last === unknown ? firstSeen(event, now) : last;
}

function countText(event: Event): number {
  if (event.series) return event.series.count ?? 0;
  return event.count || 1;
}
