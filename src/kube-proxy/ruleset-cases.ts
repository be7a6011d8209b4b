/** Every combination of policies, affinity, endpoints, entries and clients, and where a packet comes out: followed in memory, and tried in the kernel. */
import type { ServiceSpec } from "../api/core/v1.ts";

/** What stands behind the Service, seen from the client's node. */
export const endpointCases = {
  here: { here: "ready" },
  there: { there: "ready" },
  both: { here: "ready", there: "ready" },
  "here terminating": { here: "terminating", there: "ready" },
  "all terminating": { here: "terminating" },
  none: {},
} satisfies Record<string, Partial<Record<Place, "ready" | "terminating">>>;

export type Place = "here" | "there";
export type EndpointCase = keyof typeof endpointCases;

export const conditionsOf = {
  ready: { ready: true, serving: true, terminating: false },
  terminating: { ready: false, serving: true, terminating: true },
};

export const entries = ["cluster address", "node port", "balancer's address"] as const;
export const clients = ["pod", "node", "outside"] as const;
export type Entry = (typeof entries)[number];
export type Client = (typeof clients)[number];

export const policies = (["Cluster", "Local"] as const).flatMap((externalTrafficPolicy) =>
  (["Cluster", "Local"] as const).flatMap((internalTrafficPolicy) =>
    (["None", "ClientIP"] as const).map(
      (sessionAffinity) =>
        ({ externalTrafficPolicy, internalTrafficPolicy, sessionAffinity }) satisfies Partial<ServiceSpec>,
    ),
  ),
);
export type Policies = (typeof policies)[number];

/** Which endpoints a packet may reach, `*` when its source is hidden; or `reject`, or `drop`. Affinity changes nothing about that. */
export function expectedOutcome(policy: Policies, which: EndpointCase, entry: Entry, client: Client): string {
  const present: Partial<Record<Place, string>> = endpointCases[which];
  const inState = (state: string, places: readonly Place[]) => places.filter((place) => present[place] === state);
  /** Those that terminate serve where nothing else is ready. */
  const usable = (places: readonly Place[]) => {
    const ready = inState("ready", places);
    return ready.length > 0 ? ready : inState("terminating", places);
  };
  const isExternal = entry !== "cluster address";
  // Pods and the node are inside: on outer addresses too they reach all endpoints.
  const isShort = isExternal && policy.externalTrafficPolicy === "Local" && client !== "outside";
  const isLocal = (isExternal ? policy.externalTrafficPolicy : policy.internalTrafficPolicy) === "Local" && !isShort;
  const reached = usable(isLocal ? ["here"] : ["here", "there"]);
  if (reached.length === 0) return usable(["here", "there"]).length > 0 ? "drop" : "reject";
  const keepsSource = isExternal ? policy.externalTrafficPolicy === "Local" && client !== "node" : client === "pod";
  return reached.map((place) => `${place}${keepsSource ? "" : "*"}`).join("|");
}
