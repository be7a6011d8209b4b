/** The ClusterRoles and bindings that every cluster begins with: discovery for all who logged in, and the roles people bind (upstream's bootstrap policy). */
import type { PolicyRule } from "../../api/rbac/v1.ts";
import { ClusterRoleBindings, ClusterRoles } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

const labels = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const annotations = { "rbac.authorization.kubernetes.io/autoupdate": "true" };

const read = ["get", "list", "watch"];
const write = ["create", "delete", "deletecollection", "patch", "update"];
const anything = [...read, ...write];

const on = (group: string, resources: readonly string[], verbs: readonly string[]): PolicyRule => ({
  apiGroups: [group],
  resources: [...resources],
  verbs: [...verbs],
});
const at = (...nonResourceURLs: string[]): PolicyRule => ({ nonResourceURLs, verbs: ["get"] });

/** What may be seen of a namespace: everything but Secrets, and who may do what. */
const viewable: Record<string, readonly string[]> = {
  "": [
    "bindings",
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "namespaces/status",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "pods/log",
    "pods/status",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
    "serviceaccounts",
    "services",
    "services/status",
  ],
  apps: [
    "controllerrevisions",
    "daemonsets",
    "daemonsets/status",
    "deployments",
    "deployments/scale",
    "deployments/status",
    "replicasets",
    "replicasets/scale",
    "replicasets/status",
    "statefulsets",
    "statefulsets/scale",
    "statefulsets/status",
  ],
  autoscaling: ["horizontalpodautoscalers", "horizontalpodautoscalers/status"],
  batch: ["cronjobs", "cronjobs/status", "jobs", "jobs/status"],
  "discovery.k8s.io": ["endpointslices"],
  "networking.k8s.io": ["ingresses", "ingresses/status", "networkpolicies"],
  policy: ["poddisruptionbudgets", "poddisruptionbudgets/status"],
};

/** What may be changed in a namespace by those who work in it. */
const editable: Record<string, readonly string[]> = {
  "": [
    "configmaps",
    "events",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "replicationcontrollers/scale",
    "secrets",
    "serviceaccounts",
    "services",
    "services/proxy",
  ],
  apps: [
    "daemonsets",
    "deployments",
    "deployments/rollback",
    "deployments/scale",
    "replicasets",
    "replicasets/scale",
    "statefulsets",
    "statefulsets/scale",
  ],
  autoscaling: ["horizontalpodautoscalers"],
  batch: ["cronjobs", "jobs"],
  "networking.k8s.io": ["ingresses", "networkpolicies"],
  policy: ["poddisruptionbudgets"],
};

const rulesOf = (table: Record<string, readonly string[]>, verbs: readonly string[]) =>
  Object.entries(table).map(([group, resources]) => on(group, resources, verbs));

const viewRules = rulesOf(viewable, read);
const editRules = [
  ...rulesOf(editable, write),
  on("", ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"], read),
  on("", ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], write),
  on("", ["pods/eviction"], ["create"]),
  on("", ["serviceaccounts"], ["impersonate"]),
  on("", ["serviceaccounts/token"], ["create"]),
  on("coordination.k8s.io", ["leases"], anything),
];
const adminRules = [
  on("authorization.k8s.io", ["localsubjectaccessreviews"], ["create"]),
  on("rbac.authorization.k8s.io", ["rolebindings", "roles"], anything),
];

const discoveryPaths = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
const healthPaths = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

/** Roles that gather further rules by label also carry what belongs to them from the start. */
interface DefaultRole {
  name: string;
  rules: PolicyRule[];
  /** Further labels: `aggregate-to-view` and the like. */
  labels?: Record<string, string>;
  aggregates?: string;
}

const aggregate = (to: string) => `rbac.authorization.k8s.io/aggregate-to-${to}`;

const clusterRoles: readonly DefaultRole[] = [
  {
    name: "cluster-admin",
    rules: [
      { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
      { nonResourceURLs: ["*"], verbs: ["*"] },
    ],
  },
  { name: "admin", aggregates: "admin", rules: [...adminRules, ...editRules, ...viewRules] },
  { name: "edit", aggregates: "edit", rules: [...editRules, ...viewRules], labels: { [aggregate("admin")]: "true" } },
  { name: "view", aggregates: "view", rules: viewRules, labels: { [aggregate("edit")]: "true" } },
  { name: "system:aggregate-to-admin", rules: adminRules, labels: { [aggregate("admin")]: "true" } },
  { name: "system:aggregate-to-edit", rules: editRules, labels: { [aggregate("edit")]: "true" } },
  { name: "system:aggregate-to-view", rules: viewRules, labels: { [aggregate("view")]: "true" } },
  { name: "system:discovery", rules: [at(...discoveryPaths, ...healthPaths)] },
  {
    name: "system:basic-user",
    rules: [
      on("authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
      on("authentication.k8s.io", ["selfsubjectreviews"], ["create"]),
    ],
  },
  { name: "system:public-info-viewer", rules: [at(...healthPaths)] },
  {
    name: "system:monitoring",
    rules: [at("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*")],
  },
  {
    name: "system:service-account-issuer-discovery",
    rules: [at("/.well-known/openid-configuration", "/openid/v1/jwks")],
  },
  {
    name: "system:auth-delegator",
    rules: [
      on("authentication.k8s.io", ["tokenreviews"], ["create"]),
      on("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
    ],
  },
];

const bindings: readonly { role: string; groups: readonly string[] }[] = [
  { role: "cluster-admin", groups: ["system:masters"] },
  { role: "system:discovery", groups: ["system:authenticated"] },
  { role: "system:basic-user", groups: ["system:authenticated"] },
  { role: "system:public-info-viewer", groups: ["system:authenticated", "system:unauthenticated"] },
  { role: "system:monitoring", groups: ["system:monitoring"] },
  { role: "system:service-account-issuer-discovery", groups: ["system:serviceaccounts"] },
];

const rbacGroup = "rbac.authorization.k8s.io";

export const defaultRoles: readonly BootstrapObject[] = [
  ...clusterRoles.map(({ name, rules, labels: more, aggregates }) =>
    atStart(ClusterRoles, {
      metadata: { name, labels: { ...labels, ...more }, annotations },
      ...(aggregates
        ? { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregate(aggregates)]: "true" } }] } }
        : {}),
      rules,
    }),
  ),
  ...bindings.map(({ role, groups }) =>
    atStart(ClusterRoleBindings, {
      metadata: { name: role, labels, annotations },
      roleRef: { apiGroup: rbacGroup, kind: "ClusterRole", name: role },
      subjects: groups.map((name) => ({ apiGroup: rbacGroup, kind: "Group", name })),
    }),
  ),
];
