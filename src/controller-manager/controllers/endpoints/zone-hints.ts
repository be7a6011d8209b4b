/** Which zone each endpoint should serve, for Services with `service.kubernetes.io/topology-mode: Auto` (upstream's topologycache). Pure. */
import type { Node, Service } from "../../../api/core/v1.ts";
import type { Endpoint } from "../../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import { Quantity } from "../../../apimachinery/quantity.ts";
import { zoneLabel } from "./service-wakes.ts";

/** By how much an endpoint may be busier than the average. */
const overloadThreshold = 0.2;

const modeAnnotation = "service.kubernetes.io/topology-mode";
const oldAnnotation = "service.kubernetes.io/topology-aware-hints";

export function wantsZoneHints({ metadata }: DeepReadonly<Service>): boolean {
  const mode = metadata.annotations?.[modeAnnotation] ?? metadata.annotations?.[oldAnnotation];
  return mode === "Auto" || mode === "auto";
}

/** What of a Node decides how much its zone should get; the text differs when that changed. */
export function shareOfNode({ metadata, status }: DeepReadonly<Node>): string {
  const zone = metadata.labels?.[zoneLabel] ?? "";
  const isReady = status.conditions?.some((each) => each.type === "Ready" && each.status === "True") ?? false;
  return [zone, isReady, isControlPlane(metadata.labels), status.allocatable?.["cpu"]].join(" ");
}

/** Each zone's part of the CPUs; undefined where a Node does not say what is needed, or all are in one zone. */
export function zoneShares(nodes: Iterable<DeepReadonly<Node>>): ReadonlyMap<string, number> | undefined {
  const cpus = new Map<string, number>();
  let total = 0;
  for (const node of nodes) {
    const { labels } = node.metadata;
    if (isControlPlane(labels)) continue;
    if (!node.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True")) continue;
    const zone = labels?.[zoneLabel];
    const cpu = Quantity.parse(node.status.allocatable?.["cpu"] ?? "0").milliValue();
    if (!zone || cpu === 0) return undefined;
    cpus.set(zone, (cpus.get(zone) ?? 0) + cpu);
    total += cpu;
  }
  if (cpus.size < 2) return undefined;
  return new Map([...cpus].map(([zone, cpu]) => [zone, cpu / total]));
}

/** For every ready endpoint the zone that it should serve, or why nobody gets a hint. */
export type ZoneHints = { zoneOf: ReadonlyMap<Endpoint, string> } | { why: string };

/**
 * Endpoints serve their own zone, except those that a zone with too many lends to one with too few, so that each has its
 * share of the CPUs' and none is a fifth busier than the average. Same endpoints and shares, same hints.
 */
export function planZoneHints(
  endpoints: readonly Endpoint[],
  shares: ReadonlyMap<string, number> | undefined,
): ZoneHints {
  const ready = endpoints.filter(({ conditions }) => conditions?.ready === true);
  if (!shares)
    return { why: "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes" };
  const counts = `(${ready.length} endpoints, ${shares.size} zones)`;
  if (shares.size > ready.length) return { why: `Insufficient number of endpoints ${counts}` };
  const wanted = new Map([...shares].map(([zone, share]) => [zone, demand(share * ready.length)]));
  const least = [...wanted.values()].reduce((sum, { minimum }) => sum + minimum, 0);
  if (least > ready.length) {
    const why = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold";
    return { why: `${why} ${counts}` };
  }
  if (ready.some(({ zone }) => !zone)) return { why: "One or more endpoints do not have a zone specified" };

  const zoneOf = new Map(ready.map((endpoint) => [endpoint, endpoint.zone!]));
  const present = countBy(zoneOf.values());
  const surplus = new Map<string, number>();
  const lack = new Map<string, number>();
  for (const [zone, { desired }] of wanted) {
    const difference = (present.get(zone) ?? 0) - desired;
    if (difference > 0) surplus.set(zone, difference);
    else if (difference < 0) lack.set(zone, -difference);
  }
  const lenders = [...ready].sort((a, b) => (a.addresses[0]! < b.addresses[0]! ? -1 : 1));
  for (;;) {
    const [from, spare] = most(surplus);
    const [to, missing] = most(lack);
    if (from === undefined || to === undefined) break;
    if (spare < 0.5 || missing < 0.5 || (spare < 1 && missing < 1)) break;
    const lent = lenders.find((endpoint) => zoneOf.get(endpoint) === from && endpoint.zone === from);
    if (!lent) break;
    zoneOf.set(lent, to);
    surplus.set(from, spare - 1);
    lack.set(to, missing - 1);
  }
  return { zoneOf };
}

function demand(desired: number): { minimum: number; desired: number } {
  const minimum = Math.ceil(desired / (1 + overloadThreshold));
  return { minimum, desired: Math.max(desired, minimum) };
}

function most(zones: ReadonlyMap<string, number>): [zone: string | undefined, number: number] {
  let found: [string | undefined, number] = [undefined, 0];
  for (const [zone, number] of zones) if (number > found[1]) found = [zone, number];
  return found;
}

function countBy(values: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function isControlPlane(labels: DeepReadonly<Node>["metadata"]["labels"]): boolean {
  return ["control-plane", "master"].some((role) => labels?.[`node-role.kubernetes.io/${role}`] !== undefined);
}
