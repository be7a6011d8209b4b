import { expect, test } from "vitest";
import { ConfigError } from "./checked-document.ts";
import { parseConfig } from "./parse-config.ts";

const head = "apiVersion: pinnace.local/v1alpha1\nkind: Cluster\n";

async function complaint(text: string): Promise<string> {
  try {
    await parseConfig(text, "lab.yaml");
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "no complaint";
}

test("a complete file is understood", async () => {
  const config = await parseConfig(
    `${head}name: lab\nnodes:\n- name: myserver01\n  role: control-plane\n  address: 10.0.2.4\n- name: myserver02\nnetwork:\n  nodePortRange: 30000-31999\n`,
    "lab.yaml",
  );
  expect(config.nodes?.map((node) => node.name)).toEqual(["myserver01", "myserver02"]);
});

test.each([
  ["an unknown field", `${head}nodez: []\n`, 'lab.yaml:3: nodez: unknown field; did you mean "nodes"?'],
  [
    "a wrong address",
    `${head}nodes:\n- name: a\n  address: 10.0.2\n`,
    'lab.yaml:5: nodes[0].address: "10.0.2" is not valid: use an IPv4 address, such as "10.0.2.4"',
  ],
  [
    "a name used twice",
    `${head}nodes:\n- name: a\n- name: a\n`,
    'lab.yaml:5: nodes[1].name: "a" is already the name of nodes[0]',
  ],
  [
    "ranges that overlap",
    `${head}network:\n  podCIDR: 10.96.128.0/17\n`,
    "lab.yaml:4: network.podCIDR: 10.96.128.0/17 overlaps the serviceCIDR 10.96.0.0/16 (the default); choose a range that does not",
  ],
  [
    "an address outside the LAN",
    `${head}network:\n  lan: 10.0.2.0/24\nnodes:\n- name: a\n  address: 10.0.3.4\n`,
    "lab.yaml:7: nodes[0].address: 10.0.3.4 lies outside the LAN 10.0.2.0/24; choose an address inside it, or another network.lan",
  ],
  [
    "a port range that runs backwards",
    `${head}network: { nodePortRange: 32767-30000 }\n`,
    "lab.yaml:3: network.nodePortRange: 32767-30000 runs backwards; write 30000-32767",
  ],
  [
    "IPv6 as the first family",
    `${head}network: { ipFamilies: [IPv6, IPv4] }\n`,
    "lab.yaml:3: network.ipFamilies: IPv4 comes first: write [IPv4] or [IPv4, IPv6]",
  ],
  [
    "a range of IPv6 without room for nodes",
    `${head}network: { ipv6: { podCIDR: "fd00:1::/64" } }\n`,
    "lab.yaml:3: network.ipv6.podCIDR: fd00:1::/64 has no room for a /64 a node; choose a /56 or larger",
  ],
  [
    "a range of the other family",
    `${head}network: { ipv6: { lan: 10.0.0.0/24 } }\n`,
    'lab.yaml:3: network.ipv6.lan: "10.0.0.0/24" is not valid: use an IPv6 range, such as "fd00:0:2::/64"',
  ],
  [
    "a runtime for a node that runs no containers",
    `${head}nodes:\n- name: a\n  kind: simulated\n  containerRuntime: containerd\n`,
    "lab.yaml:6: nodes[0].containerRuntime: a simulated node runs no containers; leave it out, or make the node's kind local",
  ],
  [
    "containerd beside CNI plugins of one's own",
    `${head}containerRuntime: containerd\nnetwork: { cni: {} }\n`,
    "lab.yaml:3: containerRuntime: containerd sets up its pods' network itself: it does not go with network.cni",
  ],
  [
    "a runtime that nobody knows",
    `${head}containerRuntime: cri-o\n`,
    'lab.yaml:3: containerRuntime: "cri-o" is not one of pinnace, containerd',
  ],
  [
    "a list where a mapping belongs",
    "- 1\n",
    'lab.yaml:1: expected a mapping that begins with "apiVersion: pinnace.local/v1alpha1" and "kind: Cluster"',
  ],
  [
    "a scheduler plugin that is not there",
    `${head}scheduler:\n  profiles:\n  - schedulerName: packing\n    plugins:\n      score:\n        enabled:\n        - name: NodeAffinity\n        - name: Affinity\n`,
    'lab.yaml:10: scheduler.profiles[0].plugins.score.enabled[1].name: there is no plugin "Affinity"; known are DefaultBinder, DefaultPreemption, DynamicResources, ImageLocality, InterPodAffinity, NodeAffinity, NodeName, NodePorts, NodeResourcesBalancedAllocation, NodeResourcesFit, NodeUnschedulable, NodeVolumeLimits, PodTopologySpread, PrioritySort, SchedulingGates, TaintToleration, VolumeBinding, VolumeRestrictions, VolumeZone',
  ],
  [
    "a node affinity that cannot be",
    `${head}scheduler:\n  profiles:\n  - pluginConfig:\n    - name: NodeAffinity\n      args:\n        addedAffinity:\n          requiredDuringSchedulingIgnoredDuringExecution:\n            nodeSelectorTerms:\n            - matchExpressions:\n              - { key: disk, operator: Is }\n`,
    'lab.yaml:12: scheduler.profiles[0].pluginConfig[0].args.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
  ],
  ["a missing kind", "apiVersion: pinnace.local/v1alpha1\n", 'lab.yaml:1: "kind" is missing'],
])("%s is reported with its line and with what would be right", async (_, text, expected) => {
  expect(await complaint(text)).toBe(expected);
});

test("text that is not YAML is reported with its line", async () => {
  expect(await complaint(`${head}nodes: [\n`)).toMatch(/^lab\.yaml:\d+: /);
});
