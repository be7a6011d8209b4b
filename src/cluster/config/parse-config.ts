/** Reads the cluster configuration file: every mistake is reported with its line and with what would be right. */
import schema from "../../../schema/cluster-v1alpha1.schema.json" with { type: "json" };
import { FieldPath } from "../../apimachinery/field-error.ts";
import { admissionSelectionErrors } from "../../apiserver-plugins/admission/catalog.ts";
import { authenticationConfigurationErrors } from "../../apiserver-plugins/authentication/authentication-configuration.ts";
import { authorizationConfigurationErrors } from "../../apiserver-plugins/authorization/authorization-configuration.ts";
import { cidr, cidrContains, cidrsOverlap, ip } from "../../base/ip.ts";
import { validAffinity } from "../../resources/core/pod-spec/scheduling.ts";
import { featureSwitchMistakes } from "../../resources/feature-switches.ts";
import { extenderMistakes } from "../../scheduler/extender-mistakes.ts";
import type { NodeAffinityArgs } from "../../scheduler/plugins/node-affinity.ts";
import { profileMistakes } from "../../scheduler/profile-mistakes.ts";
import { checkedDocument, type Path, pathOf } from "./checked-document.ts";
import type { ClusterConfig, StoreConfig } from "./cluster-config.ts";
import { lanOfNodes, leaderElectionMs } from "./implied-config.ts";
import type { Schema } from "./schema-errors.ts";

/** The text's configuration. Throws ConfigError. Names in messages are those of `fileName`. */
export async function parseConfig(text: string, fileName: string): Promise<ClusterConfig> {
  return checkedDocument<ClusterConfig>(text, fileName, {
    schema: schema as Schema,
    expected: 'a mapping that begins with "apiVersion: pinnace.local/v1alpha1" and "kind: Cluster"',
    mistakesOf: planMistakes,
  });
}

/** What a schema cannot say: names used twice, ranges that overlap, addresses outside their LAN. */
function planMistakes(config: ClusterConfig): { path: Path; message: string }[] {
  const mistakes: { path: Path; message: string }[] = [];
  const nodes = config.nodes ?? [];
  const seenNames = new Map<string, number>();
  const seenAddresses = new Map<string, number>();
  const lan = config.network?.lan ?? lanOfNodes(config);
  for (const [i, node] of nodes.entries()) {
    const sameName = seenNames.get(node.name);
    if (sameName !== undefined)
      mistakes.push({
        path: ["nodes", i, "name"],
        message: `"${node.name}" is already the name of nodes[${sameName}]`,
      });
    else seenNames.set(node.name, i);
    if (!node.address) continue;
    const sameAddress = seenAddresses.get(node.address);
    if (sameAddress !== undefined)
      mistakes.push({
        path: ["nodes", i, "address"],
        message: `${node.address} is already the address of nodes[${sameAddress}]`,
      });
    else seenAddresses.set(node.address, i);
    if (lan && !contains(lan, node.address))
      mistakes.push({
        path: ["nodes", i, "address"],
        message: `${node.address} lies outside the LAN ${lan}; choose an address inside it, or another network.lan`,
      });
  }
  mistakes.push(
    ...runtimeMistakes(config),
    ...overlapMistakes(config),
    ...ipv6Mistakes(config),
    ...portRangeMistakes(config),
    ...apiServerMistakes(config),
    ...featureSwitchMistakes(config),
  );
  mistakes.push(...schedulerMistakes(config), ...storeMistakes(config.store), ...leaderElectionMistakes(config));
  return mistakes;
}

/** What runs no containers has no runtime; and containerd brings the pods' network with it. */
function runtimeMistakes({ nodes = [], containerRuntime, network }: ClusterConfig): { path: Path; message: string }[] {
  const mistakes: { path: Path; message: string }[] = [];
  for (const [i, node] of nodes.entries()) {
    if (node.containerRuntime && node.kind === "simulated")
      mistakes.push({
        path: ["nodes", i, "containerRuntime"],
        message: "a simulated node runs no containers; leave it out, or make the node's kind local",
      });
  }
  const path = [
    ...(containerRuntime === "containerd" ? [["containerRuntime"]] : []),
    ...nodes.flatMap((node, i) => (node.containerRuntime === "containerd" ? [["nodes", i, "containerRuntime"]] : [])),
  ][0];
  if (network?.cni && path)
    mistakes.push({ path, message: "containerd sets up its pods' network itself: it does not go with network.cni" });
  return mistakes;
}

/** As client-go's: who leads must have given up before another begins. */
function leaderElectionMistakes({ leaderElection }: ClusterConfig): { path: Path; message: string }[] {
  if (!leaderElection) return [];
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = leaderElectionMs(leaderElection);
  const at = (field: string, message: string) => [{ path: ["leaderElection", field], message }];
  if (leaseDurationMs <= renewDeadlineMs) return at("leaseDuration", "must be greater than renewDeadline");
  if (renewDeadlineMs <= retryPeriodMs * 1.2) return at("renewDeadline", "must be greater than 1.2 times retryPeriod");
  return [];
}

export function storeMistakes(store: StoreConfig | undefined): { path: Path; message: string }[] {
  if (!store) return [];
  const at = (field: string, message: string) => ({ path: ["store", field], message });
  const { engine, endpoints, caFile, certFile, keyFile } = store;
  if (engine !== "etcd") {
    const field = Object.keys(store).find((name) => name !== "engine");
    return field ? [at(field, `has a meaning only with engine: etcd, not with ${engine}`)] : [];
  }
  const mistakes = [];
  if (!endpoints?.length) mistakes.push(at("endpoints", "name at least one, such as https://127.0.0.1:2379"));
  if ((certFile === undefined) !== (keyFile === undefined))
    mistakes.push(at(certFile ? "certFile" : "keyFile", "certFile and keyFile go together"));
  const isPlain = endpoints?.some((endpoint) => endpoint.startsWith("http:"));
  if (isPlain && (caFile || certFile)) mistakes.push(at("endpoints", "certificates go with https: endpoints"));
  return mistakes;
}

/** In upstream's documents: expressions that do not compile, and fields that do not go together. */
function apiServerMistakes({ apiServer = {}, network }: ClusterConfig): { path: Path; message: string }[] {
  const at = FieldPath.root.child("apiServer");
  const { configuration, configurationFile } = apiServer.authentication ?? {};
  const errors = configuration
    ? authenticationConfigurationErrors(configuration, at.child("authentication", "configuration"), [
        `https://kubernetes.default.svc.${network?.dnsDomain ?? "cluster.local"}`,
      ])
    : [];
  const { authorization, authorizationFile } = apiServer;
  const twice = (path: Path) => ({ path: ["apiServer", ...path], message: "goes with no file beside it: keep one" });
  if (authorization) errors.push(...authorizationConfigurationErrors(authorization, at.child("authorization")));
  const selection = admissionSelectionErrors(apiServer.admission ?? {});
  return [
    ...(configuration && configurationFile ? [twice(["authentication", "configuration"])] : []),
    ...(authorization && authorizationFile ? [twice(["authorization"])] : []),
    ...errors.map(({ field, message }) => ({ path: pathOf(field), message })),
    ...selection.map((message) => ({ path: ["apiServer", "admission"], message })),
  ];
}

function schedulerMistakes({ scheduler }: ClusterConfig): { path: Path; message: string }[] {
  const profiles = scheduler?.profiles ?? [];
  const mistakes = profileMistakes(profiles).map(({ path, message }) => ({
    path: ["scheduler", "profiles", ...path],
    message,
  }));
  mistakes.push(
    ...extenderMistakes(scheduler?.extenders ?? []).map(({ path, message }) => ({
      path: ["scheduler", "extenders", ...path],
      message,
    })),
  );
  const { podInitialBackoffSeconds = 1, podMaxBackoffSeconds = 10 } = scheduler ?? {};
  if (podMaxBackoffSeconds < podInitialBackoffSeconds)
    mistakes.push({
      path: ["scheduler", "podMaxBackoffSeconds"],
      message: `must not be less than podInitialBackoffSeconds, which is ${podInitialBackoffSeconds}`,
    });
  if (mistakes.length > 0) return mistakes;
  const at = FieldPath.root.child("scheduler", "profiles");
  return profiles.flatMap(({ pluginConfig = [] }, i) =>
    pluginConfig.flatMap(({ name, args }, j) => {
      if (name !== "NodeAffinity") return [];
      const { addedAffinity } = args as NodeAffinityArgs;
      const path = at.index(i).child("pluginConfig").index(j).child("args", "addedAffinity");
      const errors = addedAffinity ? validAffinity({ nodeAffinity: addedAffinity }, path) : [];
      // Inside a Pod it would stand under that name.
      return errors.map(({ field, message }) => ({
        path: pathOf(field).filter((step) => step !== "nodeAffinity"),
        message,
      }));
    }),
  );
}

const defaultRanges = { podCIDR: "10.244.0.0/16", serviceCIDR: "10.96.0.0/16" };

function overlapMistakes(config: ClusterConfig): { path: Path; message: string }[] {
  const ranges = (["lan", "podCIDR", "serviceCIDR"] as const).flatMap((field) => {
    const text = config.network?.[field] ?? (field === "lan" ? lanOfNodes(config) : defaultRanges[field]);
    return text ? [{ field, text, given: config.network?.[field] !== undefined }] : [];
  });
  const mistakes: { path: Path; message: string }[] = [];
  for (const [i, later] of ranges.entries()) {
    for (const earlier of ranges.slice(0, i)) {
      if (!overlap(earlier.text, later.text)) continue;
      const [culprit, other] = later.given ? [later, earlier] : [earlier, later];
      mistakes.push({
        path: ["network", culprit.field],
        message: `${culprit.text} overlaps the ${other.field} ${other.text}${other.given ? "" : " (the default)"}; choose a range that does not`,
      });
    }
  }
  return mistakes;
}

/** The second family's ranges: IPv4 stays the first, and each must have room for what is carved out of it. */
function ipv6Mistakes({ network = {} }: ClusterConfig): { path: Path; message: string }[] {
  const { ipFamilies, ipv6 } = network;
  if (ipFamilies && ipFamilies[0] !== "IPv4")
    return [{ path: ["network", "ipFamilies"], message: "IPv4 comes first: write [IPv4] or [IPv4, IPv6]" }];
  if (!ipv6) return [];
  if (ipFamilies && !ipFamilies.includes("IPv6"))
    return [{ path: ["network", "ipv6"], message: "has a meaning only with ipFamilies: [IPv4, IPv6]" }];
  const at = (field: string, message: string) => ({ path: ["network", "ipv6", field], message });
  const mistakes: { path: Path; message: string }[] = [];
  const lengthOf = (text: string | undefined) => text && cidr(text).prefixLength;
  if (ipv6.lan && lengthOf(ipv6.lan) !== 64) mistakes.push(at("lan", `${ipv6.lan} is not a /64`));
  if (ipv6.podCIDR && Number(lengthOf(ipv6.podCIDR)) > 62)
    mistakes.push(at("podCIDR", `${ipv6.podCIDR} has no room for a /64 a node; choose a /56 or larger`));
  if (ipv6.serviceCIDR && Number(lengthOf(ipv6.serviceCIDR)) < 108)
    mistakes.push(at("serviceCIDR", `${ipv6.serviceCIDR} is too large; choose a /108 or smaller`));
  const ranges = Object.entries(ipv6);
  for (const [i, [field, text]] of ranges.entries()) {
    const other = ranges.slice(0, i).find(([, earlier]) => overlap(earlier, text));
    if (other) mistakes.push(at(field, `${text} overlaps the ${other[0]} ${other[1]}; choose a range that does not`));
  }
  return mistakes;
}

function portRangeMistakes(config: ClusterConfig): { path: Path; message: string }[] {
  const text = config.network?.nodePortRange;
  if (!text) return [];
  const [first = 0, last = 0] = text.split("-").map(Number);
  const path = ["network", "nodePortRange"];
  if (last > 65535 || first < 1) return [{ path, message: `${text} goes beyond the ports 1 to 65535` }];
  if (first > last) return [{ path, message: `${text} runs backwards; write ${last}-${first}` }];
  return [];
}

function contains(range: string, address: string): boolean {
  return cidrContains(cidr(range), ip(address));
}

function overlap(a: string, b: string): boolean {
  return cidrsOverlap(cidr(a), cidr(b));
}
