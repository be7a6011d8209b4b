/** `kubectl scale` and `kubectl autoscale`. */

import { canonicalQuantity, quantityProblem } from "../../apimachinery/quantity.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError, nameless } from "../command-error.ts";
import { createObject, saveConfigFlag } from "../creating.ts";
import type { FlagValues } from "../flags.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { type ApiResource, apiVersionOf, pathOf, type ResourceCatalog } from "../resource-catalog.ts";
import type { Session } from "../session.ts";
import { fetchTargets, selectorFlags, type Target, targetsOf } from "../targets.ts";
import { dryRunOf, reportWritten, writeFlags, writeQuery } from "../writing.ts";

interface Scale {
  metadata: Unstructured["metadata"];
  spec: { replicas?: number };
}

export const scale: Command = {
  summary: "Set a new size for a deployment, replica set, or replication controller",
  usage: "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
  examples: ["scale deploy web --replicas=3", "scale --current-replicas=2 --replicas=3 deployment/web"],
  flags: [
    ...manifestFlags,
    ...writeFlags("kubectl-scale").filter(({ name }) => name !== "field-manager"),
    selectorFlags[0]!,
    { name: "replicas", kind: "int", help: "how many there should be" },
    { name: "current-replicas", kind: "int", default: -1, help: "only if there are this many" },
    { name: "resource-version", kind: "string", help: "only if the object is at this version" },
    { name: "all", kind: "bool", help: "all objects of the kind" },
    { name: "timeout", kind: "duration", default: "0s", help: "how long to wait for the pods" },
  ],
  async run({ session, flags, args }) {
    if (!flags.has("replicas")) throw new CommandError('required flag(s) "replicas" not set');
    const replicas = flags.number("replicas");
    if (replicas < 0)
      throw new CommandError("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0");
    const api = await session.api();
    const targets = await targetsOf(session, flags, args);
    const scaleOne = async ({ target, object }: Scaled): Promise<void> => {
      const { resource, namespace, name } = target;
      if (name === "") throw nameless();
      if (!resource.subresources.includes("scale")) {
        throw new StatusError(404, "NotFound", "the server could not find the requested resource");
      }
      const path = pathOf(resource, namespace, name, "scale");
      const present = await api.get<Scale>(path);
      const expected = flags.number("current-replicas");
      if (expected >= 0 && (present.spec.replicas ?? 0) !== expected) {
        throw new CommandError(`Expected replicas to be ${expected}, was ${present.spec.replicas ?? 0}`);
      }
      const version = flags.string("resource-version");
      if (version && present.metadata.resourceVersion !== version) {
        throw new CommandError(`Expected resource version to be ${version}, was ${present.metadata.resourceVersion}`);
      }
      if (dryRunOf(flags) !== "client") {
        await api.call("PATCH", path + writeQuery(flags), {
          body: { spec: { replicas } },
          contentType: "application/merge-patch+json",
        });
      }
      await reportWritten(session, flags, resource, object, "scaled");
    };
    for (const each of await objectsOf(session, flags, targets)) await session.attempt(() => scaleOne(each));
    return 0;
  },
};

export const autoscale: Command = {
  summary: "Auto-scale a deployment, replica set, stateful set, or replication controller",
  usage: "(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu=CPU] [--memory=MEMORY] [flags]",
  examples: [
    "autoscale deployment web --min=2 --max=10 --cpu=80%",
    "autoscale deployment web --max=10 --cpu=80% --memory=500Mi",
  ],
  flags: [
    ...manifestFlags,
    ...writeFlags("kubectl-autoscale"),
    { name: "min", kind: "int", default: -1, help: "fewest pods" },
    { name: "max", kind: "int", default: -1, help: "most pods" },
    {
      name: "cpu-percent",
      kind: "int",
      default: -1,
      help: "the share of the request that pods should use",
      deprecated:
        "Use --cpu with percentage or resource quantity format (e.g., '70%' for utilization or '500m' for milliCPU).",
    },
    { name: "cpu", kind: "string", help: "what pods should use: 80% of the request, or 500m each" },
    { name: "memory", kind: "string", help: "the same for memory: 80%, or 500Mi each" },
    { name: "name", kind: "string", help: "the autoscaler's name; by default that of what it scales" },
    saveConfigFlag,
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (!flags.has("max")) throw new CommandError('required flag(s) "max" not set');
    const [min, max] = [flags.number("min"), flags.number("max")];
    if (max < 1) throw new CommandError(`--max=MAXPODS is required and must be at least 1, max: ${max}`);
    if (max < min) {
      throw new CommandError(`--max=MAXPODS must be larger or equal to --min=MINPODS, max: ${max}, min: ${min}`);
    }
    const percent = flags.number("cpu-percent");
    if (percent >= 0 && flags.string("cpu")) throw new CommandError("--cpu-percent and --cpu are mutually exclusive");
    const cpu = percent >= 0 ? `${percent}%` : flags.string("cpu");
    const metrics = [metricOf("cpu", cpu, "m"), metricOf("memory", flags.string("memory"), "Mi")].filter(
      (metric) => metric !== undefined,
    );
    const targets = await targetsOf(session, flags, args);
    const scaleItself = async ({ target }: Scaled): Promise<void> => {
      const { resource } = target;
      const catalog = await session.catalogWith((known) => scalable(known, resource));
      if (!scalable(catalog, resource)) {
        throw new CommandError(
          `cannot autoscale a ${resource.kind}: could not find scale subresource for ${resource.group}/${resource.version}, Resource=${resource.plural} in discovery information`,
        );
      }
      const autoscaler: Unstructured = {
        apiVersion: "autoscaling/v2",
        kind: "HorizontalPodAutoscaler",
        metadata: { name: flags.string("name") || target.name! },
        spec: {
          maxReplicas: max,
          ...(metrics.length > 0 ? { metrics } : {}),
          ...(min > 0 ? { minReplicas: min } : {}),
          scaleTargetRef: { apiVersion: apiVersionOf(resource), kind: resource.kind, name: target.name },
        },
      };
      await createObject(invocation, autoscaler, { done: "autoscaled", isTyped: true, remembersShown: false });
    };
    for (const each of await objectsOf(session, flags, targets)) await session.attempt(() => scaleItself(each));
    return 0;
  },
};

interface Scaled {
  target: Target;
  object: Unstructured;
}

/** What a file has is taken as it stands there. */
async function objectsOf(session: Session, flags: FlagValues, targets: readonly Target[]): Promise<Scaled[]> {
  if (!namesManifests(flags)) return fetchTargets(session, flags, targets);
  return targets.map((target) => ({ target, object: target.local! }));
}

const scalable = (catalog: ResourceCatalog, { group, version, plural }: ApiResource): boolean =>
  catalog.resources.some(
    (each) =>
      each.group === group && each.version === version && each.plural === plural && each.subresources.includes("scale"),
  );

/** `80%` of what is requested, or an amount; a bare number is in `unit`. */
function metricOf(name: "cpu" | "memory", text: string, unit: string) {
  if (text === "") return undefined;
  if (text.endsWith("%")) {
    const percent = text.slice(0, -1);
    if (!/^\+?\d+$/.test(percent)) throw new CommandError(`invalid percentage value: ${percent}`);
    return {
      resource: { name, target: { averageUtilization: Number(percent), type: "Utilization" } },
      type: "Resource",
    };
  }
  const amount = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text) ? `${Number(text)}${unit}` : text;
  if (quantityProblem(amount)) throw new CommandError(`invalid resource ${name} value: ${text}`);
  return {
    resource: { name, target: { averageValue: canonicalQuantity(amount), type: "AverageValue" } },
    type: "Resource",
  };
}
