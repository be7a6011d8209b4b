/** How `describe` shows volumes: claims, PersistentVolumes and their classes. */
import { age, rfc1123 } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import {
  coreObjects,
  type Describers,
  type Describing,
  type Fields,
  fields,
  list,
  oneLine,
  writeAnnotations,
  writeHead,
} from "./describing.ts";
import type { PodSpec } from "./pod-template.ts";
import { writeSource } from "./volumes.ts";

export const storage: Describers = {
  "/PersistentVolumeClaim": persistentVolumeClaim,
  "/PersistentVolume": persistentVolume,
  "storage.k8s.io/StorageClass": storageClass,
  "storage.k8s.io/VolumeAttributesClass": volumeAttributesClass,
  "storage.k8s.io/CSINode": csiNode,
};

async function persistentVolumeClaim(object: Unstructured, { api, outline }: Describing) {
  const [spec, status] = [fields(object["spec"]), fields(object["status"])];
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "StorageClass", spec["storageClassName"]);
  outline.field(0, "Status", object.metadata.deletionTimestamp ? "Terminating" : status["phase"]);
  outline.field(0, "Volume", spec["volumeName"]);
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.field(0, "Finalizers", finalizersOf(object));
  outline.field(0, "Capacity", fields(status["capacity"])["storage"]);
  outline.field(0, "Access Modes", shortModes(status["accessModes"]));
  outline.field(0, "VolumeMode", spec["volumeMode"]);
  const source = spec["dataSource"] as Fields | undefined;
  if (source) {
    outline.line(0, "DataSource:");
    if (source["apiGroup"] !== undefined) outline.field(1, "APIGroup", source["apiGroup"]);
    outline.field(1, "Kind", source["kind"]);
    outline.field(1, "Name", source["name"]);
  }
  const pods = await coreObjects(api, "pods", object.metadata.namespace);
  const users = pods
    .filter((each) => claimsOf(each).includes(object.metadata.name))
    .map(({ metadata }) => metadata.name);
  for (const [i, name] of (users.length > 0 ? users : ["<none>"]).entries()) {
    outline.line(0, `${i === 0 ? "Used By:" : ""}\t${name}`);
  }
  const conditions = list<Record<string, string>>(status["conditions"]);
  if (conditions.length > 0) {
    outline.line(0, "Conditions:\n  Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage");
    outline.line(1, "----\t------\t-----------------\t------------------\t------\t-------");
    for (const { type, status: value, lastProbeTime, lastTransitionTime, reason = "", message = "" } of conditions) {
      const times = `${rfc1123(lastProbeTime)} \t${rfc1123(lastTransitionTime)}`;
      outline.line(1, `${type} \t${value} \t${times} \t${reason} \t${message}`);
    }
  }
}

/** An ephemeral volume's claim is named after its Pod. */
function claimsOf(pod: Unstructured): string[] {
  return ((pod["spec"] as PodSpec).volumes ?? []).flatMap((volume) => {
    if (volume["ephemeral"]) return [`${pod.metadata.name}-${volume.name}`];
    const claim = volume["persistentVolumeClaim"] as { claimName: string } | undefined;
    return claim ? [claim.claimName] : [];
  });
}

async function persistentVolume(object: Unstructured, { outline, nowMs }: Describing) {
  const [spec, status] = [fields(object["spec"]), fields(object["status"])];
  const claim = spec["claimRef"] as { namespace: string; name: string } | undefined;
  outline.field(0, "Name", object.metadata.name);
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.field(0, "Finalizers", finalizersOf(object));
  outline.field(0, "StorageClass", spec["storageClassName"]);
  const { deletionTimestamp } = object.metadata;
  const terminating = `Terminating (lasts ${age(deletionTimestamp, nowMs)})`;
  outline.field(0, "Status", deletionTimestamp ? terminating : status["phase"]);
  outline.field(0, "Claim", claim ? `${claim.namespace}/${claim.name}` : "");
  outline.field(0, "Reclaim Policy", spec["persistentVolumeReclaimPolicy"]);
  outline.field(0, "Access Modes", shortModes(spec["accessModes"]));
  if (spec["volumeMode"]) outline.field(0, "VolumeMode", spec["volumeMode"]);
  outline.field(0, "Capacity", fields(spec["capacity"])["storage"]);
  const required = fields(spec["nodeAffinity"])["required"];
  outline.line(0, `Node Affinity:\t${required ? "" : "<none>"}`);
  if (required) {
    const terms = list(fields(required)["nodeSelectorTerms"]);
    outline.line(1, `Required Terms:\t${terms.length === 0 ? "<none>" : ""}`);
    for (const [i, term] of terms.entries()) {
      for (const [j, text] of list(term["matchExpressions"]).map(requirementText).entries())
        outline.line(2, `${j === 0 ? `Term ${i}:` : ""}\t${text}`);
    }
  }
  outline.field(0, "Message", status["message"]);
  outline.line(0, "Source:");
  writeSource(outline, 2, spec);
}

function requirementText({ key, operator, values }: Fields): string {
  const list = (values as string[] | undefined) ?? [];
  return `${String(key)} ${String(operator).toLowerCase()}${list.length > 0 ? ` [${list.join(", ")}]` : ""}`;
}

const defaultClassAnnotations = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];

async function storageClass(object: Unstructured, { outline }: Describing) {
  const { name, annotations = {} } = object.metadata;
  const optional = (value: unknown) => (value === undefined ? "<unset>" : value === true ? "True" : "False");
  outline.field(0, "Name", name);
  outline.field(0, "IsDefaultClass", defaultClassAnnotations.some((key) => annotations[key] === "true") ? "Yes" : "No");
  outline.field(0, "Annotations", oneLine(annotations));
  outline.field(0, "Provisioner", object["provisioner"]);
  outline.field(0, "Parameters", oneLine(object["parameters"] as Record<string, string>));
  outline.field(0, "AllowVolumeExpansion", optional(object["allowVolumeExpansion"]));
  const options = list<string>(object["mountOptions"]);
  if (options.length === 0) outline.field(0, "MountOptions", "<none>");
  else outline.line(0, ["MountOptions:", ...options.map((option) => `  ${option}`)].join("\n"));
  if (object["reclaimPolicy"]) outline.field(0, "ReclaimPolicy", object["reclaimPolicy"]);
  if (object["volumeBindingMode"]) outline.field(0, "VolumeBindingMode", object["volumeBindingMode"]);
  const topologies = list(object["allowedTopologies"]);
  if (topologies.length > 0) outline.line(0, "AllowedTopologies:\t");
  for (const [i, topology] of topologies.entries()) {
    const lines = list<{ key: string; values: string[] }>(topology["matchLabelExpressions"]);
    for (const [j, { key, values }] of lines.entries())
      outline.line(1, `${j === 0 ? `Term ${i}:` : ""}\t${key} in [${values.join(", ")}]`);
  }
}

async function volumeAttributesClass(object: Unstructured, { outline }: Describing) {
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Annotations", oneLine(object.metadata.annotations));
  outline.field(0, "DriverName", object["driverName"]);
  outline.field(0, "Parameters", oneLine(object["parameters"] as Record<string, string>));
}

async function csiNode(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.field(0, "CreationTimestamp", rfc1123(object.metadata.creationTimestamp));
  outline.line(0, "Spec:");
  const drivers = list(fields(object["spec"])["drivers"]);
  if (drivers.length > 0) outline.line(1, "Drivers:");
  for (const { name, nodeID, allocatable, topologyKeys } of drivers) {
    outline.line(2, `${String(name)}:`);
    outline.field(3, "Node ID", nodeID);
    const count = fields(allocatable)["count"];
    if (count !== undefined) {
      outline.line(3, "Allocatables:");
      outline.field(4, "Count", count);
    }
    const keys = list<string>(topologyKeys);
    if (keys.length > 0) outline.field(3, "Topology Keys", `[${keys.join(" ")}]`);
  }
}

const finalizersOf = ({ metadata }: Unstructured): string => `[${list<string>(metadata["finalizers"]).join(" ")}]`;

const modes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};

const shortModes = (value: unknown): string =>
  list<string>(value)
    .map((mode) => modes[mode] ?? mode)
    .join(",");
