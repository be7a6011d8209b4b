/** The API objects that an answer rests on, as plain data. */
import type { Event, Namespace, Node, PersistentVolumeClaim, Pod, Service } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { NetworkPolicy } from "../api/networking/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { editDistance } from "../base/edit-distance.ts";

export type PodView = DeepReadonly<Pod>;
export type ServiceView = DeepReadonly<Service>;
export type SliceView = DeepReadonly<EndpointSlice>;
export type ContainerView = PodView["spec"]["containers"][number];

/** What of the cluster's plan matters to a packet. */
export interface NetworkView {
  clusterName: string;
  /** `172.30.0.0/24`; this machine is on it. */
  lan: string;
  hostAddress: string;
  /** Of one family or of both. */
  podCIDRs: readonly string[];
  serviceCIDRs: readonly string[];
  dnsDomain: string;
  loadBalancer: "none" | "metallb" | "cloud";
}

export interface World {
  network: NetworkView;
  services: readonly ServiceView[];
  slices: readonly SliceView[];
  pods: readonly PodView[];
  nodes: readonly DeepReadonly<Node>[];
  namespaces: readonly DeepReadonly<Namespace>[];
  policies: readonly DeepReadonly<NetworkPolicy>[];
  /** Names of the MetalLB address pools; empty without MetalLB. */
  pools: readonly string[];
  /** Of the target's namespace. */
  events: readonly DeepReadonly<Event>[];
  /** Of the target's namespace. */
  claims: readonly DeepReadonly<PersistentVolumeClaim>[];
}

export const keyOf = ({ metadata }: { metadata: { namespace?: string; name?: string } }): string =>
  metadata.namespace ? `${metadata.namespace}/${metadata.name}` : (metadata.name ?? "");

/** Of both families, the first one first. */
export const podAddresses = ({ status }: PodView): string[] => {
  const listed = (status?.podIPs ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
  return listed.length > 0 ? listed : status?.podIP ? [status.podIP] : [];
};

/** Of both families; none of a headless Service. */
export const clusterAddresses = ({ spec }: ServiceView): string[] =>
  (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter((address) => address !== "None");

/** The pod at an address; none for what shares its node's. */
export const podAt = ({ pods }: World, address: string | undefined): PodView | undefined =>
  address === undefined
    ? undefined
    : pods.find((pod) => pod.spec.hostNetwork !== true && podAddresses(pod).includes(address));

export const isIpv6 = (address: string): boolean => address.includes(":");

/** Of several the one of the same family as `other`, else the first. */
export const ofFamily = (addresses: readonly string[], other: string | undefined): string | undefined =>
  addresses.find((address) => other !== undefined && isIpv6(address) === isIpv6(other)) ?? addresses[0];

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export const place = (address: string | undefined, port: number | undefined): string =>
  `${address && isIpv6(address) ? `[${address}]` : address}:${port}`;

/** ` -n shop`, and nothing for the namespace that kubectl takes anyway. */
export const inNamespace = (namespace: string | undefined): string =>
  namespace === undefined || namespace === "default" ? "" : ` -n ${namespace}`;

export function conditionOf(pod: PodView, type: string) {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

export const isReady = (pod: PodView): boolean => conditionOf(pod, "Ready")?.status === "True";

/** Its processes are done: no traffic is meant for it. */
export const isOver = ({ status }: PodView): boolean => status?.phase === "Succeeded" || status?.phase === "Failed";

export const slicesOf = ({ slices }: World, { metadata }: ServiceView): SliceView[] =>
  slices.filter(
    (slice) =>
      slice.metadata.namespace === metadata.namespace &&
      slice.metadata.labels?.["kubernetes.io/service-name"] === metadata.name,
  );

/** `app=web,tier=front`. */
export const printLabels = (labels: Readonly<Record<string, string>> | undefined): string =>
  Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

export const carries = (
  labels: Readonly<Record<string, string>> | undefined,
  selector: Readonly<Record<string, string>>,
): boolean => Object.entries(selector).every(([key, value]) => labels?.[key] === value);

/** Of some words the one a slip of the finger away from `word`, if there is one. */
export function nearest(word: string, words: Iterable<string>): string | undefined {
  let best: { word: string; distance: number } | undefined;
  for (const candidate of words) {
    const distance = editDistance(word, candidate, { exchanges: true });
    if (distance <= Math.max(1, Math.floor(word.length / 3)) && (!best || distance < best.distance))
      best = { word: candidate, distance };
  }
  return best?.word;
}

/** `a`, `a and b`, `a, b and c`; beyond `most` the rest as a number. */
export function listed(words: readonly string[], most = 5): string {
  if (words.length > most) return `${words.slice(0, most).join(", ")} and ${words.length - most} more`;
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
