/** What the kubelet asks of a driver for dynamic resources, by its field numbers. Both versions have the same messages. */
import type { Method } from "../grpc/channel.ts";
import { int, list, type Message, mapOf, message, part, text } from "../grpc/message.ts";

const claims = message({ claims: list(part(1, message({ namespace: text(1), uid: text(2), name: text(3) }))) });
const device = message({
  request_names: list(text(1)),
  pool_name: text(2),
  device_name: text(3),
  cdi_device_ids: list(text(4)),
});
const prepared = message({ claims: mapOf(1, message({ devices: list(part(1, device)), error: text(2) })) });
const unprepared = message({ claims: mapOf(1, message({ error: text(1) })) });

/** As drivers name them when they register, the newest first. */
export const services = ["v1.DRAPlugin", "v1beta1.DRAPlugin"] as const;
export type DraService = (typeof services)[number];

/** Of their own accord beside the others: how devices are, the newest first. */
export const healthServices = ["v1beta1.DRAResourceHealth", "v1alpha1.DRAResourceHealth"] as const;
export type HealthService = (typeof healthServices)[number];

const health = message({
  device: part(1, message({ pool_name: text(1), device_name: text(2) })),
  /** 1: healthy, 2: unhealthy. */
  health: int(2),
  health_check_timeout_seconds: int(4),
  message: text(5),
});
const report = message({ devices: list(part(1, health)) });

export const watchResources = (service: HealthService) => ({
  path: `/${service}/NodeWatchResources`,
  request: message({}),
  response: report,
});

function method<In extends Message, Out extends Message>(
  service: DraService,
  name: string,
  request: In,
  response: Out,
): Method<In, Out> {
  return { path: `/k8s.io.kubelet.pkg.apis.dra.${service}/${name}`, request, response };
}

export const prepareResources = (service: DraService) => method(service, "NodePrepareResources", claims, prepared);
export const unprepareResources = (service: DraService) =>
  method(service, "NodeUnprepareResources", claims, unprepared);
