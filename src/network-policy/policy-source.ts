/** NetworkPolicies, and the pods and namespaces that they speak of, as the enforcer of this process is told of them. */
import type { Pod } from "../api/core/v1.ts";
import type { NetworkPolicy } from "../api/networking/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Namespaces, NetworkPolicies, Pods } from "../api/resources.ts";
import { keyOf, type ObjectKey } from "../controller-runtime/cache.ts";
import type { InformerCache } from "../controller-runtime/informer-cache.ts";

export interface PolicySource {
  /** Tells every policy there is and each change; undefined stands for its end. Resolves when those of the beginning are told. */
  onPolicy(listener: (key: ObjectKey, policy: DeepReadonly<NetworkPolicy> | undefined) => void): Promise<void>;
  /** The same for pods (by UID) and namespaces (by name). Asked for once there is a policy: without, nobody follows every pod. */
  onPeers(listeners: PeerListeners): Promise<void>;
}

export interface PeerListeners {
  pod(uid: string, pod: DeepReadonly<Pod> | undefined): void;
  namespace(name: string, labels: Readonly<Record<string, string>> | undefined): void;
}

export function informedPolicySource(cache: InformerCache): PolicySource {
  return {
    async onPolicy(listener) {
      const policies = cache.informer(NetworkPolicies);
      policies.addHandler(({ type, object }) => listener(keyOf(object), type === "DELETED" ? undefined : object));
      await policies.synced;
    },
    async onPeers(listeners) {
      const [pods, namespaces] = [cache.informer(Pods), cache.informer(Namespaces)];
      namespaces.addHandler(({ type, object: { metadata } }) =>
        listeners.namespace(metadata.name, type === "DELETED" ? undefined : (metadata.labels ?? {})),
      );
      pods.addHandler(({ type, object }) => {
        listeners.pod(object.metadata.uid, type === "DELETED" ? undefined : object);
      });
      await Promise.all([pods.synced, namespaces.synced]);
    },
  };
}
