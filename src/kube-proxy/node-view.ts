/** What the proxy must know of the node it runs on. */

export interface NodeView {
  name: string;
  /** `topology.kubernetes.io/zone` of the node. */
  zone?: string;
  /** The node's own addresses: where its node ports are. */
  addresses: readonly string[];
  /** The blocks of all pods: who speaks from there to a Service keeps its address. */
  podCIDRs: readonly string[];
  /** The blocks of Service addresses: what is sent to one that no Service holds goes no further. */
  serviceCIDRs: readonly string[];
}
