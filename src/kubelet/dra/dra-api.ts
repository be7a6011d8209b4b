/** What the kubelet asks of a driver for dynamic resources, by its field numbers. Both versions have the same messages. */
import type { Method } from "../grpc/channel.ts";
import { list, type Message, mapOf, message, part, text } from "../grpc/message.ts";

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
