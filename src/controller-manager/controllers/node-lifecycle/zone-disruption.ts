/** How fast Nodes may lose their Pods: where many fall silent at once, it is more likely the network than they. Pure, but for the pace kept. */

export type ZoneState = "Normal" | "PartialDisruption" | "FullDisruption";

export interface ZoneNodes {
  ready: number;
  notReady: number;
}

export interface EvictionRates {
  /** Nodes a second in a zone that is well, or wholly gone. Default 0.1. */
  nodeEvictionRate?: number;
  /** In a large zone of which many are gone. Default 0.01; in a small one none at all. */
  secondaryNodeEvictionRate?: number;
  /** Zones with more Nodes than this are large. Default 50. */
  largeClusterSizeThreshold?: number;
  /** This share of a zone's Nodes, and three at least, is many. Default 0.55. */
  unhealthyZoneThreshold?: number;
}

export function zoneStateOf(
  { ready, notReady }: ZoneNodes,
  { unhealthyZoneThreshold = 0.55 }: EvictionRates = {},
): ZoneState {
  if (ready === 0 && notReady > 0) return "FullDisruption";
  return notReady > 2 && notReady / (notReady + ready) >= unhealthyZoneThreshold ? "PartialDisruption" : "Normal";
}

/** Nodes a second. With every zone gone nobody is evicted: it is the control plane that is cut off. */
export function evictionRate(zone: ZoneNodes, all: readonly ZoneNodes[], rates: EvictionRates = {}): number {
  const { nodeEvictionRate = 0.1, secondaryNodeEvictionRate = 0.01, largeClusterSizeThreshold = 50 } = rates;
  if (all.every((each) => zoneStateOf(each, rates) === "FullDisruption")) return 0;
  if (zoneStateOf(zone, rates) !== "PartialDisruption") return nodeEvictionRate;
  return zone.ready + zone.notReady > largeClusterSizeThreshold ? secondaryNodeEvictionRate : 0;
}

/** Of each zone the first Node goes at once, and the next when the rate allows. */
export class EvictionPace {
  readonly #lastMs = new Map<string, number>();

  /** 0: now, and counted. Otherwise ask again after so many milliseconds; undefined: when something has changed. */
  waitMs(zone: string, rate: number, nowMs: number): number | undefined {
    if (rate <= 0) return undefined;
    const waitMs = (this.#lastMs.get(zone) ?? Number.NEGATIVE_INFINITY) + 1000 / rate - nowMs;
    if (waitMs > 0) return waitMs;
    this.#lastMs.set(zone, nowMs);
    return 0;
  }
}
