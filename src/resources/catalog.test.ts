import { describe, expect, it } from "vitest";
import { resources } from "../api/discovery.ts";
import { apiVersionOf } from "../apimachinery/group-version.ts";
import { problemsOf } from "../testing/problems-of.ts";
import { validatingWebhookConfigurations } from "./admissionregistration/webhook.ts";
import { daemonSets } from "./apps/daemon-set.ts";
import { deployments } from "./apps/deployment.ts";
import { statefulSets } from "./apps/stateful-set.ts";
import { horizontalPodAutoscalers } from "./autoscaling/horizontal-pod-autoscaler.ts";
import { cronJobs } from "./batch/cron-job.ts";
import { jobs } from "./batch/job.ts";
import { definitions } from "./catalog.ts";
import { limitRanges } from "./core/limit-range.ts";
import { persistentVolumes } from "./core/persistent-volume.ts";
import { persistentVolumeClaims } from "./core/persistent-volume-claim.ts";
import { resourceQuotas } from "./core/resource-quota.ts";
import { ingresses } from "./networking/ingress.ts";
import { networkPolicies } from "./networking/network-policy.ts";
import { podDisruptionBudgets } from "./policy/pod-disruption-budget.ts";
import { clusterRoleBindings } from "./rbac/binding.ts";
import { roles } from "./rbac/role.ts";
import { storageClasses } from "./storage/storage-class.ts";

/** Answered at once or by other means, and never stored. */
const notStored = new Set([
  "bindings",
  "tokenreviews",
  "selfsubjectreviews",
  "localsubjectaccessreviews",
  "selfsubjectaccessreviews",
  "selfsubjectrulesreviews",
  "subjectaccessreviews",
]);

describe("the catalog", () => {
  it("has every stored kind that upstream serves, each once", () => {
    const expected = Object.entries(resources).flatMap(([groupVersion, list]) =>
      list.filter(({ name }) => !notStored.has(name)).map(({ name }) => `${groupVersion}/${name}`),
    );
    const have = definitions.map((definition) => `${apiVersionOf(definition)}/${definition.plural}`);
    expect(have.toSorted()).toEqual(expected.toSorted());
  });

  it("gives a column named Name first, or shows events by their age", () => {
    for (const { columns, plural } of definitions) {
      if (columns && plural !== "events") expect(columns[0], plural).toMatchObject({ name: "Name", format: "name" });
    }
  });
});

const labels = { app: "web" };
const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "nginx:1.27" }] } };
const selector = { matchLabels: labels };
const once = { ...template, spec: { ...template.spec, restartPolicy: "Never" } };
const claim = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };

describe("kinds refuse", () => {
  // biome-ignore lint/suspicious/noExplicitAny: one table for definitions of every kind.
  it.each<[string, any, object, string[]]>([
    [
      "a Deployment whose selector misses its pods",
      deployments,
      { spec: { selector: { matchLabels: { x: "y" } }, template } },
      ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
    ],
    [
      "a Deployment that could never roll",
      deployments,
      { spec: { selector, template, strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } } },
      ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"],
    ],
    [
      "a StatefulSet that selects everything",
      statefulSets,
      { spec: { selector: {}, template } },
      ["spec.selector: Invalid value: {}: empty selector is invalid for statefulset"],
    ],
    [
      "a DaemonSet that surges and lacks",
      daemonSets,
      { spec: { selector, template, updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } } },
      ["spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"],
    ],
    [
      "a Job that restarts for ever",
      jobs,
      { spec: { template } },
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      "a Job with limits per index it does not have",
      jobs,
      { spec: { template: once, backoffLimitPerIndex: 1 } },
      ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
    ],
    [
      "a CronJob without a schedule it can read",
      cronJobs,
      { spec: { schedule: "x y", jobTemplate: { spec: { template: once } } } },
      ['spec.schedule: Invalid value: "x y": expected exactly 5 fields, found 2: [x y]'],
    ],
    [
      "a CronJob on Mars",
      cronJobs,
      { spec: { schedule: "@hourly", timeZone: "Mars/One", jobTemplate: { spec: { template: once } } } },
      ['spec.timeZone: Invalid value: "Mars/One": unknown time zone Mars/One'],
    ],
    [
      "an autoscaler without a maximum",
      horizontalPodAutoscalers,
      { spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" }, maxReplicas: 0 } },
      [
        "spec.maxReplicas: Required value: must be set and greater than 0",
        "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
      ],
    ],
    [
      "a budget that says both",
      podDisruptionBudgets,
      { spec: { minAvailable: 1, maxUnavailable: 1 } },
      [
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
      ],
    ],
    [
      "a claim for nothing",
      persistentVolumeClaims,
      { spec: { ...claim, resources: { requests: { storage: "0" } } } },
      ['spec.resources[storage]: Invalid value: "0": must be greater than zero'],
    ],
    [
      "a volume without a place",
      persistentVolumes,
      { spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] } },
      ["spec: Required value: must specify a volume type"],
    ],
    [
      "a quota in two scopes that exclude each other",
      resourceQuotas,
      { spec: { hard: { pods: "1" }, scopes: ["BestEffort", "NotBestEffort"] } },
      ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
    ],
    [
      "a limit range upside down",
      limitRanges,
      {
        spec: {
          limits: [
            {
              type: "Container",
              min: { cpu: "2" },
              max: { cpu: "1" },
              default: { cpu: "1" },
              defaultRequest: { cpu: "1" },
            },
          ],
        },
      },
      [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
      ],
    ],
    [
      "a role without verbs",
      roles,
      { rules: [{ apiGroups: [""], resources: ["pods"] }] },
      ["rules[0].verbs: Required value: verbs must contain at least one value"],
    ],
    [
      "a cluster-wide binding of a role",
      clusterRoleBindings,
      { roleRef: { kind: "Role", name: "r" } },
      ['roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"'],
    ],
    [
      "a class without a provisioner's name",
      storageClasses,
      { provisioner: "a b" },
      [expect.stringContaining('provisioner: Invalid value: "a b": name part must consist of')],
    ],
    [
      "an Ingress to nowhere",
      ingresses,
      { spec: {} },
      ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
    ],
    [
      "a policy with an odd block",
      networkPolicies,
      { spec: { ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] } }] }] } },
      ['spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`'],
    ],
    [
      "a webhook without an address",
      validatingWebhookConfigurations,
      { webhooks: [{ name: "a.b.test", sideEffects: "None", admissionReviewVersions: ["v1"], clientConfig: {} }] },
      ["webhooks[0].clientConfig: Required value: exactly one of url or service is required"],
    ],
  ])("%s", (_, definition, object, problems) => {
    expect(problemsOf(definition, object)).toEqual(problems);
  });
});
