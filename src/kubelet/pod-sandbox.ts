/** Makes a pod's sandbox: its network, its hosts file, and what the runtime is told of its namespaces. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RuntimeClasses } from "../api/resources.ts";
import { isNotFound } from "../apimachinery/status-error.ts";
import { annotations, labels } from "./container-config.ts";
import { hostNetworkHostsFile, hostsFile, podNames } from "./hosts-file.ts";
import type { PodFolders } from "./paths.ts";
import type { PodDesk } from "./pod-desk.ts";
import type { PodEvent, PodObject } from "./pod-state.ts";
import { podCgroup, podResources } from "./qos.ts";
import type { SandboxConfig, SandboxId } from "./runtime/container-runtime.ts";
import { normalizedSysctl } from "./sysctls.ts";

interface Attachment {
  netnsPath: string | undefined;
  ips: readonly string[];
}

/** Resolves with what came of it, an error included. */
export async function makeSandbox(pod: PodDesk, attempt: number): Promise<PodEvent> {
  const { runtime, network, facts, nodeNetnsPath, signal } = pod.node;
  signal.throwIfAborted();
  const { pod: object } = pod.state;
  try {
    if (attempt > 0)
      pod.record(undefined, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    const handler = await runtimeHandlerOf(pod);
    if (object.spec.hostUsers === false && !runtime.features.userNamespaces) {
      throw new Error(
        `can't set \`hostUsers: false\`, runtime handler ${JSON.stringify(handler.runtimeHandler ?? "")} does not support user namespaces`,
      );
    }
    const resources = object.spec.resources ? { resources: object.spec.resources } : {};
    if (!object.spec.hostNetwork && runtime.makesNetworks) {
      return { kind: "sandboxCreated", ...(await sandboxWithNetwork(pod, attempt, handler)), ...resources };
    }
    const attachment = object.spec.hostNetwork
      ? { netnsPath: nodeNetnsPath, ips: [...facts.hostIPs] }
      : await network.attach(object.metadata.uid, object.metadata);
    await pod.node.hostPorts?.open(object, attachment.ips);
    writeHostsFile(pod, attachment.ips);
    const id = await runtime.createSandbox({ ...sandboxConfig(pod, attempt, attachment), ...handler });
    return { kind: "sandboxCreated", id, ips: attachment.ips, ...resources };
  } catch (error) {
    const { message } = error as Error;
    pod.record(undefined, "Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${message}`);
    return { kind: "sandboxFailed", message };
  }
}

/** Its runtime gives it the network, and the addresses with it. */
async function sandboxWithNetwork(
  pod: PodDesk,
  attempt: number,
  handler: { runtimeHandler?: string },
): Promise<{ id: SandboxId; ips: string[] }> {
  const { runtime, network, hostPorts } = pod.node;
  const id = await runtime.createSandbox({ ...sandboxConfig(pod, attempt, undefined), ...handler });
  const ips = [...(runtime.sandboxStatus(id)?.ips ?? [])];
  try {
    await network.attached?.(pod.state.pod.metadata.uid, ips);
    await hostPorts?.open(pod.state.pod, ips);
    writeHostsFile(pod, ips);
  } catch (error) {
    await runtime.removeSandbox(id);
    throw error;
  }
  return { id, ips };
}

/** What the pod's RuntimeClass asks of the runtime. */
async function runtimeHandlerOf({ node, state: { pod } }: PodDesk): Promise<{ runtimeHandler?: string }> {
  const name = pod.spec.runtimeClassName;
  if (!name) return {};
  try {
    const { handler } = await node.client.get(RuntimeClasses, { name }, { signal: node.signal });
    return { runtimeHandler: handler };
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new Error(`failed to get RuntimeHandler for pod: RuntimeClass ${JSON.stringify(name)} not found`);
  }
}

function isPrivileged({ spec }: PodObject): boolean {
  const all = [...(spec.initContainers ?? []), ...spec.containers];
  return all.some(({ securityContext }) => securityContext?.privileged);
}

function sandboxConfig(
  { node, state: { pod } }: PodDesk,
  attempt: number,
  attachment: Attachment | undefined,
): SandboxConfig {
  const { nodeName, cgroupRoot, clusterDomain, dns } = node;
  const { spec } = pod;
  const { name, namespace, uid } = pod.metadata;
  const resolvConf = dns(pod);
  return {
    pod: { name, namespace, uid },
    attempt,
    labels: {
      [labels.podName]: name,
      [labels.podNamespace]: namespace,
      [labels.podUid]: uid,
      [labels.node]: nodeName,
    },
    annotations: {
      ...podAnnotations(pod),
      ...(attachment ? { [annotations.podIPs]: attachment.ips.join(",") } : {}),
    },
    hostname: spec.hostNetwork ? nodeName : podNames(pod, clusterDomain).utsName,
    ...(spec.hostNetwork ? { hostNetwork: true } : {}),
    ...(isPrivileged(pod) ? { privileged: true } : {}),
    ...(attachment?.netnsPath !== undefined ? { networkNamespacePath: attachment.netnsPath } : {}),
    namespaces: {
      pid: spec.hostPID ? "node" : spec.shareProcessNamespace ? "pod" : "container",
      ipc: spec.hostIPC ? "node" : "pod",
      uts: "pod",
      ...(spec.hostUsers === false ? { user: "pod" as const } : {}),
    },
    ...(resolvConf ? { dns: resolvConf } : {}),
    ...(spec.securityContext?.sysctls
      ? {
          sysctls: Object.fromEntries(
            spec.securityContext.sysctls.map(({ name, value }) => [normalizedSysctl(name), value]),
          ),
        }
      : {}),
    cgroupParent: podCgroup(cgroupRoot, pod),
    resources: podResources(pod, node.podPidsLimit),
  };
}

/** In memory, like the termination messages: quick to make, and of no use after a reboot. */
export function hostsPath(folders: PodFolders): string {
  return join(folders.volatile, "etc-hosts");
}

function writeHostsFile({ node, folders, state: { pod } }: PodDesk, ips: readonly string[]): void {
  if (node.runtime.withoutFiles) return;
  mkdirSync(folders.volatile, { recursive: true, mode: 0o755 });
  const text = pod.spec.hostNetwork
    ? hostNetworkHostsFile(pod, readFileSync("/etc/hosts", "utf8"))
    : hostsFile(pod, ips, node.clusterDomain);
  writeFileSync(hostsPath(folders), text, { mode: 0o644 });
}

/** Runtimes read some; the copy of the manifest that `kubectl apply` leaves is for nobody here. */
function podAnnotations(pod: PodObject): Record<string, string> {
  const { "kubectl.kubernetes.io/last-applied-configuration": _, ...rest } = pod.metadata.annotations ?? {};
  return rest;
}
