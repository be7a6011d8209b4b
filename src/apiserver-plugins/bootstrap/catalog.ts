/** Everything that the composition root writes when a cluster starts, in the order to write it. */
import type { GroupVersion } from "../../apimachinery/group-version.ts";
import { localApiServices } from "./api-services.ts";
import type { BootstrapObject } from "./bootstrap-object.ts";
import { componentRoles } from "./component-roles.ts";
import { controllerRoles } from "./controller-roles.ts";
import { defaultFlowControl } from "./flow-control.ts";
import { type KubernetesServiceOptions, kubernetesService } from "./kubernetes-service.ts";
import { systemNamespaces } from "./namespaces.ts";
import { systemPriorityClasses } from "./priority-classes.ts";
import { defaultStorageClasses } from "./storage-classes.ts";
import { trustBundleRoles, userRoles } from "./user-roles.ts";

export interface BootstrapOptions extends KubernetesServiceOptions {
  /** ClusterTrustBundles are served. */
  hasTrustBundles: boolean;
  served: readonly GroupVersion[];
}

export function bootstrapObjects(options: BootstrapOptions): BootstrapObject[] {
  return [
    ...systemNamespaces,
    ...systemPriorityClasses,
    ...userRoles,
    ...componentRoles,
    ...controllerRoles,
    ...(options.hasTrustBundles ? trustBundleRoles : []),
    ...defaultStorageClasses,
    ...kubernetesService(options),
    ...defaultFlowControl,
    ...localApiServices(options.served),
  ];
}
