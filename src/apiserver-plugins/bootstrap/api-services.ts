/** An APIService for each group-version that this server answers for itself, as `kubectl get apiservices` lists them. */
import type { APIService } from "../../api/apiregistration/v1.ts";
import type { New } from "../../api/object.ts";
import { APIServices } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

/** What keeps an APIService: a start of the server, or that a CustomResourceDefinition is there. */
type Keeper = "onstart" | "true";

export const automanaged = "kube-aggregator.kubernetes.io/automanaged";

/** Where a group stands among all, and its versions in it; higher comes first. Upstream's figures. */
const priorities: Readonly<Record<string, readonly [group: number, versions: Readonly<Record<string, number>>]>> = {
  "": [18_000, { v1: 1 }],
  apps: [17_800, { v1: 15 }],
  "events.k8s.io": [17_750, { v1: 15 }],
  "authentication.k8s.io": [17_700, { v1: 15, v1beta1: 9, v1alpha1: 1 }],
  "authorization.k8s.io": [17_600, { v1: 15 }],
  autoscaling: [17_500, { v2: 30, v1: 15 }],
  batch: [17_400, { v1: 15 }],
  "certificates.k8s.io": [17_300, { v1: 15, v1beta1: 9, v1alpha1: 1 }],
  "networking.k8s.io": [17_200, { v1: 15, v1beta1: 9, v1alpha1: 1 }],
  policy: [17_100, { v1: 15 }],
  "rbac.authorization.k8s.io": [17_000, { v1: 15 }],
  "storage.k8s.io": [16_800, { v1: 15, v1beta1: 9, v1alpha1: 1 }],
  "admissionregistration.k8s.io": [16_700, { v1: 15, v1beta1: 12, v1alpha1: 9 }],
  "apiextensions.k8s.io": [16_700, { v1: 15 }],
  "scheduling.k8s.io": [16_600, { v1: 15 }],
  "coordination.k8s.io": [16_500, { v1: 15, v1beta1: 13, v1alpha2: 12 }],
  "node.k8s.io": [16_300, { v1: 15 }],
  "discovery.k8s.io": [16_200, { v1: 15 }],
  "resource.k8s.io": [16_200, { v1: 20, v1beta2: 15, v1beta1: 9, v1alpha3: 1 }],
  "flowcontrol.apiserver.k8s.io": [16_100, { v1: 21 }],
  // Where it is served here, as the metrics server registers it.
  "metrics.k8s.io": [100, { v1beta1: 100 }],
};

/** Of the group-versions served, those of the table: the others have owners of their own. */
export function localApiServices(served: Iterable<{ group: string; version: string }>): BootstrapObject[] {
  return [...served].flatMap(({ group, version }) => {
    const [groupPriority, versions] = priorities[group] ?? [0, {}];
    const versionPriority = versions[version];
    if (versionPriority === undefined) return [];
    return [atStart(APIServices, apiService(group, version, [groupPriority, versionPriority], "onstart"))];
  });
}

export function apiService(
  group: string,
  version: string,
  [groupPriorityMinimum, versionPriority]: readonly [group: number, version: number],
  keeper: Keeper,
): New<APIService> {
  return {
    metadata: { name: `${version}.${group}`, labels: { [automanaged]: keeper } },
    spec: { ...(group ? { group } : {}), version, groupPriorityMinimum, versionPriority },
  };
}
