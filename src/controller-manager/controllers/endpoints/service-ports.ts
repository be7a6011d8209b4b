/** The ports an endpoint has for a Service: named target ports may differ from Pod to Pod. */
import type { Pod, Service, ServicePort } from "../../../api/core/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";

export interface ServedPort {
  name: string;
  port: number;
  protocol: string;
  appProtocol?: string;
}

/** Undefined for a named port that the Pod does not have. */
export function targetPortOf(pod: DeepReadonly<Pod>, port: DeepReadonly<ServicePort>): number | undefined {
  const { targetPort = port.port, protocol = "TCP" } = port;
  if (typeof targetPort === "number") return targetPort || port.port;
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const container of [...pod.spec.containers, ...sidecars]) {
    for (const { name, containerPort, protocol: containerProtocol = "TCP" } of container.ports ?? []) {
      if (name === targetPort && containerProtocol === protocol) return containerPort;
    }
  }
  return undefined;
}

export function servedPorts(service: DeepReadonly<Service>, pod: DeepReadonly<Pod>): ServedPort[] {
  return (service.spec.ports ?? []).flatMap((servicePort) => {
    const port = targetPortOf(pod, servicePort);
    if (port === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = servicePort;
    return [{ name, port, protocol, ...(appProtocol ? { appProtocol } : {}) }];
  });
}

/** Two Pods with the same text serve the same ports. */
export function portsKey(ports: readonly ServedPort[]): string {
  return ports
    .map(({ name, port, protocol, appProtocol = "" }) => `${name}/${port}/${protocol}/${appProtocol}`)
    .sort()
    .join(",");
}

export function isHeadless(service: DeepReadonly<Service>): boolean {
  return service.spec.clusterIP === "None";
}
