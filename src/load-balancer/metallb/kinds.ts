/** MetalLB's kinds (metallb.io/v1beta1) as far as they are understood here. */
import type { LabelSelector } from "../../api/meta/v1.ts";
import type { KubeObject, NamespacedMeta } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";

export const metallbNamespace = "metallb-system";
const group = "metallb.io";

export interface IPAddressPool extends KubeObject {
  metadata: NamespacedMeta;
  spec: {
    /** Blocks, and ranges `first-last`. */
    addresses: string[];
    /** Default: true. */
    autoAssign?: boolean;
    avoidBuggyIPs?: boolean;
    serviceAllocation?: {
      /** 1 comes first; 0 or absent last. */
      priority?: number;
      namespaces?: string[];
      namespaceSelectors?: LabelSelector[];
      serviceSelectors?: LabelSelector[];
    };
  };
}

/** What both kinds of advertisement say of pools and nodes. Empty lists mean all. */
interface AdvertisementSpec {
  ipAddressPools?: string[];
  ipAddressPoolSelectors?: LabelSelector[];
  nodeSelectors?: LabelSelector[];
}

export interface L2Advertisement extends KubeObject {
  metadata: NamespacedMeta;
  spec?: AdvertisementSpec & { interfaces?: string[] };
}

export interface BGPAdvertisement extends KubeObject {
  metadata: NamespacedMeta;
  spec?: AdvertisementSpec & {
    /** Default: 32. */
    aggregationLength?: number;
    /** Default: 128. */
    aggregationLengthV6?: number;
    localPref?: number;
    communities?: string[];
    /** Names of BGPPeers; empty means all. */
    peers?: string[];
  };
}

export interface BGPPeer extends KubeObject {
  metadata: NamespacedMeta;
  spec: {
    myASN: number;
    peerASN: number;
    peerAddress: string;
    /** Default: 179. */
    peerPort?: number;
    sourceAddress?: string;
    /** A Go duration, at least 3s. Default: 90s. */
    holdTime?: string;
    keepaliveTime?: string;
    routerID?: string;
    nodeSelectors?: LabelSelector[];
    /** Signs the session's TCP segments (RFC 2385). */
    password?: string;
    /** A Secret of type kubernetes.io/basic-auth with that password, in MetalLB's namespace unless it names another. */
    passwordSecret?: { name?: string; namespace?: string };
    /** The name of a BFDProfile. It must be there; nothing is made of it. */
    bfdProfile?: string;
    ebgpMultiHop?: boolean;
  };
}

export interface Community extends KubeObject {
  metadata: NamespacedMeta;
  spec?: { communities?: { name?: string; value?: string }[] };
}

export interface BFDProfile extends KubeObject {
  metadata: NamespacedMeta;
}

export const IPAddressPools = resource<IPAddressPool>("v1beta1", "IPAddressPool", "ipaddresspools");
export const L2Advertisements = resource<L2Advertisement>("v1beta1", "L2Advertisement", "l2advertisements");
export const BGPPeers = resource<BGPPeer>("v1beta2", "BGPPeer", "bgppeers");
export const BGPAdvertisements = resource<BGPAdvertisement>("v1beta1", "BGPAdvertisement", "bgpadvertisements");
export const BFDProfiles = resource<BFDProfile>("v1beta1", "BFDProfile", "bfdprofiles");
export const Communities = resource<Community>("v1beta1", "Community", "communities");

function resource<T extends KubeObject>(version: string, kind: string, plural: string): Resource<T> {
  return { group, version, kind, plural, scope: "Namespaced" };
}
