/** One joined node: a kubelet and a proxy of their own process, which know their cluster over HTTPS only. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectFromHere, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { ConfigMaps, Nodes } from "../../api/resources.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import { addressAt, cidr, formatIp } from "../../base/ip.ts";
import { type LinkChange, Links, macOf } from "../../base/node/links.ts";
import { mountsBelow, mountTmpfs } from "../../base/node/mounts.ts";
import { holdNetns, netnsPath } from "../../base/node/netns.ts";
import type { Client } from "../../client/client.ts";
import { HttpsClient } from "../../client/https-client.ts";
import { InformerCache } from "../../controller-runtime/informer-cache.ts";
import { Proxier } from "../../kube-proxy/proxier.ts";
import { informedServiceSource } from "../../kube-proxy/service-source.ts";
import { GrpcChannel } from "../../kubelet/grpc/channel.ts";
import type { ImageService } from "../../kubelet/images/image-service.ts";
import { type Kubelet, startKubelet } from "../../kubelet/kubelet.ts";
import { machineFacts } from "../../kubelet/machine-facts.ts";
import { HostPorts } from "../../kubelet/network/host-ports.ts";
import { BridgePodNetwork, type PodNetwork } from "../../kubelet/network/pod-network.ts";
import { parseResolvConf, resolvConfOf } from "../../kubelet/network/resolv-conf.ts";
import { RuntimeNetwork } from "../../kubelet/network/runtime-network.ts";
import { kubeletPort } from "../../kubelet/node-object.ts";
import type { ContainerRuntime } from "../../kubelet/runtime/container-runtime.ts";
import { CriImages } from "../../kubelet/runtime/cri/cri-images.ts";
import { CriRuntime } from "../../kubelet/runtime/cri/cri-runtime.ts";
import { OciMachine } from "../../kubelet/runtime/oci/machine.ts";
import { OciRuntime } from "../../kubelet/runtime/oci/oci-runtime.ts";
import { kubeletDoor } from "../../kubelet/server/https-door.ts";
import { openNft } from "../../nftables/nft.ts";
import { renewalDueMs } from "../certificate-renewal.ts";
import { createServingPair } from "../certificates.ts";
import { openImageStore } from "../image-store.ts";
import { followNodeRoutes } from "../network/node-routes.ts";
import { podBridge, restate } from "../network/plan-lan.ts";
import { writeAtomically } from "../state-folder.ts";
import type { Surroundings } from "../surroundings.ts";
import { clusterCgroup } from "../teardown.ts";
import { kubernetesVersion, pinnaceVersion } from "../version.ts";
import type { Discovered } from "./discovery.ts";
import { kubeletConfig, parseKubeletText } from "./join-objects.ts";
import { followAuthorities, KnownAuthorities } from "./known-authorities.ts";
import { type NodeCredentials, rotateCredentials } from "./node-credentials.ts";

export interface JoinedNodeOptions extends Surroundings {
  name: string;
  /** Where the others reach it. */
  address: string;
  cluster: Discovered;
  credentials: NodeCredentials;
  credentialsFile: string;
  /** Where it keeps what it knows of its cluster. */
  clusterFile: string;
  /** The node's own folder. */
  folder: string;
  /** Images of the built-in runtime. */
  imagesFolder: string;
  /** `unix:///run/containerd/containerd.sock`. Undefined: the built-in runtime. */
  runtimeEndpoint?: string | undefined;
  labels?: Readonly<Record<string, string>>;
}

/** Names what belongs to it on the machine: its cgroups and its network namespace. */
export function joinedName(node: string): string {
  return `joined-${node}`;
}

/** Resolves when the node is Ready. Its kubelet ends with the signal; containers run on. */
export async function startJoinedNode(options: JoinedNodeOptions): Promise<Kubelet> {
  const { name, address, clock, random, log, signal, folder } = options;
  const authorities = new KnownAuthorities(options.cluster);
  let credentials = options.credentials;
  const connect = () => clientWith(authorities.cluster, credentials, clock);
  const api = new RenewedClient(connect());
  const client = api.client;
  void followAuthorities({
    clock,
    random,
    log,
    signal,
    client,
    known: authorities,
    keep(cluster) {
      writeAtomically(options.clusterFile, JSON.stringify(cluster), 0o600);
    },
    onChanged: () => api.renew(connect()),
  });
  void rotateCredentials({
    current: options.credentials,
    file: options.credentialsFile,
    nodeName: name,
    client,
    clock,
    random,
    log,
    signal,
    authorities,
    onRenewed(renewed) {
      credentials = renewed;
      api.renew(connect());
    },
  });
  const { data = {} } = await client.get(ConfigMaps, kubeletConfig, { signal });
  const network = parseKubeletText(data["kubelet"] ?? "");
  const netns = netnsPath(`pinnace-${joinedName(name)}`);
  holdNetns(`pinnace-${joinedName(name)}`);
  const folders = { root: folder, volatile: join(folder, "volatile"), logs: join(folder, "logs") };
  for (const path of [folders.root, folders.logs]) mkdirSync(path, { recursive: true });
  mkdirSync(folders.volatile, { recursive: true, mode: 0o711 });
  if (!mountsBelow(folders.volatile).includes(folders.volatile)) mountTmpfs(folders.volatile, "mode=711");

  const node = {
    name,
    ips: [address],
    podCIDRs: [] as string[],
    labels: options.labels ?? {},
    kubeletVersion: kubernetesVersion,
  };
  const podCIDR = await podRange(options, client);
  const parts = await runtimeOf(options, podCIDR, async () => {
    await buildPodBridge(podCIDR, network.podCIDR);
    return new BridgePodNetwork({ node: `pinnace-${joinedName(name)}`, bridge: podBridge, podCIDRs: [podCIDR] });
  });
  const cache = new InformerCache({ client, clock, log, signal });
  const proxier = new Proxier({
    node: { name, addresses: [address], podCIDRs: [network.podCIDR], serviceCIDRs: [network.serviceCIDR] },
    source: informedServiceSource(cache),
    netnsPath: netns,
    clock,
    log: log.with({ component: "kube-proxy" }),
  });
  void proxier.run(signal).catch((error: unknown) => log.error("the proxy ended", { error }));
  followNodeRoutes({ cache, netnsPath: netns, passOver: new Set([name]), log, signal });
  const hostPorts = new HostPorts(netns);
  const kubelet = startKubelet({
    node,
    machine: machineFacts(name, folder),
    client,
    ...parts,
    hostPorts,
    clock,
    random,
    log: log.with({ component: "kubelet" }),
    signal,
    folders,
    cgroupRoot: clusterCgroup(joinedName(name)),
    clusterDomain: network.domain,
    allowedUnsafeSysctls: network.allowedUnsafeSysctls,
    enableSystemLogQuery: network.enableSystemLogQuery,
    seccompRoot: join(folder, "seccomp"),
    staticPodFolder: join(folder, "manifests"),
    pluginFolder: join(folder, "plugins_registry"),
    dns: ({ metadata, spec }) => {
      const { nameservers, searches, options } = resolvConfOf(spec, {
        namespace: metadata.namespace,
        clusterDomain: network.domain,
        clusterDNS: [network.dns],
        host: parseResolvConf(readFileSync("/etc/resolv.conf", "utf8")),
      });
      return { servers: nameservers, searches, options };
    },
    connect: (host, port) => connectFromHere(port, host),
  });
  const door = kubeletDoor({
    nodeName: name,
    routes: kubelet.routes,
    pods: kubelet.pods,
    client,
    clientCa: () => authorities.cluster.ca,
    clock,
    log: log.with({ component: "kubelet" }),
    // Signed by itself, as kubeadm's kubelets have it: the API server does not ask by whom.
    async certificate() {
      const pair = createServingPair({ dnsNames: [name], ipAddresses: [address] }, clock.now(), random);
      return { cert: pair.certificatePem, key: pair.privateKeyPem, renewAtMs: renewalDueMs(pair) };
    },
  });
  await listen(door, address);
  signal.addEventListener("abort", () => door.close(), { once: true });
  await Promise.all([kubelet.ready, proxier.synced]);
  return {
    ...kubelet,
    stopped: kubelet.stopped.then(async () => {
      hostPorts.release();
      await parts.runtime.close();
    }),
  };
}

function listen(door: Server, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    door.once("error", reject);
    door.listen({ host, port: kubeletPort }, () => resolve());
  });
}

interface RuntimeParts {
  runtime: ContainerRuntime;
  images: ImageService;
  network: PodNetwork;
}

async function runtimeOf(
  options: JoinedNodeOptions,
  podCIDR: string,
  makeNetwork: () => Promise<PodNetwork>,
): Promise<RuntimeParts> {
  const { clock, random, log, folder, runtimeEndpoint, signal, name } = options;
  const logger = log.with({ component: "runtime" });
  if (runtimeEndpoint) {
    const channel = new GrpcChannel(runtimeEndpoint, clock);
    const images = new CriImages(channel, clock);
    const runtime = new CriRuntime({ channel, images, clock, logger });
    await runtime.open(signal);
    await Promise.all([images.open(), runtime.setPodRange(podCIDR)]);
    return { runtime, images, network: new RuntimeNetwork() };
  }
  const machine = new OciMachine({ folder, clock, logger });
  await machine.open();
  const images = await openImageStore({
    folder: options.imagesFolder,
    config: { mirrors: {}, registries: {}, substitutions: {} },
    clock,
    random,
    log,
  });
  const runtime = new OciRuntime({ folder: join(folder, "runtime", name), machine, images, clock, random, logger });
  await runtime.open();
  return { runtime, images, network: await makeNetwork() };
}

/** The cluster gives each Node its range; the Node is made first, and its kubelet finds it there. */
async function podRange({ name, clock, signal }: JoinedNodeOptions, client: Client): Promise<string> {
  for (;;) {
    const node = await client.get(Nodes, { name }, { signal }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (node?.spec?.podCIDR) return node.spec.podCIDR;
    if (!node) {
      const taints = [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" as const }];
      await client.create(Nodes, { metadata: { name }, spec: { taints } }, { signal });
    }
    await sleep(clock, 50, signal);
  }
}

/** What a local node's namespace has: a bridge for the pods, forwarding, and their way out under the node's address. */
async function buildPodBridge(podCIDR: string, clusterCIDR: string): Promise<void> {
  const gateway = formatIp(addressAt(cidr(podCIDR), 1));
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  const links = new Links();
  try {
    const changes: LinkChange[] = [
      { kind: "up", name: "lo" },
      ...(links.find(podBridge) ? [] : [{ kind: "bridge", name: podBridge, mac: macOf(gateway) } as const]),
      { kind: "address", link: podBridge, address: `${gateway}/${cidr(podCIDR).prefixLength}` },
      { kind: "up", name: podBridge },
    ];
    links.apply(changes);
  } finally {
    links.close();
  }
  const nft = openNft();
  const rule = `ip saddr ${podCIDR} ip daddr != ${clusterCIDR} oifname != "${podBridge}" masquerade fully-random`;
  await nft.run(restate("ip pinnace-node", "postrouting", "type nat hook postrouting priority srcnat + 10", rule));
  nft.close();
}

/** For whoever speaks as the node. */
export function clientWith(
  cluster: Discovered,
  { certificatePem, privateKeyPem }: NodeCredentials,
  clock: Clock,
): HttpsClient {
  return new HttpsClient({
    connection: { server: cluster.server, ca: cluster.ca, certificate: certificatePem, key: privateKeyPem },
    clock,
    userAgent: `kubelet/${pinnaceVersion}`,
  });
}

/** The first address of this machine that others may reach. */
export function ownAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find((each) => each && each.family === "IPv4" && !each.internal)?.address;
}

/** A client that goes on with new credentials; what is under way ends with the old ones. */
class RenewedClient {
  readonly client: Client;
  #current: HttpsClient;

  constructor(first: HttpsClient) {
    this.#current = first;
    const current = () => this.#current;
    this.client = {
      get: (resource, ref, options) => current().get(resource, ref, options),
      list: (resource, options) => current().list(resource, options),
      watch: (resource, options, receive) => current().watch(resource, options, receive),
      create: (resource, object, options) => current().create(resource, object, options),
      update: (resource, object, options) => current().update(resource, object, options),
      updateStatus: (resource, object, options) => current().updateStatus(resource, object, options),
      patch: (resource, ref, patch, options) => current().patch(resource, ref, patch, options),
      delete: (resource, ref, options) => current().delete(resource, ref, options),
      deleteCollection: (resource, list, options) => current().deleteCollection(resource, list, options),
      createSubresource: (...given) => current().createSubresource(...given),
      updateSubresource: (...given) => current().updateSubresource(...given),
    };
  }

  renew(next: HttpsClient): void {
    this.#current = next;
  }
}
