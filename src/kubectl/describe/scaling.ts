/** How `describe` shows HorizontalPodAutoscalers, PodDisruptionBudgets and PriorityClasses. */
import { rfc1123 } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import {
  type Describers,
  type Describing,
  type Fields,
  fields,
  list,
  oneLine,
  selectorText,
  writeHead,
} from "./describing.ts";
import type { Outline } from "./outline.ts";

export const scaling: Describers = {
  "autoscaling/HorizontalPodAutoscaler": autoscaler,
  "policy/PodDisruptionBudget": disruptionBudget,
  "scheduling.k8s.io/PriorityClass": priorityClass,
};

interface Target {
  type: string;
  value?: string;
  averageValue?: string;
  averageUtilization?: number;
}

async function autoscaler(object: Unstructured, { outline }: Describing) {
  const [spec, status] = [fields(object["spec"]), fields(object["status"])];
  const reference = fields(spec["scaleTargetRef"]);
  writeHead(outline, object);
  outline.field(0, "CreationTimestamp", rfc1123(object.metadata.creationTimestamp));
  outline.field(0, "Reference", `${String(reference["kind"])}/${String(reference["name"])}`);
  outline.line(0, "Metrics:\t( current / target )");
  const current = list(status["currentMetrics"]);
  for (const [i, metric] of list(spec["metrics"]).entries())
    outline.line(1, metricText(metric, current[i]?.["type"] === metric["type"] ? current[i] : undefined));
  outline.field(0, "Min replicas", spec["minReplicas"] ?? "<unset>");
  outline.field(0, "Max replicas", spec["maxReplicas"]);
  if (spec["behavior"]) {
    outline.line(0, "Behavior:");
    writeScalingRules(outline, "Scale Up", fields(spec["behavior"])["scaleUp"]);
    writeScalingRules(outline, "Scale Down", fields(spec["behavior"])["scaleDown"]);
  }
  outline.line(
    0,
    `${String(reference["kind"])} pods:\t${String(status["currentReplicas"] ?? 0)} current / ${String(status["desiredReplicas"] ?? 0)} desired`,
  );
  const conditions = list<Record<string, string>>(status["conditions"]);
  if (conditions.length === 0) return;
  outline.line(0, "Conditions:\n  Type\tStatus\tReason\tMessage\n  ----\t------\t------\t-------");
  for (const { type, status: value, reason = "", message = "" } of conditions)
    outline.line(1, `${type}\t${value}\t${reason}\t${message}`);
}

/** `resource cpu on pods  (as a percentage of request):` and, after a tab, `20% (20m) / 60%`. */
function metricText(metric: Fields, status: Fields | undefined): string {
  const part = (metric["type"] as string).replace(/^./, (first) => first.toLowerCase());
  const source = fields(metric[part]);
  const now = fields(fields(status?.[part])["current"]) as Partial<Target>;
  const target = source["target"] as Target;
  const name = String(source["name"] ?? fields(source["metric"])["name"]);
  const average = target.averageValue !== undefined;
  const values = average
    ? `${now.averageValue ?? "<unknown>"} / ${target.averageValue}`
    : `${now.value ?? "<unknown>"} / ${target.value}`;
  switch (metric["type"]) {
    case "Resource":
    case "ContainerResource": {
      const where = metric["type"] === "Resource" ? "" : ` of container ${JSON.stringify(source["container"])}`;
      if (average) return `resource ${name}${where} on pods:\t${values}`;
      const used =
        now.averageUtilization === undefined ? "<unknown>" : `${now.averageUtilization}% (${now.averageValue ?? ""})`;
      return `resource ${name}${where} on pods  (as a percentage of request):\t${used} / ${target.averageUtilization}%`;
    }
    case "Pods":
      return `${JSON.stringify(name)} on pods:\t${values}`;
    case "Object": {
      const { kind, name: described } = fields(source["describedObject"]);
      const what = average ? "target average value" : "target value";
      return `${JSON.stringify(name)} on ${String(kind)}/${String(described)} (${what}):\t${values}`;
    }
    case "External":
      return `${JSON.stringify(name)} (${average ? "target average value" : "target value"}):\t${values}`;
    default:
      return `<unknown metric type ${JSON.stringify(metric["type"])}>`;
  }
}

function writeScalingRules(outline: Outline, title: string, rules: unknown): void {
  if (!rules) return;
  const { stabilizationWindowSeconds, selectPolicy, policies } = fields(rules);
  outline.line(1, `${title}:`);
  if (stabilizationWindowSeconds !== undefined && stabilizationWindowSeconds !== null)
    outline.line(2, `Stabilization Window: ${String(stabilizationWindowSeconds)} seconds`);
  outline.line(2, `Select Policy: ${String(selectPolicy ?? "Max")}`);
  const all = list<{ type: string; value: number; periodSeconds: number }>(policies);
  if (all.length > 0) outline.line(2, "Policies:");
  for (const { type, value, periodSeconds } of all)
    outline.line(3, `- Type: ${type}\tValue: ${value}\tPeriod: ${periodSeconds} seconds`);
}

async function disruptionBudget(object: Unstructured, { outline }: Describing) {
  const [spec, status] = [fields(object["spec"]), fields(object["status"])];
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  if (spec["minAvailable"] !== undefined) outline.field(0, "Min available", String(spec["minAvailable"]));
  else if (spec["maxUnavailable"] !== undefined) outline.field(0, "Max unavailable", String(spec["maxUnavailable"]));
  outline.field(0, "Selector", spec["selector"] ? selectorText(spec["selector"]) : "<unset>");
  outline.line(0, "Status:");
  outline.field(2, "Allowed disruptions", status["disruptionsAllowed"] ?? 0);
  outline.field(2, "Current", status["currentHealthy"] ?? 0);
  outline.field(2, "Desired", status["desiredHealthy"] ?? 0);
  outline.field(2, "Total", status["expectedPods"] ?? 0);
}

async function priorityClass(object: Unstructured, { outline }: Describing) {
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Value", object["value"]);
  outline.field(0, "GlobalDefault", object["globalDefault"] === true);
  outline.field(0, "PreemptionPolicy", object["preemptionPolicy"]);
  outline.field(0, "Description", object["description"]);
  outline.field(0, "Annotations", oneLine(object.metadata.annotations));
}
