/** Host ports are taken once per Node and address. */
import { refusal, type SchedulerPlugin } from "../framework.ts";
import { type NodeInfo, portKey } from "../node-info.ts";
import type { HostPort } from "../pod-info.ts";

const taken = refusal("node(s) didn't have free ports for the requested pod ports");
const anyAddress = "0.0.0.0";

export const nodePorts: SchedulerPlugin = {
  name: "NodePorts",
  isNodeLocal: true,
  wakesOn: ["NodeAdded", "PodRemoved"],
  filter({ ports }) {
    if (ports.length === 0) return undefined;
    return (node) => (ports.some((port) => isTaken(port, node)) ? taken : undefined);
  },
};

/** The wildcard address conflicts with every address. */
function isTaken(port: HostPort, node: NodeInfo): boolean {
  if (node.usedPorts.size === 0) return false;
  if (port.ip !== anyAddress) {
    return node.usedPorts.has(portKey(port)) || node.usedPorts.has(portKey({ ...port, ip: anyAddress }));
  }
  const suffix = `|${port.protocol}|${port.port}`;
  for (const key of node.usedPorts.keys()) if (key.endsWith(suffix)) return true;
  return false;
}
