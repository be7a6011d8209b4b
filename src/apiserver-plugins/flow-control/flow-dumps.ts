/** What operators look at when the server is busy: levels, queues and requests, in upstream's columns. */
import type { NonResourceHandler } from "../../apiserver/http/non-resource-routes.ts";
import { baseHeaders } from "../../apiserver/http/respond.ts";
import type { FlowCounts, RejectionReason } from "./flow-counts.ts";
import type { LevelRequest, PriorityLevel } from "./priority-level.ts";

const folder = "/debug/api_priority_and_fairness";

export function flowDumps(levels: () => readonly PriorityLevel[]): ReadonlyMap<string, NonResourceHandler> {
  const sorted = () => [...levels()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map([
    [`${folder}/dump_priority_levels`, text(() => levelRows(sorted()))],
    [`${folder}/dump_queues`, text(() => queueRows(sorted()))],
    [`${folder}/dump_requests`, text((query) => requestRows(sorted(), Boolean(query["includeRequestDetails"])))],
  ]);
}

type Query = Readonly<Record<string, string | string[] | undefined>>;

function text(rowsOf: (query: Query) => string[][]): NonResourceHandler {
  return (exchange, { query }, _user, auditId) => {
    exchange.respond(200, baseHeaders(auditId, "text/plain; charset=utf-8", []), aligned(rowsOf(query)));
  };
}

const levelHeaders = [
  "PriorityLevelName",
  "ActiveQueues",
  "IsIdle",
  "IsQuiescing",
  "WaitingRequests",
  "ExecutingRequests",
  "DispatchedRequests",
  "RejectedRequests",
  "TimedoutRequests",
  "CancelledRequests",
];

function levelRows(levels: readonly PriorityLevel[]): string[][] {
  const rows = levels.map((level) => {
    const counts = [...level.counts.values()];
    const sum = (read: (counts: FlowCounts) => number) => counts.reduce((all, one) => all + read(one), 0);
    const rejected = (...reasons: readonly RejectionReason[]) =>
      sum((one) => reasons.reduce((all, reason) => all + (one.rejected.get(reason) ?? 0), 0));
    return [
      level.name,
      level.queues.filter(({ waiting }) => waiting.length > 0).length,
      level.isIdle,
      level.isQuiescing,
      level.waiting,
      level.executing.size,
      sum(({ dispatched }) => dispatched),
      rejected("queue-full", "concurrency-limit"),
      rejected("time-out"),
      rejected("cancelled"),
    ].map(String);
  });
  return [levelHeaders, ...rows];
}

const queueHeaders = [
  "PriorityLevelName",
  "Index",
  "PendingRequests",
  "ExecutingRequests",
  "SeatsInUse",
  "NextDispatchR",
  "InitialSeatsSum",
  "MaxSeatsSum",
  "TotalWorkSum",
];

function queueRows(levels: readonly PriorityLevel[]): string[][] {
  const rows = levels.flatMap((level) => {
    const seen = level.queues.map(({ waiting, executing, seatsInUse, finish }, i) => {
      const seats = waiting.reduce((sum, { request }) => sum + request.work.seats, 0);
      const next = waiting[0]?.start ?? finish;
      return [
        level.name,
        i,
        waiting.length,
        executing,
        seatsInUse,
        seatSeconds(next),
        seats,
        seats,
        seatSeconds(seats),
      ];
    });
    // Queues are made when the first request has to wait.
    const idle = Math.max(0, (level.limits.queuing?.queues ?? 0) - seen.length);
    const unseen = Array.from({ length: idle }, (_, i) => {
      return [level.name, seen.length + i, 0, 0, 0, seatSeconds(0), 0, 0, seatSeconds(0)];
    });
    return [...seen, ...unseen].map((row) => row.map(String));
  });
  return [queueHeaders, ...rows];
}

const requestHeaders = [
  "PriorityLevelName",
  "FlowSchemaName",
  "QueueIndex",
  "RequestIndexInQueue",
  "FlowDistingsher",
  "ArriveTime",
  "InitialSeats",
  "FinalSeats",
  "AdditionalLatency",
  "StartTime",
];
const detailHeaders = ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"];

function requestRows(levels: readonly PriorityLevel[], hasDetails: boolean): string[][] {
  const rows = levels.flatMap((level) => {
    const row = (request: LevelRequest, queue: number, place: number) => {
      const { flow, work, attributes, arrivedMs, begunMs } = request;
      const { user, verb, path, namespace, name, group, version, resource, subresource } = attributes;
      const isLingering = work.lingerMs > 0;
      return [
        level.name,
        flow.schema,
        String(queue),
        String(place),
        flow.distinguisher,
        new Date(arrivedMs).toISOString(),
        String(isLingering ? 1 : work.seats),
        String(isLingering ? work.seats : 0),
        isLingering ? `${work.lingerMs}ms` : "0s",
        begunMs === undefined ? "0001-01-01T00:00:00Z" : new Date(begunMs).toISOString(),
        ...(hasDetails
          ? [user.name, verb, path, namespace, name, group ? `${group}/${version}` : version, resource, subresource]
          : []),
      ];
    };
    return [
      ...level.queues.flatMap(({ waiting }, i) => waiting.map(({ request }, place) => row(request, i, place))),
      ...[...level.executing].map(([request, queue]) => row(request, queue ? level.queues.indexOf(queue) : -1, -1)),
    ];
  });
  return [hasDetails ? [...requestHeaders, ...detailHeaders] : requestHeaders, ...rows];
}

const seatSeconds = (seats: number) => `${seats.toFixed(8)}ss`;

/** Columns as wide as their widest cell, and no narrower than eight. */
function aligned(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(8, ...rows.map((row) => row[column]!.length + 2)));
  const line = (row: string[]) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : `${cell},`.padEnd(widths[i]!))).join("");
  return rows.map((row) => `${line(row)}\n`).join("");
}
