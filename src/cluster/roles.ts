/** The parts of a cluster that one process may run, by upstream's component names. */

export const allRoles = ["apiserver", "controller-manager", "scheduler", "kubelet", "kube-proxy", "dns"] as const;
export type Role = (typeof allRoles)[number];

export function isRole(name: string): name is Role {
  return (allRoles as readonly string[]).includes(name);
}
