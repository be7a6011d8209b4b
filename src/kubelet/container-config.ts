/** From a container's spec to what the runtime is told (upstream's generateContainerConfig). Pure, but for the error it may throw. */
import type {
  SecurityContext as ApiSecurityContext,
  AppArmorProfile,
  Capabilities,
  SeccompProfile,
} from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { appArmorProfileOf } from "./apparmor.ts";
import { ContainerConfigError } from "./environment.ts";
import { expand } from "./expand.ts";
import type { StoredImage } from "./images/image-service.ts";
import type { ContainerSpec, PodObject, RestartBackoff } from "./pod-state.ts";
import { podText } from "./pod-state.ts";
import { containerResources, type NodeGround } from "./qos.ts";
import type { ContainerConfig, Mount, SecurityContext } from "./runtime/container-runtime.ts";

export interface ContainerParts {
  pod: PodObject;
  container: ContainerSpec;
  attempt: number;
  image: StoredImage;
  env: readonly { name: string; value: string }[];
  mounts: readonly Mount[];
  devices?: ContainerConfig["devices"];
  cdiDevices?: readonly string[];
  /** Of an ephemeral container: the one whose processes it sees. */
  target?: ContainerConfig["pidNamespaceOf"] | undefined;
  logPath: string;
  node: NodeGround;
  /** Where Localhost seccomp profiles lie. */
  seccompRoot: string;
  backoff?: RestartBackoff;
}

export const labels = {
  podName: "io.kubernetes.pod.name",
  podNamespace: "io.kubernetes.pod.namespace",
  podUid: "io.kubernetes.pod.uid",
  containerName: "io.kubernetes.container.name",
  node: "pinnace.local/node",
} as const;

/** What a kubelet after this one must know of a container and the API does not say. */
export const annotations = {
  backoff: "pinnace.local/restart-backoff",
  podIPs: "pinnace.local/pod-ips",
  terminationMessage: "pinnace.local/termination-message",
  imageId: "pinnace.local/image-id",
} as const;

export function containerConfig(parts: ContainerParts): ContainerConfig {
  const { pod, container, attempt, image, env, mounts, backoff } = parts;
  const lookup = (name: string) => env.find((variable) => variable.name === name)?.value;
  const expanded = (words: readonly string[]) => words.map((word) => expand(word, lookup));
  return {
    name: container.name,
    attempt,
    labels: {
      [labels.podName]: pod.metadata.name,
      [labels.podNamespace]: pod.metadata.namespace,
      [labels.podUid]: pod.metadata.uid,
      [labels.containerName]: container.name,
    },
    annotations: {
      ...(backoff ? { [annotations.backoff]: `${backoff.delayMs} ${backoff.updatedAtMs}` } : {}),
    },
    imageId: image.id,
    imageName: container.image ?? "",
    ...(container.command?.length ? { command: expanded(container.command) } : {}),
    ...(container.args?.length ? { args: expanded(container.args) } : {}),
    ...(container.workingDir ? { workingDir: container.workingDir } : {}),
    env,
    mounts,
    ...(parts.devices?.length ? { devices: parts.devices } : {}),
    ...(parts.cdiDevices?.length ? { cdiDevices: parts.cdiDevices } : {}),
    resources: containerResources(pod, container, parts.node),
    security: securityContext(pod, container, image, parts.seccompRoot),
    ...(parts.target ? { pidNamespaceOf: parts.target } : {}),
    ...(container.stdin ? { stdin: true } : {}),
    ...(container.stdinOnce ? { stdinOnce: true } : {}),
    ...(container.tty ? { tty: true } : {}),
    logPath: parts.logPath,
    ...(container.lifecycle?.stopSignal ? { stopSignal: container.lifecycle.stopSignal } : {}),
  };
}

/** The container's own settings over the pod's. */
function securityContext(
  pod: PodObject,
  container: ContainerSpec,
  image: StoredImage,
  seccompRoot: string,
): SecurityContext {
  const ofPod = pod.spec.securityContext ?? {};
  const own: DeepReadonly<ApiSecurityContext> = container.securityContext ?? {};
  const runAsUser = own.runAsUser ?? ofPod.runAsUser;
  const runAsGroup = own.runAsGroup ?? ofPod.runAsGroup;
  if (own.runAsNonRoot ?? ofPod.runAsNonRoot) checkNonRoot(pod, container, image, runAsUser);
  const supplementalGroups = [
    ...(ofPod.fsGroup !== undefined ? [ofPod.fsGroup] : []),
    ...(ofPod.supplementalGroups ?? []),
  ];
  const seccomp = own.seccompProfile ?? ofPod.seccompProfile;
  const appArmor = appArmorOf(appArmorProfileOf(pod, container));
  const privileged = own.privileged ?? false;
  const canGain = own.allowPrivilegeEscalation ?? true;
  return {
    ...(privileged ? { privileged } : {}),
    ...(runAsUser !== undefined ? { runAsUser } : {}),
    ...(runAsGroup !== undefined ? { runAsGroup } : {}),
    ...(supplementalGroups.length > 0 ? { supplementalGroups } : {}),
    ...(ofPod.supplementalGroupsPolicy === "Strict" ? { supplementalGroupsPolicy: "Strict" } : {}),
    ...(own.readOnlyRootFilesystem ? { readOnlyRootFilesystem: true } : {}),
    ...(!canGain && !privileged ? { noNewPrivileges: true } : {}),
    ...(own.capabilities ? { capabilities: capabilities(own.capabilities) } : {}),
    ...(privileged ? {} : { seccomp: seccompOf(seccomp, seccompRoot) }),
    ...(appArmor ? { appArmor } : {}),
    ...(own.procMount === "Unmasked" ? { procMount: "Unmasked" } : {}),
  };
}

function checkNonRoot(
  pod: PodObject,
  container: ContainerSpec,
  image: StoredImage,
  runAsUser: number | undefined,
): void {
  const where = `(pod: ${JSON.stringify(podText(pod))}, container: ${container.name})`;
  if (runAsUser !== undefined) {
    if (runAsUser === 0) {
      throw new ContainerConfigError(`container's runAsUser breaks non-root policy ${where}`);
    }
    return;
  }
  if (image.uid === 0 || (image.uid === undefined && !image.username)) {
    throw new ContainerConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  }
  if (image.uid === undefined) {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root ${where}`,
    );
  }
}

function capabilities({ add, drop }: DeepReadonly<Capabilities>) {
  const bare = (name: string) => name.replace(/^CAP_/, "");
  return { ...(add ? { add: add.map(bare) } : {}), ...(drop ? { drop: drop.map(bare) } : {}) };
}

/** Types that are not known are the API server's to refuse. */
function appArmorOf(profile: DeepReadonly<AppArmorProfile> | undefined): SecurityContext["appArmor"] {
  if (profile?.type === "RuntimeDefault") return { type: "RuntimeDefault" };
  if (profile?.type === "Localhost") return { type: "Localhost", profile: profile.localhostProfile ?? "" };
  return profile && { type: "Unconfined" };
}

/** Upstream leaves containers unconfined unless they ask; so do we. */
function seccompOf(profile: DeepReadonly<SeccompProfile> | undefined, root: string): SecurityContext["seccomp"] {
  if (profile?.type === "RuntimeDefault") return { type: "RuntimeDefault" };
  if (profile?.type === "Localhost") return { type: "Localhost", path: `${root}/${profile.localhostProfile}` };
  return { type: "Unconfined" };
}
