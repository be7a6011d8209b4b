/**
 * ResourceQuota: what would exceed a quota of its namespace is refused. What passes is added to the quota's `status.used` before
 * the object is written, so that requests at the same time cannot share the same room; requests that wait for one such write are
 * counted together by the next. The controller takes away what is gone, or what was never written after all.
 */
import type { PersistentVolumeClaim, Pod, ResourceQuota, Service } from "../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { ResourceQuotas } from "../../api/resources.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import { isConflict } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { Client } from "../../client/client.ts";
import {
  claimInScopes,
  claimUsage,
  countUsage,
  isScoped,
  podInScopes,
  podUsage,
  serviceUsage,
  type Usage,
} from "../../controller-runtime/quota-usage.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse } from "./refusal.ts";

type ReadQuota = DeepReadonly<ResourceQuota>;

interface Waiting {
  request: AdmissionRequest;
  usage: Usage;
  resolve(): void;
  reject(error: unknown): void;
}

/** Kinds whose updates can ask for more. */
const growing = new Set(["pods", "services", "persistentvolumeclaims"]);
/** Each loses only to a write that came about, so that somebody always gets on. */
const attempts = 20;

/** `client` writes quotas' status; asked for when the first request is counted. */
export function resourceQuota(objects: ObjectReader, client: () => Client): AdmissionPlugin {
  const queues = new Map<string, Waiting[]>();

  async function work(namespace: string, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) await settle(namespace, queue.splice(0));
    queues.delete(namespace);
  }

  async function settle(namespace: string, batch: readonly Waiting[]): Promise<void> {
    let open = batch;
    try {
      for (let attempt = 1; open.length > 0; attempt++) {
        const quotas: readonly ReadQuota[] = await objects.listNewest(ResourceQuotas, namespace);
        const { admitted, changed } = count(quotas, open);
        open = admitted;
        try {
          for (const [quota, used] of changed) {
            await client().updateStatus(ResourceQuotas, { ...quota, status: { ...quota.status, used } });
          }
          for (const { resolve } of admitted) resolve();
          return;
        } catch (error) {
          if (!isConflict(error) || attempt === attempts) throw error;
        }
      }
    } catch (error) {
      for (const { reject } of open) reject(error);
    }
  }

  return {
    name: "ResourceQuota",
    handles: ({ operation, subresource, namespace, definition }) =>
      namespace !== "" &&
      ((operation === "CREATE" && subresource === "") ||
        (operation === "UPDATE" &&
          definition.group === "" &&
          growing.has(definition.plural) &&
          (subresource === "" || subresource === "resize"))) &&
      !objects.hasNone(ResourceQuotas),
    async validate(request) {
      const usage = usageOf(request);
      if (usage.size === 0) return;
      const { namespace, dryRun } = request;
      const quotas: readonly ReadQuota[] = await objects.list(ResourceQuotas, namespace);
      if (!quotas.some((quota) => concerns(quota, request, usage).size > 0 || unspecified(quota, request))) return;
      await new Promise<void>((resolve, reject) => {
        const waiting: Waiting = { request, usage, resolve, reject };
        if (dryRun) {
          count(quotas, [waiting]).admitted.forEach(({ resolve }) => {
            resolve();
          });
          return;
        }
        const queue = queues.get(namespace);
        if (queue) queue.push(waiting);
        else {
          const fresh = [waiting];
          queues.set(namespace, fresh);
          void work(namespace, fresh);
        }
      });
    },
  };
}

/** Lets requests in one after the other, refusing those for which there is no room left. */
function count(quotas: readonly ReadQuota[], batch: readonly Waiting[]) {
  const used = new Map(quotas.map((quota) => [quota, { ...quota.status?.used }]));
  const changed = new Set<ReadQuota>();
  const admitted = batch.filter(({ request, usage, reject }) => {
    const wants = quotas.map((quota): [ReadQuota, Usage] => [quota, concerns(quota, request, usage)]);
    const additions = wants.filter(([, wanted]) => wanted.size > 0);
    // What cannot be counted is told before what is too much, whichever quota says it.
    let problem: string | undefined;
    for (const [quota, wanted] of wants) problem ??= whyUncountable(quota, used.get(quota)!, request, wanted);
    for (const [quota, wanted] of additions) problem ??= excessOver(quota, used.get(quota)!, wanted);
    if (problem) {
      reject(refuse(request, problem));
      return false;
    }
    for (const [quota, wanted] of additions) {
      const amounts = used.get(quota)!;
      for (const [name, amount] of wanted) amounts[name] = Quantity.parse(amounts[name]!).add(amount).toString();
      changed.add(quota);
    }
    return true;
  });
  return { admitted, changed: [...changed].map((quota) => [quota, used.get(quota)!] as const) };
}

/** What of the usage the quota limits; empty when it does not speak of the object. */
function concerns(quota: ReadQuota, request: AdmissionRequest, usage: Usage): Usage {
  const { hard = {} } = quota.spec ?? {};
  if (!isInScopes(quota, request)) return new Map();
  return new Map([...usage].filter(([name]) => hard[name] !== undefined));
}

function isInScopes(quota: ReadQuota, request: AdmissionRequest): boolean {
  const { definition, object } = request;
  if (isPod(request)) return podInScopes(quota, object as Pod);
  const isClaim = definition.group === "" && definition.plural === "persistentvolumeclaims";
  return isClaim ? claimInScopes(quota, object as PersistentVolumeClaim) : !isScoped(quota);
}

function isPod({ definition }: AdmissionRequest): boolean {
  return definition.group === "" && definition.plural === "pods";
}

function whyUncountable(
  quota: ReadQuota,
  used: Readonly<Record<string, string>>,
  request: AdmissionRequest,
  wanted: Usage,
): string | undefined {
  const { name } = quota.metadata;
  const missing = unspecified(quota, request);
  if (missing) return `failed quota: ${name}: must specify ${missing}`;
  const unknown = [...wanted.keys()].sort().filter((resource) => used[resource] === undefined);
  return unknown.length > 0 ? `status unknown for quota: ${name}, resources: ${unknown.join(",")}` : undefined;
}

function excessOver(quota: ReadQuota, used: Readonly<Record<string, string>>, wanted: Usage): string | undefined {
  const { name } = quota.metadata;
  const hard = quota.spec?.hard ?? {};
  const names = [...wanted.keys()].sort();
  const exceeded = names.filter(
    (resource) =>
      Quantity.parse(used[resource]!).add(wanted.get(resource)!).compare(Quantity.parse(hard[resource]!)) > 0,
  );
  if (exceeded.length === 0) return undefined;
  const list = (amount: (resource: string) => string) => exceeded.map((r) => `${r}=${amount(r)}`).join(",");
  const requested = list((resource) => wanted.get(resource)!.toString());
  return `exceeded quota: ${name}, requested: ${requested}, used: ${list((r) => used[r]!)}, limited: ${list((r) => hard[r]!)}`;
}

/** Where a quota limits CPU or memory, every container must say what it wants of it. */
function unspecified(quota: ReadQuota, request: AdmissionRequest): string {
  if (!isPod(request) || request.operation !== "CREATE" || !podInScopes(quota, request.object as Pod)) return "";
  const { spec } = request.object as Pod;
  const parts: string[] = [];
  for (const resource of Object.keys(quota.spec?.hard ?? {}).sort()) {
    const [, list, plain] = /^(?:(requests|limits)\.)?(cpu|memory)$/.exec(resource) ?? [];
    if (!plain) continue;
    const field = list === "limits" ? "limits" : "requests";
    if (spec.resources?.[field]?.[plain] !== undefined) continue;
    const lacking = [...spec.containers, ...(spec.initContainers ?? [])].filter(
      ({ resources }) => resources?.[field]?.[plain] === undefined,
    );
    if (lacking.length > 0) {
      const containers = lacking.map(({ name }) => name).sort();
      parts.push(`${resource} for: ${containers.join(",")}`);
    }
  }
  return parts.join("; ");
}

/** What the write asks for beyond what stands: of an update only what grows. */
function usageOf({ definition, operation, object, oldObject }: AdmissionRequest): Usage {
  const usage = objectUsage(definition, object as KubeObject);
  if (operation === "CREATE" || !oldObject) return usage;
  const before = objectUsage(definition, oldObject);
  const more: Usage = new Map();
  for (const [name, amount] of usage) {
    const difference = before.has(name) ? amount.subtract(before.get(name)!) : amount;
    if (difference.sign() > 0) more.set(name, difference);
  }
  return more;
}

function objectUsage(definition: AdmissionRequest["definition"], object: DeepReadonly<KubeObject>): Usage {
  if (definition.group === "") {
    // What is written under these names has these shapes.
    if (definition.plural === "pods") return podUsage(object as DeepReadonly<Pod>);
    if (definition.plural === "services") return serviceUsage(object as DeepReadonly<Service>);
    if (definition.plural === "persistentvolumeclaims")
      return claimUsage(object as DeepReadonly<PersistentVolumeClaim>);
  }
  return countUsage(definition);
}
