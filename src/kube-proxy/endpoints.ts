/** Which endpoints a Service port may be sent to from a node: readiness, locality, topology. Pure. */
import type { ServicePort } from "../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { parseIp } from "../base/ip.ts";
import type { NodeView } from "./node-view.ts";

export interface Backend {
  ip: string;
  port: number;
  isLocal: boolean;
}

export interface Backends {
  /** For traffic policy Cluster. */
  cluster: Backend[];
  /** For traffic policy Local. */
  local: Backend[];
}

type Candidate = Backend & { endpoint: DeepReadonly<Endpoint> };

/** Backends of one port in one family, in a stable order and without doubles. */
export function backendsOf(
  port: DeepReadonly<ServicePort>,
  slices: Iterable<DeepReadonly<EndpointSlice>>,
  node: NodeView,
  family: "ipv4" | "ipv6",
): Backends {
  const candidates = new Map<string, Candidate>();
  const addressType = family === "ipv4" ? "IPv4" : "IPv6";
  for (const slice of slices) {
    if (slice.addressType !== addressType) continue;
    const slicePort = slice.ports?.find(
      (each) => (each.name ?? "") === (port.name ?? "") && (each.protocol ?? "TCP") === (port.protocol ?? "TCP"),
    );
    if (!slicePort?.port) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const ip = endpoint.addresses[0];
      if (ip === undefined || !parseIp(ip)) continue;
      const key = `${ip}:${slicePort.port}`;
      const known = candidates.get(key);
      // While an endpoint moves between slices both may hold it: the better of the two counts.
      if (known && !(isReady(endpoint) && !isReady(known.endpoint))) continue;
      candidates.set(key, { ip, port: slicePort.port, isLocal: endpoint.nodeName === node.name, endpoint });
    }
  }
  const sorted = [...candidates.keys()].sort().map((key) => candidates.get(key)!);
  const local = sorted.filter((candidate) => candidate.isLocal);
  return { cluster: closest(usable(sorted), node), local: usable(local) };
}

/** Ready ones; if there are none, those that still serve while they terminate. */
function usable(candidates: Candidate[]): Candidate[] {
  const ready = candidates.filter(({ endpoint }) => isReady(endpoint));
  if (ready.length > 0) return ready;
  return candidates.filter(
    ({ endpoint: { conditions } }) => conditions?.serving !== false && conditions?.terminating === true,
  );
}

/** Follows topology hints when every endpoint has one and some are meant for this node or its zone. */
function closest(candidates: Candidate[], node: NodeView): Candidate[] {
  const { zone } = node;
  const forNode = hinted(candidates, ({ endpoint }) => endpoint.hints?.forNodes?.map(({ name }) => name), node.name);
  return (
    forNode ??
    hinted(candidates, ({ endpoint }) => endpoint.hints?.forZones?.map(({ name }) => name), zone) ??
    candidates
  );
}

function hinted(
  candidates: Candidate[],
  hintsOf: (candidate: Candidate) => readonly string[] | undefined,
  place: string | undefined,
): Candidate[] | undefined {
  if (place === undefined || !candidates.every((candidate) => hintsOf(candidate)?.length)) return undefined;
  const near = candidates.filter((candidate) => hintsOf(candidate)!.includes(place));
  return near.length > 0 ? near : undefined;
}

/** A condition that is not stated counts as true. */
function isReady(endpoint: DeepReadonly<Endpoint>): boolean {
  return endpoint.conditions?.ready !== false;
}
