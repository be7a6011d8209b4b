/** LimitRanger: containers that ask for nothing get their namespace's defaults; what asks for too much or too little is refused. */
import type {
  LimitRange,
  LimitRangeItem,
  PersistentVolumeClaim,
  Pod,
  ResourceRequirements,
} from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { LimitRanges } from "../../api/resources.ts";
import { Quantity } from "../../apimachinery/quantity.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

const annotation = "kubernetes.io/limit-ranger";
type Amounts = Readonly<Record<string, string>>;
type Item = DeepReadonly<LimitRangeItem>;

export function limitRanger(objects: ObjectReader): AdmissionPlugin {
  const itemsOf = async (request: AdmissionRequest): Promise<Item[]> => {
    const ranges: readonly DeepReadonly<LimitRange>[] = await objects.list(LimitRanges, request.namespace);
    return ranges.flatMap(({ spec }) => spec.limits ?? []);
  };
  return {
    name: "LimitRanger",
    handles: (request) =>
      (writes(request, "pods", "CREATE") || writes(request, "persistentvolumeclaims", "CREATE", "UPDATE")) &&
      !objects.hasNone(LimitRanges),
    async mutate(request) {
      if (request.definition.plural !== "pods") return;
      for (const item of await itemsOf(request)) {
        if (item.type === "Container") setDefaults(request.object as Pod, item);
      }
    },
    async validate(request) {
      const problems = (await itemsOf(request)).flatMap((item) =>
        request.definition.plural === "pods"
          ? podProblems(request.object as Pod, item)
          : claimProblems(request.object as PersistentVolumeClaim, item),
      );
      if (problems.length > 0) throw refuse(request, problems.length === 1 ? problems[0]! : `[${problems.join(", ")}]`);
    },
  };
}

function setDefaults(pod: Pod, item: Item): void {
  const notes: string[] = [];
  for (const [list, prefix] of [
    [pod.spec.initContainers ?? [], "init container"],
    [pod.spec.containers, "container"],
  ] as const) {
    for (const container of list) {
      container.resources ??= {};
      const requests = fill(container.resources, "requests", item.defaultRequest);
      const limits = fill(container.resources, "limits", item.default);
      if (requests) notes.push(`${requests} request for ${prefix} ${container.name}`);
      if (limits) notes.push(`${limits} limit for ${prefix} ${container.name}`);
    }
  }
  if (notes.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [annotation]: `LimitRanger plugin set: ${notes.join("; ")}`,
  };
}

/** The names that were set, as the annotation lists them. */
function fill(resources: ResourceRequirements, list: "requests" | "limits", defaults: Amounts | undefined): string {
  const missing = Object.keys(defaults ?? {}).filter((name) => resources[list]?.[name] === undefined);
  if (missing.length === 0) return "";
  resources[list] = { ...resources[list] };
  for (const name of missing) resources[list][name] = defaults![name]!;
  return missing.sort().join(", ");
}

function podProblems({ spec }: Pod, item: Item): string[] {
  if (item.type === "Container") {
    const containers = [...spec.containers, ...(spec.initContainers ?? [])];
    return containers.flatMap(({ resources }) => problemsOf(item, resources?.requests ?? {}, resources?.limits ?? {}));
  }
  if (item.type !== "Pod") return [];
  return problemsOf(item, totalOf(spec, "requests"), totalOf(spec, "limits"));
}

/** Containers run together, init containers before them one by one: the larger of the two counts. */
function totalOf({ containers, initContainers }: Pod["spec"], list: "requests" | "limits"): Amounts {
  const total = new Map<string, Quantity>();
  for (const { resources } of containers) {
    for (const [name, amount] of Object.entries(resources?.[list] ?? {})) {
      total.set(name, (total.get(name) ?? Quantity.zero).add(Quantity.parse(amount)));
    }
  }
  for (const { resources } of initContainers ?? []) {
    for (const [name, text] of Object.entries(resources?.[list] ?? {})) {
      const amount = Quantity.parse(text);
      if (amount.compare(total.get(name) ?? Quantity.zero) > 0) total.set(name, amount);
    }
  }
  return Object.fromEntries([...total].map(([name, amount]) => [name, amount.toString()]));
}

function claimProblems({ spec }: PersistentVolumeClaim, item: Item): string[] {
  if (item.type !== "PersistentVolumeClaim") return [];
  const { min, max } = item;
  const requests = spec.resources?.requests ?? {};
  return [
    ...constraint(min, (name, bound) => belowMinimum(item.type, name, bound, requests[name], undefined)),
    ...constraint(max, (name, bound) =>
      requests[name] !== undefined && less(bound, requests[name])
        ? `maximum ${name} usage per ${item.type} is ${bound}, but request is ${requests[name]}`
        : undefined,
    ),
  ];
}

function problemsOf(item: Item, requests: Amounts, limits: Amounts): string[] {
  return [
    ...constraint(item.min, (name, bound) => belowMinimum(item.type, name, bound, requests[name], limits[name])),
    ...constraint(item.max, (name, bound) => aboveMaximum(item.type, name, bound, requests[name], limits[name])),
    ...constraint(item.maxLimitRequestRatio, (name, bound) =>
      aboveRatio(item.type, name, bound, requests[name], limits[name]),
    ),
  ];
}

function constraint(bounds: Amounts | undefined, rule: (name: string, bound: string) => string | undefined): string[] {
  return Object.keys(bounds ?? {})
    .sort()
    .flatMap((name) => rule(name, bounds![name]!) ?? []);
}

const less = (a: string, b: string) => Quantity.parse(a).compare(Quantity.parse(b)) < 0;

function belowMinimum(
  type: string,
  name: string,
  bound: string,
  request: string | undefined,
  limit: string | undefined,
) {
  const rule = `minimum ${name} usage per ${type} is ${bound}`;
  if (request === undefined) return `${rule}.  No request is specified`;
  if (less(request, bound)) return `${rule}, but request is ${request}`;
  return limit !== undefined && less(limit, bound) ? `${rule}, but limit is ${limit}` : undefined;
}

function aboveMaximum(
  type: string,
  name: string,
  bound: string,
  request: string | undefined,
  limit: string | undefined,
) {
  const rule = `maximum ${name} usage per ${type} is ${bound}`;
  if (limit === undefined) return `${rule}.  No limit is specified`;
  if (less(bound, limit)) return `${rule}, but limit is ${limit}`;
  return request !== undefined && less(bound, request) ? `${rule}, but request is ${request}` : undefined;
}

function aboveRatio(type: string, name: string, bound: string, request: string | undefined, limit: string | undefined) {
  const rule = `${name} max limit to request ratio per ${type} is ${bound}`;
  if (request === undefined || Quantity.parse(request).isZero()) {
    return `${rule}, but no request is specified or request is 0`;
  }
  if (limit === undefined || Quantity.parse(limit).isZero()) return `${rule}, but no limit is specified or limit is 0`;
  const ratio = Quantity.parse(limit).toNumber() / Quantity.parse(request).toNumber();
  return ratio > Quantity.parse(bound).toNumber() ? `${rule}, but provided ratio is ${ratio.toFixed(6)}` : undefined;
}
