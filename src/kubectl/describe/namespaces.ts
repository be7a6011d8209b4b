/** How `describe` shows Namespaces, and the quotas and limits in them. */
import type { Unstructured } from "../api.ts";
import { coreObjects, type Describers, type Describing, fields, list, writeHead } from "./describing.ts";
import type { Outline } from "./outline.ts";

export const namespaces: Describers = {
  "/Namespace": namespace,
  "/ResourceQuota": resourceQuota,
  "/LimitRange": limitRange,
};

async function namespace(object: Unstructured, { api, outline }: Describing) {
  writeHead(outline, object);
  outline.field(0, "Status", fields(object["status"])["phase"]);
  const { name } = object.metadata;
  const [quotas, limits] = await Promise.all([
    coreObjects(api, "resourcequotas", name),
    coreObjects(api, "limitranges", name),
  ]);
  if (quotas.length === 0) outline.line(0, "\nNo resource quota.");
  else {
    outline.line(0, "\nResource Quotas");
    for (const quota of quotas) writeQuotaOfNamespace(outline, quota);
  }
  if (limits.length === 0) outline.line(0, "\nNo LimitRange resource.");
  else {
    outline.line(0, `\nResource Limits\n ${limitHeadings.join("\t")}`);
    outline.line(0, " ----\t--------\t---\t---\t---------------\t-------------\t-----------------------");
    for (const limit of limits) for (const row of limitRows(limit)) outline.line(0, ` ${row.join("\t")}`);
  }
}

const scopeTexts: Readonly<Record<string, string>> = {
  Terminating:
    "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.",
  NotTerminating:
    "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.",
  BestEffort:
    "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.",
  NotBestEffort:
    "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.",
};

function writeQuotaOfNamespace(outline: Outline, quota: Unstructured): void {
  outline.line(1, `Name:\t${quota.metadata.name}`);
  const scopes = list<string>(fields(quota["spec"])["scopes"]).sort();
  if (scopes.length > 0) {
    outline.line(1, `Scopes:\t${scopes.join(", ")}`);
    for (const scope of scopes) if (scopeTexts[scope]) outline.line(1, `* ${scopeTexts[scope]}`);
  }
  outline.line(1, "Resource\tUsed\tHard");
  outline.line(1, "--------\t---\t---");
  for (const row of quotaRows(quota)) outline.line(1, row);
}

async function resourceQuota(object: Unstructured, { outline }: Describing) {
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  const scopes = list<string>(fields(object["spec"])["scopes"]).sort();
  if (scopes.length > 0) {
    outline.field(0, "Scopes", scopes.join(", "));
    for (const scope of scopes) if (scopeTexts[scope]) outline.line(0, ` * ${scopeTexts[scope]}`);
  }
  outline.line(0, "Resource\tUsed\tHard\n--------\t----\t----");
  for (const row of quotaRows(object)) outline.line(0, row);
}

function quotaRows(quota: Unstructured): string[] {
  const status = fields(quota["status"]);
  const [hard, used] = [fields(status["hard"]), fields(status["used"])];
  return Object.keys(hard)
    .sort()
    .map((name) => `${name}\t${String(used[name] ?? 0)}\t${String(hard[name])}`);
}

const limitHeadings = ["Type", "Resource", "Min", "Max", "Default Request", "Default Limit", "Max Limit/Request Ratio"];

async function limitRange(object: Unstructured, { outline }: Describing) {
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Namespace", object.metadata.namespace);
  outline.line(0, limitHeadings.join("\t"));
  outline.line(0, limitHeadings.map((heading) => "-".repeat(heading.length)).join("\t"));
  for (const row of limitRows(object)) outline.line(0, row.join("\t"));
}

function limitRows(limit: Unstructured): string[][] {
  return list(fields(limit["spec"])["limits"]).flatMap((item) => {
    const of = (field: string) => fields(item[field]) as Record<string, string>;
    const names = new Set(
      ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"].flatMap((field) => Object.keys(of(field))),
    );
    return [...names].map((name) => [
      String(item["type"]),
      name,
      ...["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"].map((field) => of(field)[name] ?? "-"),
    ]);
  });
}
