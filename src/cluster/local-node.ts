/** One node of a cluster in this process: its kubelet and its proxy, real or simulated. */
import { mkdirSync, readFileSync } from "node:fs";
import { connect as connectFromHere, type Socket } from "node:net";
import { join } from "node:path";
import type { Node } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { Nodes } from "../api/resources.ts";
import { mountsBelow, mountTmpfs } from "../base/node/mounts.ts";
import { boundSocketIn, connectIn, listenOn } from "../base/node/netns.ts";
import type { Client } from "../client/client.ts";
import { objectKey } from "../controller-runtime/cache.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { serveHealth } from "../kube-proxy/health-server.ts";
import { Proxier } from "../kube-proxy/proxier.ts";
import { informedServiceSource } from "../kube-proxy/service-source.ts";
import { GrpcChannel } from "../kubelet/grpc/channel.ts";
import type { ImageService } from "../kubelet/images/image-service.ts";
import type { ImageStore } from "../kubelet/images/image-store.ts";
import { SimulatedImages } from "../kubelet/images/simulated-images.ts";
import { type Kubelet, startKubelet } from "../kubelet/kubelet.ts";
import { machineFacts } from "../kubelet/machine-facts.ts";
import { CniPodNetwork } from "../kubelet/network/cni-pod-network.ts";
import { HostPorts } from "../kubelet/network/host-ports.ts";
import { BridgePodNetwork, type PodNetwork } from "../kubelet/network/pod-network.ts";
import { parseResolvConf, resolvConfOf } from "../kubelet/network/resolv-conf.ts";
import { RuntimeNetwork } from "../kubelet/network/runtime-network.ts";
import { SimulatedPodNetwork } from "../kubelet/network/simulated-pod-network.ts";
import { kubeletPort } from "../kubelet/node-object.ts";
import type { NodeFolders } from "../kubelet/paths.ts";
import type { PodObject } from "../kubelet/pod-state.ts";
import { simulatedAction } from "../kubelet/probes/action.ts";
import type { ContainerRuntime } from "../kubelet/runtime/container-runtime.ts";
import { startContainerd } from "../kubelet/runtime/cri/containerd-daemon.ts";
import { ContainerdImages } from "../kubelet/runtime/cri/containerd-images.ts";
import { CriImages } from "../kubelet/runtime/cri/cri-images.ts";
import { CriRuntime } from "../kubelet/runtime/cri/cri-runtime.ts";
import type { OciMachine } from "../kubelet/runtime/oci/machine.ts";
import { OciRuntime } from "../kubelet/runtime/oci/oci-runtime.ts";
import { SimulatedRuntime } from "../kubelet/runtime/simulated/simulated-runtime.ts";
import { kubeletDoor } from "../kubelet/server/https-door.ts";
import type { PolicyEnforcer } from "../network-policy/enforcer.ts";
import { renewalDueMs, validityMsOf } from "./certificate-renewal.ts";
import { authoritiesOf, issueLeaf } from "./certificates.ts";
import type { ClusterPlan, NodePlan } from "./config/cluster-config.ts";
import { writeKubeProxyConfig } from "./kube-proxy-config.ts";
import { nodeNetnsPath } from "./network/lan.ts";
import { nodeNetns, podBridge } from "./network/plan-lan.ts";
import type { PkiKeeper } from "./pki-keeper.ts";
import type { ClusterPaths } from "./state-folder.ts";
import type { Surroundings } from "./surroundings.ts";
import { clusterCgroup } from "./teardown.ts";
import { kubernetesVersion } from "./version.ts";

/** What all local nodes of one cluster share. */
export interface NodeMachine {
  oci: OciMachine;
  images: ImageStore;
}

export interface NodeOptions extends Surroundings {
  plan: ClusterPlan;
  node: NodePlan;
  paths: ClusterPaths;
  keeper: PkiKeeper;
  clientOf(component: string): Client;
  /** Undefined when the cluster has no local node. */
  machine: NodeMachine | undefined;
  /** Undefined where nobody enforces NetworkPolicies: on simulated nodes. */
  networkPolicy: PolicyEnforcer | undefined;
}

export async function startKubeletOf(options: NodeOptions): Promise<Kubelet> {
  const { plan, node, paths, clock, random, log, signal } = options;
  const { runtime, images, network: bareNetwork } = await partsOf(options);
  const network = isolating(bareNetwork, options);
  const folders = foldersOf(paths, node);
  const hostPorts = node.kind === "local" ? new HostPorts(nodeNetnsPath(plan.name, node.name)) : undefined;
  await runtime.open(signal);
  const nodeNetnsOf = node.kind === "local" ? { nodeNetnsPath: nodeNetnsPath(plan.name, node.name) } : {};
  const kubelet = startKubelet({
    node: {
      name: node.name,
      ips: addressesOf(node),
      podCIDRs: podRangesOf(node),
      roles: node.role === "control-plane" ? ["control-plane"] : [],
      labels: node.labels,
      taints: node.taints,
      kubeletVersion: kubernetesVersion,
    },
    machine: machineFacts(node.name, folders.root),
    client: options.clientOf("kubelet"),
    runtime,
    images,
    network,
    ...(hostPorts ? { hostPorts } : {}),
    clock,
    random,
    log: log.with({ component: "kubelet" }),
    signal,
    folders,
    cgroupRoot: `${clusterCgroup(plan.name)}/${node.name}`,
    clusterDomain: plan.network.dnsDomain,
    enableSystemLogQuery: plan.enableSystemLogQuery ?? false,
    ...(plan.allowedUnsafeSysctls ? { allowedUnsafeSysctls: plan.allowedUnsafeSysctls } : {}),
    seccompRoot: join(folders.root, "seccomp"),
    ...(node.kind === "local"
      ? { staticPodFolder: join(folders.root, "manifests"), pluginFolder: join(folders.root, "plugins_registry") }
      : {}),
    ...nodeNetnsOf,
    dns: (pod) => dnsOf(pod, plan),
    connect: (address, port): Socket =>
      node.kind === "local"
        ? connectIn(nodeNetnsPath(plan.name, node.name), address, port)
        : connectFromHere(port, address),
    ...(node.kind === "simulated" ? { runAction: simulatedAction } : {}),
  });
  if (node.kind === "local") await openDoor(options, kubelet);
  // Containers go on; only nobody in this process hears of their ends any more.
  return {
    ...kubelet,
    stopped: kubelet.stopped.then(() => {
      hostPorts?.release();
      return runtime.close();
    }),
  };
}

/** The port on which the API server, metrics readers and the curious ask a kubelet. Nobody can reach a simulated node's. */
async function openDoor({ plan, node, keeper, clientOf, clock, random, log, signal }: NodeOptions, kubelet: Kubelet) {
  const door = kubeletDoor({
    nodeName: node.name,
    routes: kubelet.routes,
    pods: kubelet.pods,
    client: clientOf("kubelet"),
    clientCa: () => authoritiesOf(keeper.current),
    clock,
    log: log.with({ component: "kubelet", node: node.name }),
    async certificate() {
      const subject = { commonName: `system:node:${node.name}`, organizations: ["system:nodes"] };
      const names = { dnsNames: [node.name], ipAddresses: addressesOf(node) };
      const leafOptions = { subject, usage: "server", ...names, validityMs: validityMsOf(plan) } as const;
      const leaf = issueLeaf(keeper.current.ca, leafOptions, clock.now(), random);
      return { cert: leaf.certificatePem, key: leaf.privateKeyPem, renewAtMs: renewalDueMs(leaf) };
    },
  });
  await listenOn(door, boundSocketIn(nodeNetnsPath(plan.name, node.name), "tcp", node.address, kubeletPort));
  signal.addEventListener("abort", () => door.close(), { once: true });
}

/** One a family, the first family's first. */
function addressesOf({ address, ipv6 }: NodePlan): string[] {
  return ipv6 ? [address, ipv6.address] : [address];
}

function podRangesOf({ podCIDR, ipv6 }: NodePlan): string[] {
  return ipv6 ? [podCIDR, ipv6.podCIDR] : [podCIDR];
}

/** The host's file is read for each pod: it changes when a laptop moves. */
function dnsOf({ metadata, spec }: PodObject, { network }: ClusterPlan) {
  const { nameservers, searches, options } = resolvConfOf(spec, {
    namespace: metadata.namespace,
    clusterDomain: network.dnsDomain,
    clusterDNS: [network.dnsAddress],
    host: parseResolvConf(readFileSync("/etc/resolv.conf", "utf8")),
  });
  return { servers: nameservers, searches, options };
}

interface NodeParts {
  runtime: ContainerRuntime;
  images: ImageService;
  network: PodNetwork;
}

async function partsOf(options: NodeOptions): Promise<NodeParts> {
  const { plan, node, paths, machine, clock, random, log } = options;
  if (node.kind === "simulated" || !machine) {
    return {
      runtime: new SimulatedRuntime({ clock, random }),
      images: new SimulatedImages(),
      network: new SimulatedPodNetwork(podRangesOf(node)),
    };
  }
  if (node.containerRuntime === "containerd") return containerdParts(options, machine);
  const folder = join(paths.nodes, node.name, "runtime");
  return {
    runtime: new OciRuntime({
      folder,
      machine: machine.oci,
      images: machine.images,
      clock,
      random,
      logger: log.with({ component: "runtime", node: node.name }),
    }),
    images: machine.images,
    network: podNetworkOf(plan, node, paths),
  };
}

/** A containerd of the node's own. It makes the pods' network, too. */
async function containerdParts(options: NodeOptions, machine: NodeMachine): Promise<NodeParts> {
  const { plan, node, paths, clock, signal, networkPolicy } = options;
  const folder = join(paths.nodes, node.name, "containerd");
  const netns = nodeNetnsPath(plan.name, node.name);
  const log = options.log.with({ component: "containerd", node: node.name });
  const podCIDRs = podRangesOf(node);
  const socket = await startContainerd({ netnsPath: netns, folder, podCIDRs, clock, log, signal });
  const channel = new GrpcChannel(socket, clock);
  const cri = new CriImages(channel, clock);
  const images = new ContainerdImages({ cri, machine: machine.images, socket, folder: join(folder, "images"), clock });
  await images.open();
  const dial = (host: string, port: number) => connectIn(netns, host, port);
  const runtime = new CriRuntime({ channel, images, clock, logger: log, dial });
  const isolate = networkPolicy && ((uid: string, ips: readonly string[]) => networkPolicy.attached(uid, ips, signal));
  return { runtime, images, network: new RuntimeNetwork(isolate) };
}

/** The built-in network, or the CNI plugins that the configuration names. */
function podNetworkOf(plan: ClusterPlan, node: NodePlan, paths: ClusterPaths): PodNetwork {
  const netns = nodeNetns(plan.name, node.name);
  const { cni } = plan.network;
  if (!cni) return new BridgePodNetwork({ node: netns, bridge: podBridge, podCIDRs: podRangesOf(node) });
  return new CniPodNetwork({
    node: netns,
    podCIDR: node.podCIDR,
    confDirs: [join(cni.confDir, node.name), cni.confDir],
    binDirs: cni.binDirs,
    stateFolder: join(paths.nodes, node.name, "cni"),
  });
}

/** A pod's first process meets the policies that isolate the pod. */
function isolating(network: PodNetwork, { networkPolicy, signal }: NodeOptions): PodNetwork {
  if (!networkPolicy || network.attached) return network;
  return {
    async attach(podUid, pod) {
      const attachment = await network.attach(podUid, pod);
      await networkPolicy.attached(podUid, attachment.ips, signal);
      return attachment;
    },
    detach: (podUid) => network.detach(podUid),
    list: () => network.list(),
    problem: () => network.problem?.(),
    onChange: (listener, signal) => network.onChange?.(listener, signal),
  };
}

function foldersOf(paths: ClusterPaths, node: NodePlan): NodeFolders {
  const root = join(paths.nodes, node.name);
  const volatile = join(paths.volatile, node.name);
  const folders = { root, volatile, logs: join(root, "logs") };
  for (const folder of [folders.root, folders.volatile, folders.logs]) mkdirSync(folder, { recursive: true });
  return folders;
}

/** Secrets and tokens never reach a disk: they lie on a file system in memory that outlives the server. */
export function prepareVolatileFolder(paths: ClusterPaths): void {
  mkdirSync(paths.volatile, { recursive: true, mode: 0o711 });
  if (!mountsBelow(paths.volatile).includes(paths.volatile)) mountTmpfs(paths.volatile, "mode=711");
}

/** The proxies of all local nodes read Services through one informer. Resolves when the first rules are in effect. */
export async function startProxies(
  options: Omit<NodeOptions, "node" | "machine" | "keeper" | "networkPolicy"> & { nodes: readonly NodePlan[] },
): Promise<void> {
  const { plan, nodes, clock, log, signal, clientOf } = options;
  const proxyLog = log.with({ component: "kube-proxy" });
  const cache = new InformerCache({ client: clientOf("kube-proxy"), clock, log: proxyLog, signal });
  const source = informedServiceSource(cache);
  const ranges = [plan.network, ...(plan.network.ipv6 ? [plan.network.ipv6] : [])];
  const podCIDRs = ranges.map(({ podCIDR }) => podCIDR);
  const serviceCIDRs = ranges.map(({ serviceCIDR }) => serviceCIDR);
  const proxies = nodes.map((each) => {
    const { name } = each;
    const node = { name, addresses: addressesOf(each), podCIDRs, serviceCIDRs };
    const shared = {
      node,
      source,
      netnsPath: nodeNetnsPath(plan.name, name),
      clock,
      log: proxyLog.with({ node: name }),
    };
    const proxier = new Proxier(shared);
    void proxier.run(signal).catch((error) => proxyLog.error("the proxy ended", { error }));
    void serveHealth({ ...shared, proxier, signal, isEligible: () => isEligible(cache.get(Nodes, objectKey(name))) });
    return proxier;
  });
  await Promise.all([writeKubeProxyConfig(clientOf("kube-proxy"), plan), ...proxies.map((proxy) => proxy.synced)]);
}

/** As upstream's proxy sees it: a node that is deleted, or about to be by the autoscaler, takes no new connections. */
function isEligible(node: DeepReadonly<Node> | undefined): boolean {
  if (!node) return true;
  return (
    node.metadata.deletionTimestamp === undefined &&
    !node.spec.taints?.some(({ key }) => key === "ToBeDeletedByClusterAutoscaler")
  );
}
