/** The FlowSchemas and PriorityLevelConfigurations that every cluster has, with upstream's names and numbers. */
import type {
  FlowSchema,
  LimitedPriorityLevelConfiguration,
  PolicyRulesWithSubjects,
  Subject,
} from "../../api/flowcontrol/v1.ts";
import { FlowSchemas, PriorityLevelConfigurations } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

const annotations = { "apf.kubernetes.io/autoupdate-spec": "true" };

const user = (name: string): Subject => ({ kind: "User", user: { name } });
const group = (name: string): Subject => ({ kind: "Group", group: { name } });
const account = (name: string): Subject => ({
  kind: "ServiceAccount",
  serviceAccount: { namespace: "kube-system", name },
});
const everybody = [group("system:unauthenticated"), group("system:authenticated")];

const anyResource = {
  verbs: ["*"],
  apiGroups: ["*"],
  resources: ["*"],
  clusterScope: true,
  namespaces: ["*"],
};
const anyPath = { verbs: ["*"], nonResourceURLs: ["*"] };
const anything = (...subjects: Subject[]): PolicyRulesWithSubjects => ({
  subjects,
  resourceRules: [anyResource],
  nonResourceRules: [anyPath],
});
const leases = (...subjects: Subject[]): PolicyRulesWithSubjects => ({
  subjects,
  resourceRules: [
    {
      verbs: ["get", "create", "update"],
      apiGroups: ["coordination.k8s.io"],
      resources: ["leases"],
      namespaces: ["*"],
    },
  ],
});

type Distinguisher = "ByUser" | "ByNamespace" | undefined;

function schema(
  name: string,
  level: string,
  matchingPrecedence: number,
  distinguisher: Distinguisher,
  ...rules: PolicyRulesWithSubjects[]
): BootstrapObject {
  const spec: FlowSchema["spec"] = {
    priorityLevelConfiguration: { name: level },
    matchingPrecedence,
    ...(distinguisher ? { distinguisherMethod: { type: distinguisher } } : {}),
    rules,
  };
  return atStart(FlowSchemas, { metadata: { name, annotations }, spec });
}

function limitedLevel(
  name: string,
  nominalConcurrencyShares: number,
  lendablePercent: number,
  queuing?: { queues: number; handSize: number; queueLengthLimit: number },
): BootstrapObject {
  const limited: LimitedPriorityLevelConfiguration = {
    nominalConcurrencyShares,
    lendablePercent,
    limitResponse: queuing ? { type: "Queue", queuing } : { type: "Reject" },
  };
  return atStart(PriorityLevelConfigurations, { metadata: { name, annotations }, spec: { type: "Limited", limited } });
}

const wide = { queues: 128, handSize: 6, queueLengthLimit: 50 };
const middle = { queues: 64, handSize: 6, queueLengthLimit: 50 };
const narrow = { queues: 16, handSize: 4, queueLengthLimit: 50 };

export const defaultFlowControl: readonly BootstrapObject[] = [
  atStart(PriorityLevelConfigurations, {
    metadata: { name: "exempt", annotations },
    spec: { type: "Exempt", exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  }),
  limitedLevel("catch-all", 5, 0),
  limitedLevel("global-default", 20, 50, wide),
  limitedLevel("leader-election", 10, 0, narrow),
  limitedLevel("node-high", 40, 25, middle),
  limitedLevel("system", 30, 33, middle),
  limitedLevel("workload-high", 40, 50, wide),
  limitedLevel("workload-low", 100, 90, wide),

  schema("exempt", "exempt", 1, undefined, anything(group("system:masters"))),
  schema("probes", "exempt", 2, undefined, {
    subjects: everybody,
    nonResourceRules: [{ verbs: ["get"], nonResourceURLs: ["/healthz", "/readyz", "/livez"] }],
  }),
  schema(
    "system-leader-election",
    "leader-election",
    100,
    "ByUser",
    leases(user("system:kube-controller-manager"), user("system:kube-scheduler"), account("*")),
  ),
  schema("system-node-high", "node-high", 400, "ByUser", {
    subjects: [group("system:nodes")],
    resourceRules: [
      { verbs: ["*"], apiGroups: [""], resources: ["nodes", "nodes/status"], clusterScope: true, namespaces: ["*"] },
      { verbs: ["*"], apiGroups: ["coordination.k8s.io"], resources: ["leases"], namespaces: ["*"] },
    ],
  }),
  schema("system-nodes", "system", 500, "ByUser", anything(group("system:nodes"))),
  schema(
    "kube-controller-manager",
    "workload-high",
    800,
    "ByNamespace",
    anything(user("system:kube-controller-manager")),
  ),
  schema("kube-scheduler", "workload-high", 800, "ByNamespace", anything(user("system:kube-scheduler"))),
  schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", anything(account("*"))),
  schema("service-accounts", "workload-low", 9000, "ByUser", anything(group("system:serviceaccounts"))),
  schema("global-default", "global-default", 9900, "ByUser", anything(...everybody)),
  schema("catch-all", "catch-all", 10_000, "ByUser", anything(...everybody)),
];
