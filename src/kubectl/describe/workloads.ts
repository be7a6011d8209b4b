/** How `describe` shows what makes Pods: Deployments and the others. */
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { age, rfc1123 } from "../ages.ts";
import type { Api, Unstructured } from "../api.ts";
import { pathOf } from "../resource-catalog.ts";
import {
  controllerOf,
  type Describers,
  type Describing,
  fields,
  list,
  oneLine,
  orNone,
  selectorText,
  writeAnnotations,
} from "./describing.ts";
import { writePodTemplate } from "./pod-template.ts";

export const workloads: Describers = {
  "apps/Deployment": deployment,
  "apps/ReplicaSet": replicaSet,
  "/ReplicationController": replicationController,
  "apps/StatefulSet": statefulSet,
  "apps/DaemonSet": daemonSet,
  "batch/Job": job,
  "batch/CronJob": cronJob,
};

async function deployment(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  const status = fields(object["status"]) as Record<string, number | undefined>;
  const { metadata } = object;
  outline.field(0, "Name", metadata.name);
  outline.field(0, "Namespace", metadata.namespace);
  outline.field(0, "CreationTimestamp", rfc1123(metadata.creationTimestamp));
  outline.map(0, "Labels", metadata.labels);
  writeAnnotations(outline, metadata.annotations);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  const count = (name: string) => status[name] ?? 0;
  outline.field(
    0,
    "Replicas",
    `${spec["replicas"]} desired | ${count("updatedReplicas")} updated | ${count("replicas")} total | ${count("availableReplicas")} available | ${count("unavailableReplicas")} unavailable`,
  );
  const strategy = fields(spec["strategy"]);
  outline.field(0, "StrategyType", strategy["type"]);
  outline.field(0, "MinReadySeconds", spec["minReadySeconds"] ?? 0);
  const rolling = strategy["rollingUpdate"] as
    | { maxUnavailable: string | number; maxSurge: string | number }
    | undefined;
  if (rolling)
    outline.field(
      0,
      "RollingUpdateStrategy",
      `${rolling.maxUnavailable} max unavailable, ${rolling.maxSurge} max surge`,
    );
  writePodTemplate(outline, spec["template"]);
  const conditions = list<{ type: string; status: string; reason?: string }>(fields(object["status"])["conditions"]);
  if (conditions.length > 0) {
    outline.line(0, "Conditions:\n  Type\tStatus\tReason");
    outline.line(1, "----\t------\t------");
    for (const { type, status: value, reason = "" } of conditions) outline.line(1, `${type} \t${value}\t${reason}`);
  }
  const { items } = await api.get<{ items: Unstructured[] }>(
    pathOf({ group: "apps", version: "v1", plural: "replicasets" }, metadata.namespace),
  );
  const own = items.filter((set) =>
    set.metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === metadata.uid),
  );
  const revision = metadata.annotations?.[revisionAnnotation];
  const newest = own.find((set) => set.metadata.annotations?.[revisionAnnotation] === revision);
  const describe = (sets: readonly Unstructured[]) =>
    sets
      .map(
        (set) =>
          `${set.metadata.name} (${String(fields(set["status"])["replicas"] ?? 0)}/${String(fields(set["spec"])["replicas"] ?? 0)} replicas created)`,
      )
      .join(", ") || "<none>";
  outline.line(0, `OldReplicaSets:\t${describe(own.filter((set) => set !== newest))}`);
  outline.line(0, `NewReplicaSet:\t${describe(newest ? [newest] : [])}`);
}

const revisionAnnotation = "deployment.kubernetes.io/revision";

/** What owns pods by a template: their count by phase. */
async function podCounts(api: Api, { metadata, ...object }: Unstructured): Promise<string> {
  const selector = formatLabelSelector(fields(object["spec"])["selector"] as never);
  const path = pathOf({ group: "", version: "v1", plural: "pods" }, metadata.namespace);
  const { items } = await api.get<{ items: Unstructured[] }>(`${path}?labelSelector=${encodeURIComponent(selector)}`);
  const own = items.filter((item) =>
    item.metadata.ownerReferences?.some(({ uid, controller }) => controller && uid === metadata.uid),
  );
  const of = (phase: string) => own.filter((item) => fields(item["status"])["phase"] === phase).length;
  return `${of("Running")} Running / ${of("Pending")} Waiting / ${of("Succeeded")} Succeeded / ${of("Failed")} Failed`;
}

async function replicaSet(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  const controller = controllerOf(object);
  if (controller) outline.field(0, "Controlled By", controller);
  outline.field(
    0,
    "Replicas",
    `${String(fields(object["status"])["replicas"] ?? 0)} current / ${String(spec["replicas"])} desired`,
  );
  outline.field(0, "Pods Status", await podCounts(api, object));
  writePodTemplate(outline, spec["template"]);
}

async function statefulSet(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "CreationTimestamp", rfc1123(object.metadata.creationTimestamp));
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.field(
    0,
    "Replicas",
    `${String(spec["replicas"])} desired | ${String(fields(object["status"])["replicas"] ?? 0)} total`,
  );
  const strategy = fields(spec["updateStrategy"]);
  outline.field(0, "Update Strategy", strategy["type"]);
  const rolling = strategy["rollingUpdate"] as { partition?: number } | undefined;
  if (rolling?.partition !== undefined) outline.field(1, "Partition", rolling.partition);
  outline.field(0, "Pods Status", await podCounts(api, object));
  writePodTemplate(outline, spec["template"]);
  const claims = list<Unstructured>(spec["volumeClaimTemplates"]);
  outline.line(0, `Volume Claims:${claims.length === 0 ? "\t<none>" : ""}`);
  for (const claim of claims) {
    const claimSpec = fields(claim["spec"]);
    outline.field(1, "Name", claim.metadata.name);
    outline.field(1, "StorageClass", claimSpec["storageClassName"]);
    outline.map(1, "Labels", claim.metadata.labels);
    outline.map(1, "Annotations", claim.metadata.annotations);
    outline.field(1, "Capacity", orNone(fields(fields(claimSpec["resources"])["requests"])["storage"]));
    outline.field(1, "Access Modes", `[${list<string>(claimSpec["accessModes"]).join(" ")}]`);
  }
}

async function daemonSet(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  const status = fields(object["status"]) as Record<string, number | undefined>;
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(
    0,
    "Node-Selector",
    fields(fields(fields(spec["template"])["spec"])["nodeSelector"]) as Record<string, string>,
  );
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.line(0, `Desired Number of Nodes Scheduled: ${status["desiredNumberScheduled"] ?? 0}`);
  outline.line(0, `Current Number of Nodes Scheduled: ${status["currentNumberScheduled"] ?? 0}`);
  outline.line(0, `Number of Nodes Scheduled with Up-to-date Pods: ${status["updatedNumberScheduled"] ?? 0}`);
  outline.line(0, `Number of Nodes Scheduled with Available Pods: ${status["numberAvailable"] ?? 0}`);
  outline.line(0, `Number of Nodes Misscheduled: ${status["numberMisscheduled"] ?? 0}`);
  outline.field(0, "Pods Status", await podCounts(api, object));
  writePodTemplate(outline, spec["template"]);
}

async function job(object: Unstructured, { outline }: Describing) {
  const spec = fields(object["spec"]);
  const status = fields(object["status"]) as Record<string, unknown>;
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "Selector", selectorText(spec["selector"]));
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  const controller = controllerOf(object);
  if (controller) outline.field(0, "Controlled By", controller);
  outline.field(0, "Parallelism", spec["parallelism"] ?? "<unset>");
  outline.field(0, "Completions", spec["completions"] ?? "<unset>");
  outline.field(0, "Completion Mode", spec["completionMode"] ?? "<unset>");
  outline.field(0, "Suspend", spec["suspend"] === true);
  outline.field(0, "Backoff Limit", spec["backoffLimit"] ?? "<unset>");
  if (spec["ttlSecondsAfterFinished"] !== undefined)
    outline.field(0, "TTL Seconds After Finished", spec["ttlSecondsAfterFinished"]);
  if (status["startTime"]) outline.field(0, "Start Time", rfc1123(status["startTime"] as string));
  if (status["completionTime"]) outline.field(0, "Completed At", rfc1123(status["completionTime"] as string));
  if (status["startTime"] && status["completionTime"]) {
    outline.field(0, "Duration", age(status["startTime"] as string, Date.parse(status["completionTime"] as string)));
  }
  if (spec["activeDeadlineSeconds"] !== undefined)
    outline.field(0, "Active Deadline Seconds", `${String(spec["activeDeadlineSeconds"])}s`);
  const counts = `${String(status["active"] ?? 0)} Active${status["ready"] === undefined ? "" : ` (${String(status["ready"])} Ready)`}`;
  outline.field(
    0,
    "Pods Statuses",
    `${counts} / ${String(status["succeeded"] ?? 0)} Succeeded / ${String(status["failed"] ?? 0)} Failed`,
  );
  if (spec["completionMode"] === "Indexed")
    outline.field(0, "Completed Indexes", shortIndexes(status["completedIndexes"]));
  writePodTemplate(outline, spec["template"]);
}

/** As many as are told in fifty characters. */
function shortIndexes(indexes: unknown): string {
  const text = String(indexes ?? "") || "<none>";
  if (text.length <= 50) return text;
  const end = text.lastIndexOf(",", 50);
  return `${text.slice(0, end + 1)}...`;
}

async function cronJob(object: Unstructured, { outline }: Describing) {
  const spec = fields(object["spec"]);
  const jobSpec = fields(fields(spec["jobTemplate"])["spec"]);
  const seconds = (value: unknown) => (value === undefined ? "<unset>" : `${String(value)}s`);
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  outline.field(0, "Schedule", spec["schedule"]);
  outline.field(0, "Concurrency Policy", spec["concurrencyPolicy"]);
  outline.field(0, "Suspend", spec["suspend"] === true ? "True" : "False");
  outline.field(0, "Time Zone", spec["timeZone"] ?? "<unset>");
  outline.field(0, "Successful Job History Limit", spec["successfulJobsHistoryLimit"] ?? "<unset>");
  outline.field(0, "Failed Job History Limit", spec["failedJobsHistoryLimit"] ?? "<unset>");
  outline.field(0, "Starting Deadline Seconds", seconds(spec["startingDeadlineSeconds"]));
  outline.field(0, "Selector", jobSpec["selector"] ? selectorText(jobSpec["selector"]) : "<unset>");
  outline.field(0, "Parallelism", jobSpec["parallelism"] ?? "<unset>");
  outline.field(0, "Completions", jobSpec["completions"] ?? "<unset>");
  if (jobSpec["activeDeadlineSeconds"] !== undefined)
    outline.field(0, "Active Deadline Seconds", seconds(jobSpec["activeDeadlineSeconds"]));
  writePodTemplate(outline, jobSpec["template"]);
  const status = fields(object["status"]);
  const last = status["lastScheduleTime"] as string | undefined;
  outline.field(0, "Last Schedule Time", last ? rfc1123(last) : "<unset>");
  const active = list<{ name: string }>(status["active"]).map(({ name }) => name);
  outline.field(0, "Active Jobs", active.join(", ") || "<none>");
}

async function replicationController(object: Unstructured, { api, outline }: Describing) {
  const spec = fields(object["spec"]);
  const matchLabels = fields(spec["selector"]) as Record<string, string>;
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.field(0, "Selector", oneLine(matchLabels));
  outline.map(0, "Labels", object.metadata.labels);
  writeAnnotations(outline, object.metadata.annotations);
  const current = String(fields(object["status"])["replicas"] ?? 0);
  outline.field(0, "Replicas", `${current} current / ${String(spec["replicas"])} desired`);
  outline.field(0, "Pods Status", await podCounts(api, { ...object, spec: { selector: { matchLabels } } }));
  writePodTemplate(outline, spec["template"]);
}
