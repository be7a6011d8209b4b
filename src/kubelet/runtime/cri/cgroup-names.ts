/**
 * Where pods and their containers stand among the machine's control groups, by who makes them: the kubelet and the runtime as folders
 * (the cgroupfs driver), or systemd as slices and scopes. Upstream: pkg/kubelet/cm, CgroupName. Pure.
 */
export type CgroupDriver = "cgroupfs" | "systemd";

export interface CgroupNames {
  /** The pod's group: what the runtime is told as its parent, and the path below the hierarchies' root. */
  pod(cgroupParent: string): string;
  container(cgroupParent: string, id: string): string;
}

/** `runtimeName` as the runtime calls itself: `cri-o` puts a word of its own before its containers' ids, as folders too. */
export function cgroupNames(driver: CgroupDriver, runtimeName: string): CgroupNames {
  const isCriO = runtimeName === "cri-o";
  if (driver === "cgroupfs") {
    return { pod: (parent) => parent, container: (parent, id) => `${parent}/${isCriO ? "crio-" : ""}${id}` };
  }
  return {
    pod: slicePath,
    container: (parent, id) => `${slicePath(parent)}/${isCriO ? "crio" : "cri-containerd"}-${id}.scope`,
  };
}

/** From `/kubepods/burstable/poda-b` to `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda_b.slice`: a dash says "below". */
function slicePath(path: string): string {
  const parts = path
    .split("/")
    .filter(Boolean)
    .map((part) => part.replaceAll("-", "_"));
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join("-")}.slice`).join("");
}
