/** Nodes: the machines that run pods. */
import type { Node } from "../../api/core/v1.ts";
import { spec as specPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, none, text, unknown, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { cidrWarnings } from "../validation/ip.ts";
import { validateNode, validateNodeChange } from "./node-validation.ts";
import { canonicalizeResourceList } from "./resource-list.ts";

const rolePrefix = "node-role.kubernetes.io/";
const roleLabel = "kubernetes.io/role";

export const nodes = defineResource<Node>({
  ...served("v1", "nodes"),
  metadataLooks: { update: ["whole", "change"] },
  createsWithStatus: true,
  warnings: ({ spec }) => [
    ...(spec?.configSource ? ["spec.configSource: the feature is removed"] : []),
    ...(spec?.externalID ? ["spec.externalID: this field is deprecated, and is unused by Kubernetes"] : []),
    ...(spec?.podCIDRs ?? []).flatMap((block, index) => cidrWarnings(block, specPath.child("podCIDRs").index(index))),
  ],
  defaults(node) {
    node.status ??= {};
    canonicalizeResourceList(node.status.capacity);
    canonicalizeResourceList(node.status.allocatable);
    mirrorPodCidr(node);
  },
  beforeUpdate() {},
  validate: validateNode,
  validateStatus: validateNodeChange,
  fieldSelectors: { "spec.unschedulable": (node) => String(node.spec?.unschedulable ?? false) },
  columns: [
    name,
    text("Status", statusText),
    text("Roles", (node) => rolesOf(node).join(",") || none),
    age,
    text("Version", (node) => node.status?.nodeInfo?.kubeletVersion ?? ""),
    wide(text("Internal-IP", (node) => addressOf(node, "InternalIP"))),
    wide(text("External-IP", (node) => addressOf(node, "ExternalIP"))),
    wide(text("OS-Image", (node) => node.status?.nodeInfo?.osImage || unknown)),
    wide(text("Kernel-Version", (node) => node.status?.nodeInfo?.kernelVersion || unknown)),
    wide(text("Container-Runtime", (node) => node.status?.nodeInfo?.containerRuntimeVersion || unknown)),
  ],
});

/** podCIDR is the first of podCIDRs. */
function mirrorPodCidr({ spec }: Node): void {
  if (!spec) return;
  if (spec.podCIDR && spec.podCIDR !== spec.podCIDRs?.[0]) spec.podCIDRs = [spec.podCIDR];
  else if (spec.podCIDRs?.length) spec.podCIDR = spec.podCIDRs[0]!;
}

function statusText(node: Node): string {
  const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
  const words = [ready ? (ready.status === "True" ? "Ready" : "NotReady") : "Unknown"];
  if (node.spec?.unschedulable) words.push("SchedulingDisabled");
  return words.join(",");
}

function rolesOf(node: Node): string[] {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === roleLabel && value) roles.add(value);
  }
  return [...roles].sort();
}

function addressOf(node: Node, type: string): string {
  return node.status?.addresses?.find((address) => address.type === type)?.address || none;
}
