/** How `describe` shows Pods. */
import { age, rfc1123 } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import { controllerOf, type Describers, type Describing, fields, list, writeAnnotations } from "./describing.ts";
import { type ContainerStatus, type PodSpec, writeConstraints, writeContainers } from "./pod-template.ts";
import { podIndent, writeVolumes } from "./volumes.ts";

export const pods: Describers = { "/Pod": pod };

async function pod(object: Unstructured, { outline }: Describing) {
  const { metadata } = object;
  const spec = object["spec"] as PodSpec & { nodeName?: string; priority?: number; priorityClassName?: string };
  const status = fields(object["status"]);
  outline.field(0, "Name", metadata.name);
  outline.field(0, "Namespace", metadata.namespace);
  outline.field(0, "Priority", spec.priority ?? 0);
  if (spec.priorityClassName) outline.field(0, "Priority Class Name", spec.priorityClassName);
  if (spec["runtimeClassName"]) outline.field(0, "Runtime Class Name", spec["runtimeClassName"]);
  if (spec.serviceAccountName) outline.field(0, "Service Account", spec.serviceAccountName);
  outline.field(
    0,
    "Node",
    spec.nodeName ? `${spec.nodeName}/${(status["hostIP"] as string | undefined) ?? ""}` : "<none>",
  );
  if (status["startTime"]) outline.field(0, "Start Time", rfc1123(status["startTime"] as string));
  outline.map(0, "Labels", metadata.labels);
  writeAnnotations(outline, metadata.annotations);
  if (metadata.deletionTimestamp) {
    outline.field(
      0,
      "Status",
      `Terminating (lasts ${age(metadata.deletionTimestamp, Date.parse(metadata.deletionTimestamp))})`,
    );
    outline.field(0, "Termination Grace Period", `${String(metadata["deletionGracePeriodSeconds"] ?? 0)}s`);
  } else outline.field(0, "Status", status["phase"]);
  if (status["reason"]) outline.field(0, "Reason", status["reason"]);
  if (status["message"]) outline.field(0, "Message", status["message"]);
  const seccomp = fields(fields(spec["securityContext"])["seccompProfile"]);
  if (seccomp["type"]) outline.field(0, "SeccompProfile", seccomp["type"]);
  if (seccomp["type"] === "Localhost") outline.field(0, "LocalhostProfile", seccomp["localhostProfile"]);
  outline.field(0, "IP", status["podIP"]);
  const ips = list<{ ip: string }>(status["podIPs"]);
  outline.line(0, `IPs:${ips.length === 0 ? "\t<none>" : ""}`);
  for (const { ip } of ips) outline.field(1, "IP", ip);
  const controller = controllerOf(object);
  if (controller) outline.field(0, "Controlled By", controller);
  if (spec.initContainers?.length) {
    writeContainers(
      outline,
      podIndent,
      "Init Containers",
      spec.initContainers,
      list<ContainerStatus>(status["initContainerStatuses"]),
      object,
    );
  }
  writeContainers(
    outline,
    podIndent,
    "Containers",
    spec.containers,
    list<ContainerStatus>(status["containerStatuses"]),
    object,
  );
  if (spec.ephemeralContainers?.length) {
    writeContainers(
      outline,
      podIndent,
      "Ephemeral Containers",
      spec.ephemeralContainers,
      list<ContainerStatus>(status["ephemeralContainerStatuses"]),
      object,
    );
  }
  const conditions = list<{ type: string; status: string }>(status["conditions"]);
  const gates = list<{ conditionType: string }>(spec["readinessGates"]);
  if (gates.length > 0) outline.line(0, "Readiness Gates:\n  Type\tStatus");
  for (const { conditionType } of gates) {
    const met = conditions.find(({ type }) => type === conditionType)?.status ?? "<none>";
    outline.line(1, `${conditionType} \t${met} `);
  }
  if (conditions.length > 0) {
    outline.line(0, "Conditions:\n  Type\tStatus");
    for (const condition of conditions) outline.line(1, `${condition.type} \t${condition.status} `);
  }
  writeVolumes(outline, podIndent, spec.volumes);
  if (status["qosClass"]) outline.field(0, "QoS Class", status["qosClass"]);
  writeConstraints(outline, 0, spec);
}
