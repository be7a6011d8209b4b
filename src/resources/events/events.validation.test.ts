import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { events } from "../core/event.ts";
import { newEvents } from "./event.ts";

const metadata = { name: "web", namespace: "default" };
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const old = { metadata, involvedObject: { kind: "Pod", namespace: "default", name: "p" }, reason: "R", type: "Normal" };
const elsewhere = 'involvedObject.namespace: Invalid value: "other": does not match event.namespace';
refuses(events, old, [
  ["about something elsewhere", { "involvedObject.namespace": "other" }, [elsewhere]],
  [
    "that says when and not who",
    { eventTime: "2026-01-01T00:00:00.000000Z" },
    [
      "reportingComponent: Required value",
      'reportingComponent: Invalid value: "": name part must be non-empty',
      `reportingComponent: Invalid value: "": ${namePart}`,
      "reportingInstance: Required value",
      "action: Required value",
    ],
  ],
]);
refusesChanges(events, old, [
  ["may count on", { count: 2 }, []],
  ["may not move it elsewhere", { "involvedObject.namespace": "other" }, [elsewhere]],
]);

const event = {
  metadata,
  eventTime: "2026-01-01T00:00:00.000000Z",
  regarding: { kind: "Pod", namespace: "default", name: "p" },
  reason: "R",
  type: "Normal",
  action: "A",
  reportingController: "a.test/b",
  reportingInstance: "i",
};
refuses(newEvents, event, [
  ["that says not when", { eventTime: undefined }, ["eventTime: Required value"]],
  [
    "of no name and many faults, told in upstream's order",
    { "metadata.name": "E_b", action: "", series: {} },
    [
      "action: Required value",
      `metadata.name: Invalid value: "E_b": ${subdomain}`,
      'series.count: Invalid value: "": should be at least 2',
      "series.lastObservedTime: Required value",
    ],
  ],
  ["of a type nobody knows", { type: "Loud" }, ['type: Invalid value: "": has invalid value: Loud']],
  [
    "in the words of old",
    { deprecatedCount: 1, deprecatedSource: { component: "c" }, deprecatedFirstTimestamp: "2026-01-01T00:00:00Z" },
    [
      'firstTimestamp: Invalid value: "": needs to be unset',
      'count: Invalid value: "": needs to be unset',
      'source: Invalid value: "": needs to be unset',
    ],
  ],
  [
    "in a series of one",
    { series: { count: 1 } },
    ['series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"],
  ],
  [
    "with more letters than there is room for",
    { reportingInstance: "é".repeat(65), action: "é".repeat(65), reason: "é".repeat(65) },
    ["reportingInstance", "action", "reason"].map(
      (field) => `${field}: Invalid value: "": can have at most 128 characters`,
    ),
  ],
  [
    "about nothing in a namespace",
    { "metadata.namespace": "other", regarding: undefined, reportingController: "-" },
    [
      'involvedObject.namespace: Invalid value: "": does not match event.namespace',
      `reportingController: Invalid value: "-": ${namePart}`,
    ],
  ],
  ["that says too much", { note: "x".repeat(1025) }, ['message: Invalid value: "": can have at most 1024 characters']],
]);
refusesChanges(newEvents, event, [
  ["may go on", { series: { count: 2, lastObservedTime: "2026-01-01T00:00:00.000000Z" } }, []],
  [
    "may not say something else",
    { note: "n", "regarding.name": "q", reason: "S" },
    [
      'involvedObject: Invalid value: {"Kind":"Pod","Namespace":"default","Name":"q","UID":"","APIVersion":"","ResourceVersion":"","FieldPath":""}: field is immutable',
      'reason: Invalid value: "S": field is immutable',
      'message: Invalid value: "n": field is immutable',
      'reason: Invalid value: "S": field is immutable',
    ],
  ],
  [
    "may not say anything else either",
    {
      type: "Warning",
      eventTime: "2026-01-02T00:00:00.000000Z",
      action: "B",
      related: { name: "r" },
      reportingController: "c",
      reportingInstance: "j",
      deprecatedCount: 3,
      deprecatedSource: { host: "h" },
      deprecatedLastTimestamp: "2026-01-01T00:00:00Z",
      series: { count: 1 },
    },
    [
      'series.count: Invalid value: "": should be at least 2',
      "series.lastObservedTime: Required value",
      'source: Invalid value: {"Component":"","Host":"h"}: field is immutable',
      'lastTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable',
      "count: Invalid value: 3: field is immutable",
      'type: Invalid value: "Warning": field is immutable',
      'eventTime: Invalid value: "2026-01-02T00:00:00.000000Z": field is immutable',
      'action: Invalid value: "B": field is immutable',
      'related: Invalid value: {"Kind":"","Namespace":"","Name":"r","UID":"","APIVersion":"","ResourceVersion":"","FieldPath":""}: field is immutable',
      'reportingController: Invalid value: "c": field is immutable',
      'reportingInstance: Invalid value: "j": field is immutable',
    ],
  ],
  ["may not forget when it was", { eventTime: undefined }, ["eventTime: Invalid value: null: field is immutable"]],
  ["may keep a series that is none", { "metadata.labels": { a: "b" } }, [], { series: { count: 1 } }],
]);
