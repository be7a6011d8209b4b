/** `pinnace kubeconfig`: the cluster's own kubeconfig, for tools that want a file of their own. */
import { clusterKubeconfig } from "../kubeconfig.ts";
import { clusterPaths, readPki, readPlan } from "../state-folder.ts";
import { defaultClusterName } from "./up.ts";

export function printKubeconfig({
  name = defaultClusterName,
  print,
}: {
  name?: string;
  print(line: string): void;
}): void {
  const paths = clusterPaths(name);
  const plan = readPlan(paths);
  const pki = readPki(paths);
  if (!plan || !pki)
    throw new Error(`there is no cluster "${name}" on this machine; "pinnace up --name ${name}" makes one`);
  print(clusterKubeconfig(plan, pki).trimEnd());
}
