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

/**
 * The driver that containerd's configuration says for its default runtime, as it shows it in the verbose answer to CRI's Status: JSON.
 * Folders where it says nothing, or nobody shows any.
 */
export function configuredDriver(config: string | undefined): CgroupDriver {
  let parsed: ContainerdConfig | null;
  try {
    parsed = JSON.parse(config ?? "null") as ContainerdConfig | null;
  } catch {
    return "cgroupfs"; // Another runtime's words.
  }
  const { defaultRuntimeName = "runc", runtimes } = parsed?.containerd ?? {};
  return runtimes?.[defaultRuntimeName]?.options?.SystemdCgroup === true ? "systemd" : "cgroupfs";
}

interface ContainerdConfig {
  containerd?: {
    defaultRuntimeName?: string;
    runtimes?: Readonly<Record<string, { options?: { SystemdCgroup?: boolean } | null } | undefined>>;
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
