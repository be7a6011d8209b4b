/** `pinnace join` and `pinnace leave`: this machine as a node of a cluster elsewhere. */
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join as joinPath } from "node:path";
import { ConfigMaps } from "../../api/resources.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import { silentLogger } from "../../base/logger.ts";
import { Links } from "../../base/node/links.ts";
import { deleteNetns, listNetns, netnsPath } from "../../base/node/netns.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { HttpsClient } from "../../client/https-client.ts";
import { tableName as kubeProxyTable } from "../../kube-proxy/compile-ruleset.ts";
import { labels } from "../../kubelet/container-config.ts";
import { GrpcChannel } from "../../kubelet/grpc/channel.ts";
import { CriRuntime } from "../../kubelet/runtime/cri/cri-runtime.ts";
import { openNft } from "../../nftables/nft.ts";
import { type Discovered, discover } from "../joining/discovery.ts";
import { kubeletConfig } from "../joining/join-objects.ts";
import { clientWith, joinedName, ownAddress, startJoinedNode } from "../joining/joined-node.ts";
import {
  isValid,
  type NodeCredentials,
  readCredentials,
  requestCredentials,
  writeCredentials,
} from "../joining/node-credentials.ts";
import { type LogLevel, lineLogger } from "../line-logger.ts";
import { podBridge } from "../network/plan-lan.ts";
import { clusterPaths, pinnaceHome, readJson, writeAtomically } from "../state-folder.ts";
import { takeDownCluster } from "../teardown.ts";
import { pinnaceVersion } from "../version.ts";

export interface JoinOptions {
  /** `host:port`. Not needed by a node that has joined before. */
  server?: string | undefined;
  token?: string | undefined;
  /** `sha256:…`, of the cluster's authority. */
  hashes?: readonly string[] | undefined;
  allowUnknownAuthority?: boolean | undefined;
  nodeName?: string | undefined;
  nodeAddress?: string | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  runtimeEndpoint?: string | undefined;
  print(line: string): void;
}

/** Runs the node in the foreground, until SIGTERM or SIGINT; its containers go on. Resolves to the exit code. */
export async function joinCluster(options: JoinOptions): Promise<number> {
  const { print } = options;
  const name = (options.nodeName ?? hostname()).toLowerCase();
  const address = options.nodeAddress ?? ownAddress();
  if (!address) throw new Error("this machine has no address that others could reach; name one with --node-ip");
  const abort = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  const folder = nodeFolder(name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const credentialsFile = joinPath(folder, "kubelet-client.pem");
  const clusterFile = joinPath(folder, "cluster.json");
  const { cluster, credentials } =
    (await standing(options, clusterFile, credentialsFile, abort.signal)) ??
    (await bootstrap(options, name, clusterFile, credentialsFile, abort.signal));
  if (options.runtimeEndpoint) writeAtomically(endpointFile(folder), options.runtimeEndpoint, 0o600);
  const log = lineLogger(process.stderr, systemClock, (process.env["PINNACE_LOG"] as LogLevel | undefined) ?? "warn");
  const kubelet = await startJoinedNode({
    name,
    address,
    cluster,
    credentials,
    credentialsFile,
    clusterFile,
    folder,
    imagesFolder: joinPath(pinnaceHome(), "images"),
    runtimeEndpoint: options.runtimeEndpoint,
    ...(options.labels ? { labels: options.labels } : {}),
    clock: systemClock,
    random: systemRandom,
    log,
    signal: abort.signal,
  });
  print(`This node has joined the cluster at ${cluster.server} as ${name}.`);
  await stopped;
  abort.abort();
  await kubelet.stopped;
  return 0;
}

/** What this machine has from its last time as this node. Undefined: nothing, or nothing that counts any more. */
async function standing(
  { token }: JoinOptions,
  clusterFile: string,
  credentialsFile: string,
  signal: AbortSignal,
): Promise<{ cluster: Discovered; credentials: NodeCredentials } | undefined> {
  const cluster = readJson<Discovered>(clusterFile);
  const credentials = cluster && readCredentials(credentialsFile);
  if (!credentials || !isValid(credentials, systemClock.now())) return undefined;
  const client = clientWith(cluster, credentials, systemClock);
  try {
    await client.get(ConfigMaps, kubeletConfig, { signal });
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (token) return undefined;
    throw new Error(
      `the cluster at ${cluster.server} has another authority than when this machine joined, and knows it no more: join again with what "pinnace token create" prints on the cluster's machine`,
      { cause: error },
    );
  } finally {
    client.close();
  }
  return { cluster, credentials };
}

/** One of the two does not know the other's authority. */
function isRefusal(error: unknown): boolean {
  if (error instanceof StatusError) return error.code === 401 || error.code === 403;
  return /certificate|UNABLE_TO_VERIFY/i.test(String((error as Error).message));
}

async function bootstrap(
  { server, token, hashes = [], allowUnknownAuthority = false }: JoinOptions,
  name: string,
  clusterFile: string,
  credentialsFile: string,
  signal: AbortSignal,
): Promise<{ cluster: Discovered; credentials: NodeCredentials }> {
  if (!server || !token)
    throw new Error(
      'this machine is no node yet: join with what "pinnace token create" prints on the cluster\'s machine',
    );
  if (hashes.length === 0 && !allowUnknownAuthority)
    throw new Error(
      "--discovery-token-ca-cert-hash says whom to trust; --discovery-token-unsafe-skip-ca-verification does without",
    );
  const cluster = await discover(`https://${server}`, token, hashes, signal);
  const client = new HttpsClient({
    connection: { server: cluster.server, ca: cluster.ca, token: () => token },
    clock: systemClock,
    userAgent: `pinnace-join/${pinnaceVersion}`,
  });
  try {
    const credentials = await requestCredentials(client, name, { clock: systemClock, signal });
    writeCredentials(credentialsFile, credentials);
    writeAtomically(clusterFile, JSON.stringify(cluster), 0o600);
    return { cluster, credentials };
  } finally {
    client.close();
  }
}

/** Ends the node's containers and takes away what joining made on this machine. The Node object is the cluster's to delete. */
export async function leaveCluster({
  nodeName,
  print,
}: {
  nodeName?: string | undefined;
  print(line: string): void;
}): Promise<void> {
  const name = (nodeName ?? hostname()).toLowerCase();
  const netns = `pinnace-${joinedName(name)}`;
  const held = statSync(netnsPath(netns), { throwIfNoEntry: false });
  if (held && held.ino !== statSync("/proc/self/ns/net").ino)
    throw new Error(`node ${name} runs in another network namespace of this machine: leave from there`);
  await removeContainers(name);
  await takeDownCluster(joinedName(name), { ...clusterPaths(joinedName(name)), root: nodeFolder(name) }, systemClock);
  for (const each of [...listNetns(`${netns}_`), netns]) deleteNetns(each);
  const links = new Links();
  if (links.find(podBridge)) links.apply([{ kind: "delete-link", name: podBridge }]);
  links.close();
  const nft = openNft();
  for (const table of ["ip pinnace-node", `ip ${kubeProxyTable}`, `ip6 ${kubeProxyTable}`])
    await nft.run(`add table ${table}\ndelete table ${table}`);
  nft.close();
  print(`Node ${name} has left; "kubectl delete node ${name}" makes the cluster forget it.`);
}

/** Those that a CRI runtime keeps; the built-in one's go with the node's cgroup. */
async function removeContainers(name: string): Promise<void> {
  let endpoint: string;
  try {
    endpoint = readFileSync(endpointFile(nodeFolder(name)), "utf8");
  } catch {
    return;
  }
  const channel = new GrpcChannel(endpoint, systemClock);
  const runtime = new CriRuntime({ channel, clock: systemClock, logger: silentLogger });
  await runtime.open();
  const own = runtime.listSandboxes().filter(({ config }) => config.labels?.[labels.node] === name);
  await Promise.all(own.map(({ id }) => runtime.removeSandbox(id)));
  await runtime.close();
}

function endpointFile(folder: string): string {
  return joinPath(folder, "runtime-endpoint");
}

function nodeFolder(name: string): string {
  return joinPath(pinnaceHome(), "joined", name);
}
