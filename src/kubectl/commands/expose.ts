/** `kubectl expose`: a Service for what is there. */
import type { Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { createObject } from "../creating.ts";
import { parseLabels } from "../generators.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { overrideFlags, withOverrides } from "../overrides.ts";
import { fetchTargets, targetsOf } from "../targets.ts";
import { writeFlags } from "../writing.ts";

interface Port {
  port: number;
  protocol: string;
}

export const expose: Command = {
  summary: "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
  usage:
    "(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] [--name=name] [--external-ip=external-ip-of-service] [--type=type]",
  examples: ["expose deployment web --port=80 --target-port=8080", "expose pod web --type=NodePort --name=front"],
  flags: [
    ...manifestFlags,
    ...writeFlags("kubectl-expose"),
    { name: "port", kind: "string", help: "the Service's port; by default those of the object" },
    { name: "target-port", kind: "string", help: "the pods' port, by number or name" },
    { name: "protocol", kind: "string", help: "TCP, UDP or SCTP" },
    { name: "name", kind: "string", help: "the Service's name" },
    { name: "type", kind: "string", help: "ClusterIP, NodePort, LoadBalancer or ExternalName" },
    { name: "external-ip", kind: "string", help: "a further address that the nodes take packets for" },
    { name: "load-balancer-ip", kind: "string", help: "the address to ask the load balancer for" },
    { name: "cluster-ip", kind: "string", help: "the address, or None" },
    { name: "session-affinity", kind: "string", help: "None or ClientIP" },
    { name: "selector", kind: "string", help: "the pods' labels; by default those of the object's selector" },
    { name: "labels", short: "l", kind: "string", help: "the Service's labels" },
    ...overrideFlags,
    { name: "save-config", kind: "bool", help: "remember the object for a later apply" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const targets = await targetsOf(session, flags, args);
    const exposeOne = async (object: Unstructured): Promise<void> => {
      checkExposable(object);
      const selector = flags.string("selector") ? parseLabels(flags.string("selector")) : selectorOf(object);
      const ports = portsOf(object, flags.string("port"), flags.string("protocol"));
      const targetPort = flags.string("target-port");
      const name = flags.string("name") || object.metadata.name;
      const service: Unstructured = {
        apiVersion: "v1",
        kind: "Service",
        metadata: {
          name,
          ...labelsOf(flags.string("labels"), object),
        },
        spec: {
          ports: ports.map(({ port, protocol }, i) => ({
            ...(ports.length > 1 ? { name: `port-${i + 1}` } : {}),
            port,
            protocol,
            targetPort: targetPort ? (/^\d+$/.test(targetPort) ? Number(targetPort) : targetPort) : port,
          })),
          selector,
          ...(flags.string("type") ? { type: flags.string("type") } : {}),
          ...(flags.string("external-ip") ? { externalIPs: [flags.string("external-ip")] } : {}),
          ...(flags.string("load-balancer-ip") ? { loadBalancerIP: flags.string("load-balancer-ip") } : {}),
          ...(flags.string("cluster-ip") ? { clusterIP: flags.string("cluster-ip") } : {}),
          ...(flags.string("session-affinity") ? { sessionAffinity: flags.string("session-affinity") } : {}),
        },
      };
      await createObject(invocation, await withOverrides(flags, service), { done: "exposed", isTyped: true });
    };
    // What a file has is taken as it stands there.
    const objects = namesManifests(flags)
      ? targets.map(({ local }) => local!)
      : (await fetchTargets(session, flags, targets)).map(({ object }) => object);
    for (const object of objects) await session.attempt(() => exposeOne(object));
    return 0;
  },
};

function labelsOf(wanted: string, { metadata }: Unstructured): { labels?: Record<string, string> } {
  const labels = wanted ? parseLabels(wanted) : metadata.labels;
  return labels ? { labels } : {};
}

function checkExposable({ kind = "" }: Unstructured): void {
  const known = ["Pod", "Service", "ReplicationController", "Deployment", "ReplicaSet"];
  if (!known.includes(kind)) throw new CommandError(`cannot expose a ${kind}`);
}

/** Throws a CommandError in kubectl's words for what has no labels to select by. */
function selectorOf({ kind, metadata, ...object }: Unstructured): Record<string, string> {
  const spec = object["spec"] as { selector?: { matchLabels?: Record<string, string>; matchExpressions?: unknown[] } };
  switch (kind) {
    case "Pod":
      if (!metadata.labels) {
        throw new CommandError(
          "couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
        );
      }
      return metadata.labels;
    case "Service":
      if (!spec.selector) {
        throw new CommandError(
          "couldn't retrieve selectors via --selector flag or introspection: the service has no pod selector set",
        );
      }
      return spec.selector as Record<string, string>;
    case "ReplicationController":
      return (spec.selector ?? {}) as Record<string, string>;
    case "Deployment":
    case "ReplicaSet":
      if (spec.selector?.matchExpressions?.length) {
        throw new CommandError(
          "couldn't retrieve selectors via --selector flag or introspection: couldn't convert expressions - \"spec.selector.matchExpressions\" to map-based selector format",
        );
      }
      return spec.selector?.matchLabels ?? {};
    default:
      throw new CommandError(`cannot expose a ${kind}`);
  }
}

function portsOf(object: Unstructured, wanted: string, protocol: string): Port[] {
  if (wanted) return wanted.split(",").map((port) => ({ port: Number(port), protocol: protocol || "TCP" }));
  const spec = object["spec"] as Record<string, unknown>;
  const podSpec = (object.kind === "Pod" ? spec : (spec["template"] as { spec?: unknown } | undefined)?.spec) as
    | { containers?: { ports?: { containerPort: number; protocol?: string }[] }[] }
    | undefined;
  const found =
    object.kind === "Service"
      ? (spec["ports"] as Port[])
      : (podSpec?.containers ?? []).flatMap(({ ports = [] }) =>
          ports.map((port) => ({ port: port.containerPort, protocol: port.protocol ?? "TCP" })),
        );
  if (found.length === 0) {
    throw new CommandError(
      "couldn't find port via --port flag or introspection\nSee 'kubectl expose -h' for help and examples",
    );
  }
  return found.map(({ port, protocol: own }) => ({ port, protocol: protocol || own }));
}
