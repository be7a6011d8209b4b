/** `kubectl create service`: one generator a Service type. */
import type { Unstructured } from "../../api.ts";
import { CommandError } from "../../command-error.ts";
import type { Flag, FlagValues } from "../../flags.ts";
import { servicePort } from "../../generators.ts";
import type { Generators } from "./generator.ts";

const tcpFlag: Flag = { name: "tcp", kind: "list", help: "port or port:targetPort; may be repeated" };

export const services: Generators = {
  clusterip: {
    summary: "Create a ClusterIP service",
    usage: "NAME [--tcp=<port>:<targetPort>] [--dry-run=server|client|none]",
    flags: [tcpFlag, { name: "clusterip", kind: "string", help: "the address, or None" }],
    failure: "failed to create ClusterIP service",
    make({ flags }, name) {
      const clusterIP = flags.string("clusterip");
      const ports = clusterIP === "None" ? flags.commaList("tcp") : portsOf(flags);
      return serviceOf(name, "ClusterIP", ports, clusterIP ? { clusterIP } : {});
    },
  },
  nodeport: {
    summary: "Create a NodePort service",
    usage: "NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    flags: [tcpFlag, { name: "node-port", kind: "int", default: 0, help: "the port on each node; 0 for any" }],
    failure: "failed to create NodePort service",
    make({ flags }, name) {
      const service = serviceOf(name, "NodePort", portsOf(flags), {});
      const nodePort = flags.number("node-port");
      const { ports } = service["spec"] as { ports: Record<string, unknown>[] };
      if (nodePort > 0) for (const port of ports) port["nodePort"] = nodePort;
      return service;
    },
  },
  loadbalancer: {
    summary: "Create a LoadBalancer service",
    usage: "NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    flags: [tcpFlag],
    failure: "failed to create LoadBalancer service",
    make: ({ flags }, name) => serviceOf(name, "LoadBalancer", portsOf(flags), {}),
  },
  externalname: {
    summary: "Create an ExternalName service",
    usage: "NAME --external-name external.name [--dry-run=server|client|none]",
    flags: [tcpFlag, { name: "external-name", kind: "string", help: "the name that it stands for" }],
    failure: "failed to create ExternalName service",
    make({ flags }, name) {
      const externalName = flags.string("external-name");
      if (!externalName) throw new CommandError('required flag(s) "external-name" not set');
      return serviceOf(name, "ExternalName", flags.commaList("tcp"), { externalName });
    },
  },
};

function portsOf(flags: FlagValues): string[] {
  const ports = flags.commaList("tcp");
  if (ports.length === 0) throw new CommandError("at least one tcp port specifier must be provided");
  return ports;
}

function serviceOf(name: string, type: string, ports: readonly string[], more: Record<string, unknown>): Unstructured {
  const labels = { app: name };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels },
    spec: { ...(ports.length > 0 ? { ports: ports.map(servicePort) } : {}), selector: labels, type, ...more },
  };
}
