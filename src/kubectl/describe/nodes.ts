/** How `describe` shows Nodes. */
import { quantityMilliValue, quantityValue } from "../../apimachinery/quantity.ts";
import { age, rfc1123 } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import { pathOf } from "../resource-catalog.ts";
import { type Describers, type Describing, fields, list, writeAnnotations } from "./describing.ts";
import type { Outline } from "./outline.ts";
import type { PodSpec } from "./pod-template.ts";

export const nodes: Describers = { "/Node": node };

async function node(object: Unstructured, { api, outline, nowMs }: Describing) {
  const { metadata } = object;
  const [spec, status] = [fields(object["spec"]), fields(object["status"])];
  const roles = Object.keys(metadata.labels ?? {}).flatMap((label) =>
    label.startsWith("node-role.kubernetes.io/") ? [label.split("/")[1]!] : [],
  );
  outline.field(0, "Name", metadata.name);
  outline.field(0, "Roles", roles.sort().join(",") || "<none>");
  outline.map(0, "Labels", metadata.labels);
  writeAnnotations(outline, metadata.annotations);
  outline.field(0, "CreationTimestamp", rfc1123(metadata.creationTimestamp));
  const taints = list<{ key: string; value?: string; effect: string }>(spec["taints"]).map(
    ({ key, value, effect }) => `${key}${value ? `=${value}` : ""}:${effect}`,
  );
  for (const [i, taint] of (taints.length > 0 ? taints : ["<none>"]).entries())
    outline.line(0, `${i === 0 ? "Taints:" : ""}\t${taint}`);
  outline.field(0, "Unschedulable", spec["unschedulable"] === true);
  const lease = await api
    .get(pathOf({ group: "coordination.k8s.io", version: "v1", plural: "leases" }, "kube-node-lease", metadata.name))
    .catch(() => undefined);
  outline.line(0, "Lease:");
  const leaseSpec = fields(lease?.["spec"]);
  outline.field(1, "HolderIdentity", leaseSpec["holderIdentity"] ?? "<unset>");
  outline.field(1, "AcquireTime", rfc1123(leaseSpec["acquireTime"] as string | undefined));
  outline.field(1, "RenewTime", rfc1123(leaseSpec["renewTime"] as string | undefined));
  const conditions = list<Record<string, string>>(status["conditions"]);
  if (conditions.length > 0) {
    outline.line(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage");
    outline.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for (const {
      type,
      status: value,
      lastHeartbeatTime,
      lastTransitionTime,
      reason = "",
      message = "",
    } of conditions) {
      outline.line(
        1,
        `${type} \t${value} \t${rfc1123(lastHeartbeatTime)} \t${rfc1123(lastTransitionTime)} \t${reason} \t${message}`,
      );
    }
  }
  outline.line(0, "Addresses:");
  for (const { type, address } of list<{ type: string; address: string }>(status["addresses"]))
    outline.field(1, type, address);
  for (const title of ["Capacity", "Allocatable"]) {
    const amounts = fields(status[title.toLowerCase()]);
    outline.line(0, `${title}:`);
    for (const name of Object.keys(amounts).sort()) outline.field(1, name, amounts[name]);
  }
  const info = fields(status["nodeInfo"]);
  outline.line(0, "System Info:");
  for (const [title, field] of systemInfo) outline.field(1, title, info[field]);
  if (spec["podCIDR"]) outline.field(0, "PodCIDR", spec["podCIDR"]);
  if (list(spec["podCIDRs"]).length > 0) outline.field(0, "PodCIDRs", list<string>(spec["podCIDRs"]).join(","));
  if (spec["providerID"]) outline.field(0, "ProviderID", spec["providerID"]);
  const path = pathOf({ group: "", version: "v1", plural: "pods" }, undefined);
  const selector = encodeURIComponent(`spec.nodeName=${metadata.name},status.phase!=Failed,status.phase!=Succeeded`);
  const { items } = await api.get<{ items: Unstructured[] }>(`${path}?fieldSelector=${selector}`);
  writeNodePods(outline, items, fields(status["allocatable"]) as Record<string, string>, nowMs);
}

const systemInfo = [
  ["Machine ID", "machineID"],
  ["System UUID", "systemUUID"],
  ["Boot ID", "bootID"],
  ["Kernel Version", "kernelVersion"],
  ["OS Image", "osImage"],
  ["Operating System", "operatingSystem"],
  ["Architecture", "architecture"],
  ["Container Runtime Version", "containerRuntimeVersion"],
  ["Kubelet Version", "kubeletVersion"],
] as const;

type Amounts = Record<"requests" | "limits", Record<string, number>>;

/** Of a whole pod, in units (memory) and thousandths (cpu); init containers count where they are larger. */
function amountsOf(object: Unstructured): Amounts {
  const spec = object["spec"] as PodSpec;
  const amountOf = (name: string, text: string) => (name === "cpu" ? quantityMilliValue(text) : quantityValue(text));
  const of = (which: "requests" | "limits") => {
    const sums: Record<string, number> = {};
    for (const { resources } of spec.containers) {
      for (const [name, text] of Object.entries(resources?.[which] ?? {}))
        sums[name] = (sums[name] ?? 0) + amountOf(name, text);
    }
    for (const { resources } of spec.initContainers ?? []) {
      for (const [name, text] of Object.entries(resources?.[which] ?? {}))
        sums[name] = Math.max(sums[name] ?? 0, amountOf(name, text));
    }
    return sums;
  };
  return { requests: of("requests"), limits: of("limits") };
}

function writeNodePods(
  outline: Outline,
  pods: readonly Unstructured[],
  allocatable: Record<string, string>,
  nowMs: number,
): void {
  const total: Amounts = { requests: {}, limits: {} };
  const show = (name: string, value: number) => {
    const text = name === "cpu" ? (value % 1000 === 0 ? String(value / 1000) : `${value}m`) : binary(value);
    const whole = name === "cpu" ? quantityMilliValue(allocatable[name]) : quantityValue(allocatable[name]);
    return `${text} (${whole > 0 ? Math.trunc((value / whole) * 100) : 0}%)`;
  };
  outline.line(0, `Non-terminated Pods:\t(${pods.length} in total)`);
  outline.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
  outline.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
  for (const each of pods) {
    const amounts = amountsOf(each);
    for (const which of ["requests", "limits"] as const) {
      for (const [name, value] of Object.entries(amounts[which]))
        total[which][name] = (total[which][name] ?? 0) + value;
    }
    const cells = [
      show("cpu", amounts.requests["cpu"] ?? 0),
      show("cpu", amounts.limits["cpu"] ?? 0),
      show("memory", amounts.requests["memory"] ?? 0),
      show("memory", amounts.limits["memory"] ?? 0),
    ];
    outline.line(
      1,
      `${each.metadata.namespace}\t${each.metadata.name}\t\t${cells.join("\t")}\t${age(each.metadata.creationTimestamp, nowMs)}`,
    );
  }
  outline.line(
    0,
    "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n  Resource\tRequests\tLimits",
  );
  outline.line(1, "--------\t--------\t------");
  const names = [
    "cpu",
    "memory",
    "ephemeral-storage",
    ...Object.keys(allocatable)
      .filter((name) => name.startsWith("hugepages-"))
      .sort(),
  ];
  for (const name of names) {
    outline.line(1, `${name}\t${show(name, total.requests[name] ?? 0)}\t${show(name, total.limits[name] ?? 0)}`);
  }
}

/** The largest binary unit that leaves a whole number. */
function binary(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value > 0 && value % 1024 === 0 && unit < 4) {
    value /= 1024;
    unit++;
  }
  return `${value}${["", "Ki", "Mi", "Gi", "Ti"][unit]}`;
}
