import { refusesChanges } from "../testing/refusals.ts";
import { customResourceDefinitions } from "./apiextensions/custom-resource-definition.ts";
import { apiServices } from "./apiregistration/api-service.ts";
import { horizontalPodAutoscalers } from "./autoscaling/horizontal-pod-autoscaler.ts";
import { flowSchemas } from "./flowcontrol/flow-schema.ts";
import { ingresses } from "./networking/ingress.ts";
import { podDisruptionBudgets } from "./policy/pod-disruption-budget.ts";

const metadata = { name: "web", namespace: "default" };
const qualified =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const good = { type: "Good", status: "True", reason: "Done", lastTransitionTime: "2026-01-01T00:00:00Z", message: "" };

refusesChanges(
  podDisruptionBudgets,
  { metadata, spec: { minAvailable: 1, selector: {} } },
  [
    ["may say how things are", { "status.conditions": [good] }, []],
    [
      "may not say it twice, or half of it",
      {
        "status.conditions": [good, { ...good, reason: "a b", observedGeneration: -1 }, { type: "-", status: "Maybe" }],
        "status.expectedPods": -1,
      },
      [
        'status.conditions[1].type: Duplicate value: "Good"',
        "status.conditions[1].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
        "status.conditions[1].reason: Invalid value: \"a b\": a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')",
        `status.conditions[2].type: Invalid value: "-": ${qualified}`,
        'status.conditions[2].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        "status.conditions[2].lastTransitionTime: Required value",
        "status.conditions[2].reason: Required value",
        "status.expectedPods: Invalid value: -1: must be greater than or equal to 0",
      ],
    ],
  ],
  "status",
);

const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
refusesChanges(
  horizontalPodAutoscalers,
  { metadata, spec: { scaleTargetRef, maxReplicas: 5 } },
  [
    [
      "may not count below nothing",
      { status: { currentReplicas: -1, desiredReplicas: -2 } },
      [
        "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0",
        "status.desiredReplicas: Invalid value: -2: must be greater than or equal to 0",
      ],
    ],
  ],
  "status",
);

refusesChanges(
  flowSchemas,
  { metadata: { name: "web" }, spec: { priorityLevelConfiguration: { name: "global-default" } } },
  [
    [
      "may not say it twice, or of nothing",
      { "status.conditions": [{ type: "Dangling" }, { type: "Dangling" }, {}] },
      [
        'status.conditions[1].type: Duplicate value: "Dangling"',
        "status.conditions[2].type: Required value: must not be empty",
      ],
    ],
  ],
  "status",
);

const versions = [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }];
refusesChanges(
  customResourceDefinitions,
  {
    metadata: { name: "things.a.test" },
    spec: { group: "a.test", scope: "Cluster", names: { plural: "things", kind: "Thing" }, versions },
  },
  [
    ["may say in which versions objects are stored", { "status.storedVersions": ["v1"] }, []],
    // Upstream looks at them with the next change of the definition itself.
    ["may say that objects are stored nowhere", { "status.storedVersions": [] }, []],
  ],
  "status",
);

refusesChanges(
  apiServices,
  { metadata: { name: "v1.a.test" }, spec: { group: "a.test", version: "v1" } },
  [
    [
      "may not be in between",
      { "status.conditions": [{ type: "Available", status: "Perhaps" }] },
      ['status.conditions[0].status: Unsupported value: "Perhaps": supported values: "True", "False", "Unknown"'],
    ],
  ],
  "status",
);

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
refusesChanges(
  ingresses,
  { metadata, spec: {} },
  [
    [
      "may not be reached where nobody is",
      { "status.loadBalancer.ingress": [{ ip: "010.0.0.1" }, { hostname: "10.0.0.1" }, { hostname: "*.a.test" }] },
      [
        'status.loadBalancer.ingress[0].ip: Invalid value: "010.0.0.1": must not have leading 0s',
        'status.loadBalancer.ingress[1].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address',
        `status.loadBalancer.ingress[2].hostname: Invalid value: "*.a.test": ${subdomain}`,
      ],
    ],
  ],
  "status",
);
