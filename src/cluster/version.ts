/** Which Pinnace this is, and which Kubernetes it serves. */

export const pinnaceVersion = "0.1.0";

/** Upstream's release whose behaviour is served: `kubectl version`, node info. */
export const kubernetesVersion = "v1.36.2";
