/** The levels' figures by upstream's names. */
import type { MetricFamily, MetricSample } from "../../base/exposition.ts";
import type { FlowCounts } from "./flow-counts.ts";
import type { LevelRequest, PriorityLevel } from "./priority-level.ts";

export interface LevelFigures {
  level: PriorityLevel;
  /** Seats that it could have at this moment. */
  current: number;
}

export function flowMetrics(levels: readonly LevelFigures[]): MetricFamily[] {
  const byLevel = (name: string, help: string, read: (figures: LevelFigures) => number): MetricFamily => ({
    name: `apiserver_flowcontrol_${name}`,
    help,
    type: "gauge",
    samples: levels.map((figures) => ({ labels: { priority_level: figures.level.name }, value: read(figures) })),
  });
  const byFlow = (
    name: string,
    type: MetricFamily["type"],
    help: string,
    samplesOf: (counts: FlowCounts, labels: Readonly<Record<string, string>>) => MetricSample[],
  ): MetricFamily => ({
    name: `apiserver_flowcontrol_${name}`,
    help,
    type,
    samples: levels.flatMap(({ level }) =>
      [...level.counts].flatMap(([schema, counts]) =>
        samplesOf(counts, { priority_level: level.name, flow_schema: schema }),
      ),
    ),
  });
  const under = (name: string, help: string, tally: (level: PriorityLevel) => Map<string, number>): MetricFamily => ({
    name: `apiserver_flowcontrol_${name}`,
    help,
    type: "gauge",
    samples: levels.flatMap(({ level }) => {
      const now = tally(level);
      return [...level.counts.keys()].map((schema) => ({
        labels: { priority_level: level.name, flow_schema: schema },
        value: now.get(schema) ?? 0,
      }));
    }),
  });
  return [
    byFlow("dispatched_requests_total", "counter", "Requests that were let through.", ({ dispatched }, labels) => [
      { labels, value: dispatched },
    ]),
    byFlow("rejected_requests_total", "counter", "Requests that were turned away.", ({ rejected }, labels) =>
      [...rejected].map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
    ),
    under("current_inqueue_requests", "Requests that wait.", (level) => tally(waitingIn(level), () => 1)),
    under("current_inqueue_seats", "Seats that are waited for.", (level) => tally(waitingIn(level), seatsOf)),
    under("current_executing_requests", "Requests that are being answered.", (level) =>
      tally(level.executing.keys(), () => 1),
    ),
    under("current_executing_seats", "Seats of requests that are being answered.", (level) =>
      tally(level.executing.keys(), seatsOf),
    ),
    byFlow("request_wait_duration_seconds", "histogram", "How long requests waited.", (counts, labels) => [
      ...counts.waited.samples({ ...labels, execute: "true" }),
      ...counts.waitedInVain.samples({ ...labels, execute: "false" }),
    ]),
    byFlow("request_execution_seconds", "histogram", "How long requests had their seats.", ({ executed }, labels) =>
      executed.samples({ ...labels, type: "regular" }),
    ),
    byLevel(
      "nominal_limit_seats",
      "Seats that are the level's when all levels are busy.",
      ({ level }) => level.limits.nominal,
    ),
    byLevel("lower_limit_seats", "Seats that it never lends.", ({ level }) => level.limits.kept),
    byLevel("upper_limit_seats", "The most it may have with what others lend.", ({ level }) => level.limits.maximum),
    byLevel("current_limit_seats", "Seats that it could have now.", ({ current }) => current),
  ];
}

function* waitingIn(level: PriorityLevel): Generator<LevelRequest> {
  for (const { waiting } of level.queues) for (const { request } of waiting) yield request;
}

const seatsOf = ({ work }: LevelRequest) => work.seats;

function tally(requests: Iterable<LevelRequest>, weigh: (request: LevelRequest) => number): Map<string, number> {
  const sums = new Map<string, number>();
  for (const request of requests) {
    const { schema } = request.flow;
    sums.set(schema, (sums.get(schema) ?? 0) + weigh(request));
  }
  return sums;
}
