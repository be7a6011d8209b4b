/** One server process of a cluster: constructs every part, and says in which order they start and when the cluster is usable. */
import { setMaxListeners } from "node:events";
import { connect, isIP } from "node:net";
import { hostname } from "node:os";

import type { Node } from "../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { Nodes, ServiceAccounts } from "../api/resources.ts";

import type { Dial } from "../apiserver-plugins/webhooks/service-route.ts";
import { sleep } from "../base/clock.ts";
import { Owner } from "../base/disposal.ts";
import { signCertificateRequest } from "../base/node/certificate-request.ts";
import { boundSocketIn, connectIn } from "../base/node/netns.ts";
import type { Client } from "../client/client.ts";
import { controllerCatalog, selectControllers } from "../controller-manager/catalog.ts";
import { InformerCache } from "../controller-runtime/informer-cache.ts";
import { runWhenLeader } from "../controller-runtime/leader-election.ts";
import { runControllers } from "../controller-runtime/run-controllers.ts";
import type { Kubelet } from "../kubelet/kubelet.ts";
import { networkNotReady } from "../kubelet/node-object.ts";
import { OciMachine } from "../kubelet/runtime/oci/machine.ts";
import { startScheduler } from "../scheduler/scheduler.ts";
import type { Store } from "../storage/store.ts";
import { keepCertificatesFresh } from "./certificate-renewal.ts";
import { authoritiesOf, type ClusterPki } from "./certificates.ts";
import type { ClusterPlan, NodePlan } from "./config/cluster-config.ts";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";

import { startClusterDns } from "./dns.ts";
import type { DnsStandbyOptions } from "./dns-standby.ts";

import { openImageStore } from "./image-store.ts";
import { startIngress } from "./ingress.ts";
import { KubeletClient } from "./kubelet-client.ts";
import { startLoadBalancer } from "./load-balancer.ts";
import { type NodeMachine, prepareVolatileFolder, startKubeletOf, startProxies } from "./local-node.ts";
import { localVolumeFolders } from "./local-volume-folders.ts";
import { buildLan, nodeNetnsPath } from "./network/lan.ts";
import { followNodeRoutes } from "./network/node-routes.ts";
import { startNetworkPolicy } from "./network-policy.ts";
import { nodeSubresources } from "./node-subresources.ts";
import { usageReader } from "./node-usage.ts";
import { openStore } from "./open-store.ts";
import { PkiKeeper } from "./pki-keeper.ts";
import { publishAuthority } from "./publish-authority.ts";
import type { Role } from "./roles.ts";
import { discoveryOf } from "./served-resources.ts";
import { StartWatch } from "./start-watch.ts";
import type { ClusterPaths } from "./state-folder.ts";
import type { Surroundings } from "./surroundings.ts";

export interface ServerOptions extends Omit<Surroundings, "signal"> {
  plan: ClusterPlan;
  pki: ClusterPki;
  paths: ClusterPaths;
  roles: ReadonlySet<Role>;
  /** As kube-controller-manager's `--controllers`: `*`, `name`, `-name`. Default: all. */
  controllers?: readonly string[];
  /** Between two looks of an autoscaler at its metrics. Default: 15,000. */
  autoscalerPeriodMs?: number;
  /** Instead of the one in the cluster's folder. Closed with the server. */
  store?: Store;
  /** Who answers names when this process dies. Default: nobody. */
  dnsStandby?: DnsStandbyOptions;
  onProgress(text: string): void;
  /** Rejects with a StuckStartError after so long without progress. Default: 60. */
  timeoutSeconds?: number;
}

export interface RunningCluster {
  client: Client;
  /** Ends the server. Containers and Service rules stay. */
  close(): Promise<void>;
  /** Ends the pods of this server's nodes gracefully, as its plan says. Resolves at once when it says nothing. */
  shutdownNodes(): Promise<void>;
}

/** Resolves when the cluster is usable: nodes Ready, DNS answering, the default ServiceAccount present. */
export async function startServer(options: ServerOptions): Promise<RunningCluster> {
  const { plan, paths, roles, clock, random, log, onProgress } = options;
  const abort = new AbortController();
  // Every loop of every part ends with this one signal. Not 0 for "any number": Node 20's fetch refuses such a signal.
  setMaxListeners(100_000, abort.signal);
  const surroundings: Surroundings = { clock, random, log, signal: abort.signal };
  const owner = new Owner();
  const close = async () => {
    abort.abort();
    await owner.close();
  };
  const keeper = new PkiKeeper(options.pki);
  const watch = new StartWatch(clock, options.timeoutSeconds ?? 60);
  const start = async (): Promise<RunningCluster> => {
    const localNodes = plan.nodes.filter((node) => node.kind === "local");
    const kubelets = new Map<string, Kubelet>();

    // The LAN, the images and the store need one another in nothing: they come up side by side.
    const lan = watch.until("the nodes' network", localNodes.length > 0 ? buildLan(lanSpec(plan)) : Promise.resolve());
    const machine = watch.until(
      "images and container runtime",
      localNodes.length > 0 && roles.has("kubelet") ? openMachine(options, owner) : Promise.resolve(undefined),
    );
    // Awaited below; a failure before that must not count as nobody's.
    lan.catch(() => {});
    machine.catch(() => {});
    const opening = openStore(plan, paths, options.store, surroundings);
    const { store, configurationFile } = await watch.until("the store", opening);
    owner.own(() => store.close());
    const controlNode = plan.nodes.find((node) => node.role === "control-plane" && node.kind === "local");
    const apiAddress = controlNode
      ? { address: controlNode.address, port: 6443 }
      : { address: advertisedAddress(plan), port: plan.apiServer.port };
    const starting = startControlPlane({
      ...surroundings,
      ...options,
      keeper,
      store,
      configurationFiles: configurationFile ? [configurationFile] : [],
      apiAddress,
      auditFolder: paths.root,
      nodeSubresources: (dial) => nodeSubresources(kubelets, new KubeletClient(() => keeper.current.apiServer), dial),
      readUsage: roles.has("kubelet") && plan.nodes.length > 0 ? usageReader(kubelets, () => clock.now()) : undefined,
      dialService: controlNode && dialFrom(nodeNetnsPath(plan.name, controlNode.name)),
    });
    const control = await watch.until("the API server's own objects", starting);
    keeper.follow((pki, before) => {
      const next = authoritiesOf(pki);
      if (next === authoritiesOf(before)) return;
      publishAuthority(control.clientOf("kube-controller-manager"), next).catch((error) =>
        log.error("telling pods of the new authority failed", { error }),
      );
    });
    void keepCertificatesFresh({ ...surroundings, keeper, plan, paths });
    owner.own(() => control.close());
    await listen(control, plan);
    onProgress(`API server at https://${plan.apiServer.address}:${plan.apiServer.port}`);
    await sleep(clock, firstCallersMs);

    const clientOf = control.clientOf;
    const usable: Promise<unknown>[] = [];
    if (roles.has("controller-manager"))
      usable.push(watch.until("controllers", startControllers(control, store, keeper, options, surroundings, owner)));
    if (roles.has("scheduler")) {
      const startHere = (signal: AbortSignal) =>
        startScheduler({
          ...surroundings,
          signal,
          client: clientOf("kube-scheduler"),
          host: hostname(),
          ...plan.scheduler,
          log: log.with({ component: "kube-scheduler" }),
        });
      if (store.isShared)
        elect("kube-scheduler", control, plan.leaderElection, surroundings, owner, (signal) => startHere(signal).done);
      else startHere(abort.signal);
    }
    await lan;
    if (controlNode) {
      const fd = boundSocketIn(nodeNetnsPath(plan.name, controlNode.name), "tcp", apiAddress.address, apiAddress.port);
      await control.listen({ fd });
    }
    if (roles.has("kubelet")) {
      if (localNodes.length > 0) prepareVolatileFolder(paths);
      const machineOrNone = await machine;
      const networkPolicy = startNetworkPolicy({ ...surroundings, plan, clientOf, nodes: localNodes, owner });
      const startNode = async (node: NodePlan) => {
        const kubelet = await startKubeletOf({
          ...surroundings,
          plan,
          paths,
          keeper,
          node,
          clientOf,
          machine: machineOrNone,
          networkPolicy: node.kind === "local" ? networkPolicy : undefined,
        });
        kubelets.set(node.name, kubelet);
        owner.own(() => kubelet.stopped);
        await kubelet.ready;
      };
      usable.push(...plan.nodes.map((node) => watch.until(`the kubelet of ${node.name}`, startNode(node))));
    }
    if (roles.has("kubelet") && localNodes.length > 0) {
      const cache = new InformerCache({ client: clientOf("pinnace"), clock, log, signal: abort.signal });
      const passOver = new Set(plan.nodes.map(({ name }) => name));
      for (const { name } of localNodes)
        followNodeRoutes({ cache, netnsPath: nodeNetnsPath(plan.name, name), passOver, log, signal: abort.signal });
    }
    if (roles.has("kube-proxy"))
      usable.push(
        watch.until("kube-proxy", startProxies({ ...surroundings, plan, paths, clientOf, nodes: localNodes })),
      );
    if (roles.has("dns"))
      usable.push(
        watch.until(
          "cluster DNS",
          startClusterDns({
            ...surroundings,
            plan,
            clientOf,
            node: controlNode,
            standby: options.dnsStandby,
            owner,
          }),
        ),
      );
    if (roles.has("controller-manager"))
      usable.push(
        watch.until(
          "the load balancer",
          lan.then(() => startLoadBalancer({ ...surroundings, plan, clientOf, owner })),
        ),
      );
    // Nobody waits for it: the first Ingress starts the work.
    if (roles.has("controller-manager")) startIngress({ ...surroundings, plan, paths, keeper, clientOf, owner });
    await Promise.all(usable);
    await untilUsable(clientOf("pinnace"), options, watch);
    // What another command replaced while no server ran.
    void publishAuthority(control.clientOf("kube-controller-manager"), authoritiesOf(keeper.current)).catch((error) =>
      log.error("telling pods of the authority failed", { error }),
    );
    onProgress(plan.nodes.length > 0 ? `${plan.nodes.length} nodes ready` : "no nodes");
    const shutdownNodes = async () => {
      const { shutdown } = plan;
      if (shutdown) await Promise.all([...kubelets.values()].map((kubelet) => kubelet.shutdown(shutdown)));
    };
    return { client: clientOf("pinnace"), close, shutdownNodes };
  };
  try {
    return await watch.guard(start());
  } catch (error) {
    const closing = close().catch((failure) => log.error("closing after a failed start", { error: failure }));
    // What keeps it from starting may keep it from closing, too.
    await Promise.race([closing, sleep(clock, closingPatienceMs)]);
    throw error;
  }
}

const closingPatienceMs = 3000;

// Whoever has waited for the API shakes hands and asks in this time, and not in the gaps between the starts of everything else.
const firstCallersMs = 8;

/** The control plane's node knows the ways to Services and pods; names are looked up where this process runs. */
function dialFrom(netns: string): Dial {
  return (host, port) => (isIP(host) ? connectIn(netns, host, port) : connect({ host, port }));
}

/** Where no node is local, nobody asks there; yet an endpoint must not be a loopback address. */
function advertisedAddress({ apiServer, network }: ClusterPlan): string {
  return apiServer.address.startsWith("127.") ? network.hostAddress : apiServer.address;
}

function lanSpec({ name, network, nodes, loadBalancer }: ClusterPlan) {
  const { lan, hostAddress, podCIDR, ipv6, cni } = network;
  return {
    cluster: name,
    lan,
    hostAddress,
    podCIDR,
    ...(ipv6 ? { ipv6 } : {}),
    ...(cni ? { hasOwnPodNetwork: true } : {}),
    nodes: nodes.filter((node) => node.kind === "local"),
    hasBalancer: loadBalancer === "cloud",
  };
}

async function openMachine({ plan, paths, clock, random, log }: ServerOptions, owner: Owner): Promise<NodeMachine> {
  const oci = new OciMachine({ folder: paths.root, clock, logger: log.with({ component: "runtime" }) });
  const [images] = await Promise.all([
    openImageStore({ folder: paths.images, config: plan.images, clock, random, log }),
    oci.open(),
  ]);
  owner.own(() => images.close());
  return { oci, images };
}

async function listen(control: ControlPlane, plan: ClusterPlan): Promise<void> {
  const { address, port } = plan.apiServer;
  try {
    await control.listen({ host: address, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new Error(
      `port ${port} on ${address} is in use by another program; end that program, or run "pinnace down --name ${plan.name}" and name another apiServer.port in the configuration file`,
      { cause: error },
    );
  }
}

/** Servers that share a store take turns: of each component one acts, whoever holds its Lease. */
function elect(
  component: string,
  control: ControlPlane,
  durations: ClusterPlan["leaderElection"],
  surroundings: Surroundings,
  owner: Owner,
  lead: (signal: AbortSignal) => Promise<void>,
): void {
  const running = runWhenLeader(
    {
      ...surroundings,
      ...durations,
      log: surroundings.log.with({ component }),
      client: control.clientOf(component),
      lease: { name: component, namespace: "kube-system" },
      identity: `${hostname()}_${surroundings.random.uuid()}`,
    },
    (signal) => {
      setMaxListeners(100_000, signal);
      return lead(signal);
    },
  );
  owner.own(() => running);
}

async function startControllers(
  control: ControlPlane,
  store: Store,
  keeper: PkiKeeper,
  { plan, controllers, autoscalerPeriodMs, paths, random, log }: ServerOptions,
  surroundings: Surroundings,
  owner: Owner,
): Promise<void> {
  const { registry } = control.server;
  const discover = discoveryOf(registry);
  const readForeign = async (group: string, versions: readonly string[], path: string, signal: AbortSignal) => {
    const version = versions.find((candidate) => registry.foreign.has(`${group}/${candidate}`));
    const foreign = registry.foreign.get(`${group}/${version}`);
    return await foreign?.read(`/apis/${group}/${version}${path}`, control.userOf("kube-controller-manager"), signal);
  };
  // Fresh ones for each term: some keep what they have seen.
  const catalog = () =>
    controllerCatalog({
      discover,
      readForeign,
      ...(autoscalerPeriodMs ? { autoscalerPeriodMs } : {}),
      rootCa: () => authoritiesOf(keeper.current),
      hasTrustBundles: registry.find("certificates.k8s.io", "v1beta1", "clustertrustbundles") !== undefined,
      clusterCIDR: plan.network.podCIDR,
      issueAccountToken: (subject, secret) => control.tokens.issueLegacy(subject, secret.name),
      localVolumes: localVolumeFolders(paths.volumes),
      signCertificate: (request) =>
        signCertificateRequest({
          ...request,
          caCertificatePem: keeper.current.ca.certificatePem,
          caPrivateKeyPem: keeper.current.ca.privateKeyPem,
          random,
        }),
    });
  const startHere = (signal: AbortSignal) =>
    runControllers(selectControllers(catalog(), controllers), {
      ...surroundings,
      signal,
      client: control.clientOf("kube-controller-manager"),
      log: log.with({ component: "kube-controller-manager" }),
    });
  if (store.isShared) {
    elect(
      "kube-controller-manager",
      control,
      plan.leaderElection,
      surroundings,
      owner,
      (signal) => startHere(signal).done,
    );
    return;
  }
  const running = startHere(surroundings.signal);
  owner.own(() => running.done);
  await running.ready;
}

/** Nodes Ready and the default ServiceAccount present, as far as this process's roles bring them about. */
async function untilUsable(
  client: Client,
  { plan, roles, clock, log }: ServerOptions,
  watch: StartWatch,
): Promise<void> {
  const stop = new AbortController();
  const cache = new InformerCache({ client, clock, log, signal: stop.signal });
  try {
    if (roles.has("kubelet")) {
      const unready = () => plan.nodes.flatMap(({ name }) => whyNotReady(name, cache.list(Nodes)) ?? []);
      const ready = until(cache, Nodes, () => unready().length === 0);
      await watch.until("Ready nodes", ready, () => unready().join("; "));
    }
    if (roles.has("controller-manager")) {
      const present = until(cache, ServiceAccounts, (accounts) =>
        accounts.some(({ metadata }) => metadata.namespace === "default" && metadata.name === "default"),
      );
      await watch.until('the ServiceAccount "default"', present);
    }
  } finally {
    stop.abort();
  }
}

/** Undefined: it is Ready, or waits only for the network that its user is to give it: what does so runs in this cluster. */
function whyNotReady(name: string, nodes: readonly DeepReadonly<Node>[]): string | undefined {
  const node = nodes.find(({ metadata }) => metadata.name === name);
  if (!node) return `${name} has not registered`;
  const ready = node.status.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status === "True" || ready?.message?.startsWith(networkNotReady)) return undefined;
  return `${name} is not Ready${ready ? ` (${[ready.reason, ready.message].filter(Boolean).join(": ")})` : ""}`;
}

function until<T extends KubeObject>(
  cache: InformerCache,
  resource: Resource<T>,
  condition: (objects: readonly DeepReadonly<T>[]) => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (condition(cache.list(resource))) resolve();
    };
    cache.informer(resource).addHandler(check);
    void cache.informer(resource).synced.then(check);
  });
}
