/** Every built-in kind that the API server serves. */
import type { ResourceDefinition } from "../apimachinery/resource-definition.ts";
import { deployments } from "./apps/deployment.ts";
import { replicaSets } from "./apps/replica-set.ts";
import { leases } from "./coordination/lease.ts";
import { configMaps } from "./core/config-map.ts";
import { endpoints } from "./core/endpoints.ts";
import { events } from "./core/event.ts";
import { namespaces } from "./core/namespace.ts";
import { nodes } from "./core/node.ts";
import { pods } from "./core/pod.ts";
import { secrets } from "./core/secret.ts";
import { services } from "./core/service.ts";
import { serviceAccounts } from "./core/service-account.ts";
import { endpointSlices } from "./discovery/endpoint-slice.ts";
import { newEvents } from "./events/event.ts";
import { priorityClasses } from "./scheduling/priority-class.ts";

/** In discovery's order within a group-version. The definitions' type parameters are given up here: the server reads objects as data. */
export const definitions: readonly ResourceDefinition[] = [
  configMaps,
  endpoints,
  events,
  namespaces,
  nodes,
  pods,
  secrets,
  serviceAccounts,
  services,
  deployments,
  replicaSets,
  newEvents,
  priorityClasses,
  leases,
  endpointSlices,
] as readonly unknown[] as readonly ResourceDefinition[];
