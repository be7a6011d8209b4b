/** What a user reads when a cluster is usable. */
import type { ClusterPlan } from "../config/cluster-config.ts";
import { contextName } from "../kubeconfig.ts";

export function printWelcome(plan: ClusterPlan, print: (line: string) => void): void {
  const context = contextName(plan.name);
  print(`Cluster "${plan.name}" is up. kubectl uses it now, as context ${context}.`);
  const width = Math.max(...plan.nodes.map((node) => node.name.length), 0);
  for (const node of plan.nodes)
    print(
      `  ${node.name.padEnd(width)}  ${node.address.padEnd(15)} ${node.role}${node.kind === "simulated" ? ", simulated" : ""}`,
    );
  print("");
  print("  kubectl get nodes -o wide");
  print(`  pinnace down${plan.name === "pinnace" ? "" : ` --name ${plan.name}`}`);
}
