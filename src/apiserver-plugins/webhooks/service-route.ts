/** Where a Service is reached from the API server's process. */
import { connect, type Socket } from "node:net";
import type { Service, ServicePort } from "../../api/core/v1.ts";
import type { EndpointSlice } from "../../api/discovery/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { EndpointSlices, Services } from "../../api/resources.ts";
import type { Random } from "../../base/random.ts";
import type { ObjectReader } from "../object-reader.ts";

export interface Route {
  host: string;
  port: number;
}

/** Opens a connection; it emits `connect` or `error`. The composition root knows which network an address belongs to. */
export type Dial = (host: string, port: number) => Socket;

export interface ServiceRouter {
  /** Throws an Error in upstream's words when there is no way. */
  route(namespace: string, name: string, port: number): Promise<Route>;
  dial: Dial;
}

export const plainDial: Dial = (host, port) => connect({ host, port });

/** Through the Service's own address: whoever dials stands where kube-proxy's rules apply. */
export function clusterIpRouter(objects: () => ObjectReader, dial: Dial): ServiceRouter {
  return {
    dial,
    async route(namespace, name, port) {
      const { service } = await serviceOf(objects(), namespace, name, port);
      const { type, clusterIP, externalName } = service.spec;
      if (type === "ExternalName") return { host: externalName ?? "", port };
      if (!clusterIP || clusterIP === "None") {
        throw new Error(`cannot route to service with ClusterIP ${JSON.stringify(clusterIP ?? "")}`);
      }
      return { host: clusterIP, port };
    },
  };
}

/** Straight to a ready endpoint, where no kube-proxy serves this process. */
export function endpointRouter(objects: () => ObjectReader, random: Random, dial: Dial = plainDial): ServiceRouter {
  return {
    dial,
    async route(namespace, name, port) {
      const { service, servicePort } = await serviceOf(objects(), namespace, name, port);
      if (service.spec.type === "ExternalName") return { host: service.spec.externalName ?? "", port };
      const slices = (await objects().list(EndpointSlices, namespace)) as readonly DeepReadonly<EndpointSlice>[];
      const routes = slices
        .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === name)
        .flatMap((slice) => readyRoutes(slice, servicePort));
      const chosen = routes[random.int(routes.length)];
      if (!chosen) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
      return chosen;
    },
  };
}

async function serviceOf(
  objects: ObjectReader,
  namespace: string,
  name: string,
  port: number,
): Promise<{ service: DeepReadonly<Service>; servicePort: DeepReadonly<ServicePort> | undefined }> {
  const service = await objects.get(Services, namespace, name);
  if (!service) throw new Error(`service ${JSON.stringify(name)} not found`);
  const servicePort = service.spec.ports?.find((candidate) => candidate.port === port);
  if (!servicePort && service.spec.type !== "ExternalName") {
    throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
  }
  return { service, servicePort };
}

function readyRoutes(slice: DeepReadonly<EndpointSlice>, servicePort: DeepReadonly<ServicePort> | undefined): Route[] {
  const port = slice.ports?.find((candidate) => (candidate.name ?? "") === (servicePort?.name ?? ""))?.port;
  if (port === undefined) return [];
  return (slice.endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .flatMap(({ addresses }) => addresses.map((host) => ({ host, port })));
}
