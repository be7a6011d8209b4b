/** `pinnace why`: at which step a request is lost, why, and what mends it. */
import { existsSync, readFileSync } from "node:fs";
import { netnsPath } from "../../base/node/netns.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { type Machine, why } from "../../inspect/gather.ts";
import { printReport } from "../../inspect/report.ts";
import { parseTarget } from "../../inspect/target.ts";
import { parseResolvConf, resolvConfOf } from "../../kubelet/network/resolv-conf.ts";
import { adminClient } from "../admin-client.ts";
import type { ClusterPlan } from "../config/cluster-config.ts";
import { nodeNetnsPath } from "../network/lan.ts";
import { nodeNetns } from "../network/plan-lan.ts";
import { clusterPaths, listClusters, readPki, readPlan, runningServer } from "../state-folder.ts";
import { defaultClusterName } from "./up.ts";

export interface WhyCommandOptions {
  name?: string;
  from?: string;
  namespace?: string;
  port?: string;
  output: string;
  print(line: string): void;
}

/** Resolves to the exit code: 0 when it works or nothing wrong was found, 1 when the request is lost. */
export async function whyCommand(text: string, options: WhyCommandOptions): Promise<number> {
  const { output, print, namespace = "default" } = options;
  if (output !== "text" && output !== "json") throw new Error(`unknown output format "${output}"; use text or json`);
  const target = parseTarget(text, { namespace, ...(options.port === undefined ? {} : { port: options.port }) });
  const plan = runningPlan(options.name);
  const client = await adminClient(plan, readPki(clusterPaths(plan.name))!);
  try {
    const report = await why({
      api: client.api,
      machine: machineOf(plan),
      clock: systemClock,
      target,
      namespace,
      ...(options.from === undefined ? {} : { from: options.from }),
    });
    print(
      output === "json"
        ? JSON.stringify(report, null, 2)
        : printReport(report, { isColoured: process.stdout.isTTY === true && !process.env["NO_COLOR"] }),
    );
    return report.verdict === "lost" ? 1 : 0;
  } finally {
    await client.close();
  }
}

/** The cluster that a command is to look at. Throws an Error that says which command starts it. */
export function runningPlan(name: string | undefined, home?: string): ClusterPlan {
  const all = listClusters(home);
  // The only one there is need not be named.
  const wanted = name ?? (all.includes(defaultClusterName) || all.length !== 1 ? defaultClusterName : all[0]!);
  const paths = clusterPaths(wanted, home);
  const plan = readPlan(paths);
  if (!plan) {
    const hint =
      all.length > 0
        ? `there are: ${all.join(", ")} (--name)`
        : `"pinnace up${name ? ` --name ${name}` : ""}" makes one`;
    throw new Error(`there is no cluster "${wanted}" on this machine; ${hint}`);
  }
  if (!runningServer(paths))
    throw new Error(`cluster "${wanted}" does not run; "pinnace up --name ${wanted}" brings it back`);
  return plan;
}

export function machineOf(plan: ClusterPlan): Machine {
  const { network, nodes } = plan;
  const isLocal = (name: string) => nodes.some((node) => node.name === name && node.kind === "local");
  return {
    network: {
      clusterName: plan.name,
      lan: network.lan,
      hostAddress: network.hostAddress,
      podCIDRs: [network.podCIDR, ...(network.ipv6 ? [network.ipv6.podCIDR] : [])],
      serviceCIDRs: [network.serviceCIDR, ...(network.ipv6 ? [network.ipv6.serviceCIDR] : [])],
      dnsDomain: network.dnsDomain,
      loadBalancer: plan.loadBalancer,
    },
    nodeNetns: (node) => (isLocal(node) ? nodeNetnsPath(plan.name, node) : undefined),
    podNetns({ metadata, spec }) {
      const { nodeName } = spec;
      if (!nodeName || !isLocal(nodeName)) return undefined;
      const path = spec.hostNetwork
        ? nodeNetnsPath(plan.name, nodeName)
        : netnsPath(`${nodeNetns(plan.name, nodeName)}_${metadata.uid}`);
      return existsSync(path) ? path : undefined;
    },
    resolverOf({ metadata, spec }) {
      const { nameservers, searches, options } = resolvConfOf(spec, {
        namespace: metadata.namespace,
        clusterDomain: network.dnsDomain,
        clusterDNS: [network.dnsAddress],
        host: parseResolvConf(readFileSync("/etc/resolv.conf", "utf8")),
      });
      const ndots = options.find((option) => option.startsWith("ndots:"))?.slice("ndots:".length);
      return { nameservers, searches, ndots: Number(ndots ?? 1) };
    },
  };
}
