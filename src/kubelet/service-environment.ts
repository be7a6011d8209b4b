/** The variables by which a container finds Services without DNS: REDIS_SERVICE_HOST, REDIS_PORT and the rest. Pure. */
import type { Service } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";

/** Of the pod's namespace when it asks for links; those of the API server's own Service always. */
export function serviceEnvironment(
  services: readonly DeepReadonly<Service>[],
  namespace: string,
  enableServiceLinks: boolean,
): { name: string; value: string }[] {
  const chosen = new Map<string, DeepReadonly<Service>>();
  for (const service of services) {
    const { name } = service.metadata;
    const { clusterIP } = service.spec;
    if (!clusterIP || clusterIP === "None") continue;
    const isMaster = service.metadata.namespace === "default" && name === "kubernetes";
    if (isMaster && !chosen.has(name)) chosen.set(name, service);
    else if (enableServiceLinks && service.metadata.namespace === namespace) chosen.set(name, service);
  }
  return [...chosen.keys()].sort().flatMap((name) => variablesOf(chosen.get(name)!));
}

function variablesOf(service: DeepReadonly<Service>): { name: string; value: string }[] {
  const prefix = variableName(service.metadata.name);
  const host = service.spec.clusterIP!;
  const ports = service.spec.ports ?? [];
  const first = ports[0];
  if (!first) return [{ name: `${prefix}_SERVICE_HOST`, value: host }];
  const variables = [
    { name: `${prefix}_SERVICE_HOST`, value: host },
    { name: `${prefix}_SERVICE_PORT`, value: String(first.port) },
  ];
  for (const port of ports) {
    if (port.name)
      variables.push({ name: `${prefix}_SERVICE_PORT_${variableName(port.name)}`, value: String(port.port) });
  }
  const address = host.includes(":") ? `[${host}]` : host;
  variables.push({ name: `${prefix}_PORT`, value: `${protocolOf(first)}://${address}:${first.port}` });
  for (const port of ports) {
    const protocol = protocolOf(port);
    const each = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
    variables.push(
      { name: each, value: `${protocol}://${address}:${port.port}` },
      { name: `${each}_PROTO`, value: protocol },
      { name: `${each}_PORT`, value: String(port.port) },
      { name: `${each}_ADDR`, value: host },
    );
  }
  return variables;
}

function protocolOf(port: { readonly protocol?: string }): string {
  return (port.protocol ?? "TCP").toLowerCase();
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll("-", "_");
}
