/** Which fields of which kinds kustomize's transformers change; kustomizations add to them (`configurations`, `crds`). */
import { CommandError } from "../command-error.ts";
import type { FieldSpec } from "./field-specs.ts";
import type { KindName } from "./resource.ts";

/** Fields that hold the names of objects of a kind. */
export interface NameReference extends Partial<KindName> {
  fieldSpecs: FieldSpec[];
}

const lists = [
  "namePrefix",
  "nameSuffix",
  "namespace",
  "commonLabels",
  "labels",
  "templateLabels",
  "commonAnnotations",
  "varReference",
  "images",
  "replicas",
] as const;

export type TransformerConfig = Record<(typeof lists)[number], FieldSpec[]> & { nameReference: NameReference[] };

export const emptyConfig = (): TransformerConfig => ({
  ...(Object.fromEntries(lists.map((name) => [name, []])) as unknown as Record<(typeof lists)[number], FieldSpec[]>),
  nameReference: [],
});

/** A new configuration. Throws a CommandError where the two contradict each other. */
export function mergeConfigs(config: TransformerConfig, more: Partial<TransformerConfig>): TransformerConfig {
  const merged = emptyConfig();
  for (const name of lists) {
    merged[name] = sorted(
      prefixed(`failed to merge ${goNames[name] ?? goName(name)} fieldSpec`, () =>
        mergeSpecs(config[name], more[name] ?? []),
      ),
    );
  }
  merged.nameReference = [...config.nameReference];
  for (const reference of more.nameReference ?? []) {
    const at = merged.nameReference.findIndex((each) => sameKindAs(each, reference));
    if (at < 0) merged.nameReference.push({ ...reference, fieldSpecs: reference.fieldSpecs ?? [] });
    else {
      const fieldSpecs = prefixed("failed to merge NameReference fieldSpec", () =>
        mergeSpecs(merged.nameReference[at]!.fieldSpecs, reference.fieldSpecs ?? []),
      );
      merged.nameReference[at] = { ...reference, fieldSpecs };
    }
  }
  merged.nameReference = sorted(merged.nameReference);
  return merged;
}

const goNames: Readonly<Record<string, string>> = { namespace: "NameSpace" };
const goName = (name: string) => name.slice(0, 1).toUpperCase() + name.slice(1);

function prefixed<T>(prefix: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new CommandError(`${prefix}: ${(error as Error).message}`);
  }
}

const sameKindAs = (a: Partial<KindName>, b: Partial<KindName>): boolean =>
  (a.group ?? "") === (b.group ?? "") && (a.version ?? "") === (b.version ?? "") && (a.kind ?? "") === (b.kind ?? "");

/** The first ones stay; of the others those that they do not cover come behind. */
export function mergeSpecs(specs: readonly FieldSpec[], more: readonly FieldSpec[]): FieldSpec[] {
  const merged = [...specs];
  for (const spec of more) {
    const covers = (x: FieldSpec) =>
      x.path === spec.path &&
      (["group", "version", "kind"] as const).every((part) => !spec[part] || spec[part] === x[part]);
    const present = merged.find(covers);
    if (!present) merged.push(spec);
    else if ((present.create ?? false) !== (spec.create ?? false)) throw new CommandError("conflicting fieldspecs");
  }
  return merged;
}

/** In the order in which objects of a kind are usually created. */
export const usuallyFirst: readonly string[] = [
  "Namespace",
  "ResourceQuota",
  "StorageClass",
  "CustomResourceDefinition",
  "ServiceAccount",
  "PodSecurityPolicy",
  "Role",
  "ClusterRole",
  "RoleBinding",
  "ClusterRoleBinding",
  "ConfigMap",
  "Secret",
  "Endpoints",
  "Service",
  "LimitRange",
  "PriorityClass",
  "PersistentVolume",
  "PersistentVolumeClaim",
  "Deployment",
  "StatefulSet",
  "CronJob",
  "PodDisruptionBudget",
];
export const usuallyLast: readonly string[] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

export const kindKey = ({ group, version, kind }: Partial<KindName>): string =>
  `${group || "~G"}_${version || "~V"}_${kind || "~K"}`;

export function rankOf(kind = "", first = usuallyFirst, last = usuallyLast): number {
  if (last.includes(kind)) return 1 + last.indexOf(kind);
  return first.includes(kind) ? first.indexOf(kind) - first.length : 0;
}

const sorted = <T extends Partial<KindName>>(specs: readonly T[]): T[] =>
  [...specs].sort(
    (a, b) => rankOf(a.kind) - rankOf(b.kind) || Number(kindKey(a) > kindKey(b)) - Number(kindKey(a) < kindKey(b)),
  );

const at = (path: string, kind?: string, group?: string): FieldSpec => ({
  path,
  ...(kind ? { kind } : {}),
  ...(group ? { group } : {}),
});
const made = (path: string, kind?: string, group?: string): FieldSpec => ({ ...at(path, kind, group), create: true });

/** Where the specs of pods stand. */
const podSpecs: Readonly<Record<string, string>> = {
  Pod: "spec",
  PodTemplate: "template/spec",
  Deployment: "spec/template/spec",
  ReplicaSet: "spec/template/spec",
  DaemonSet: "spec/template/spec",
  StatefulSet: "spec/template/spec",
  ReplicationController: "spec/template/spec",
  Job: "spec/template/spec",
  CronJob: "spec/jobTemplate/spec/template/spec",
};
const inPods = (kinds: readonly string[], fields: readonly string[]): FieldSpec[] =>
  kinds.flatMap((kind) => fields.map((field) => at(`${podSpecs[kind]}/${field}`, kind)));

const makers = ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "CronJob"];
const sources = (reference: string, field: string) => [
  `containers/env/valueFrom/${reference}KeyRef/name`,
  `initContainers/env/valueFrom/${reference}KeyRef/name`,
  `containers/envFrom/${reference}Ref/name`,
  `initContainers/envFrom/${reference}Ref/name`,
  `volumes/${reference}/${field}`,
];
const projected = (reference: string) => `volumes/projected/sources/${reference}/name`;
const rules = (...kinds: string[]) => kinds.map((kind) => at("rules/resourceNames", kind));
const rbac = "rbac.authorization.k8s.io";
const admission = "admissionregistration.k8s.io";
const usersOfPods = ["Pod", "StatefulSet", "Deployment", "ReplicationController", "CronJob", "Job", "DaemonSet"];

const nameReferences: readonly NameReference[] = [
  ...["Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"].map((kind) => ({
    kind,
    fieldSpecs: [at("spec/scaleTargetRef/name", "HorizontalPodAutoscaler")],
  })),
  {
    kind: "ConfigMap",
    version: "v1",
    fieldSpecs: [
      ...inPods(["Pod", "PodTemplate", ...makers], sources("configMap", "name")),
      ...inPods(["Pod", "PodTemplate", ...makers.filter((kind) => kind !== "Job")], [projected("configMap")]),
      at("spec/configSource/configMap", "Node"),
      ...rules("Role", "ClusterRole"),
      at("metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap", "Ingress"),
    ],
  },
  {
    kind: "Secret",
    version: "v1",
    fieldSpecs: [
      ...inPods(
        ["Pod", "PodTemplate", ...makers],
        [...sources("secret", "secretName"), "imagePullSecrets/name", projected("secret")],
      ),
      at("spec/tls/secretName", "Ingress"),
      ...["ingress.kubernetes.io\\/auth-secret", "nginx.ingress.kubernetes.io\\/auth-secret"].map((name) =>
        at(`metadata/annotations/${name}`, "Ingress"),
      ),
      at("metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret", "Ingress"),
      at("imagePullSecrets/name", "ServiceAccount"),
      ...["secretName", "adminSecretName", "userSecretName", "secretRef"].map((field) =>
        at(`parameters/${field}`, "StorageClass"),
      ),
      ...rules("Role", "ClusterRole"),
      {
        ...at("spec/template/spec/containers/env/valueFrom/secretKeyRef/name", "Service", "serving.knative.dev"),
        version: "v1",
      },
      at("spec/azureFile/secretName", "PersistentVolume"),
    ],
  },
  {
    kind: "Service",
    version: "v1",
    fieldSpecs: [
      at("spec/serviceName", "StatefulSet", "apps"),
      ...[
        "spec/rules/http/paths/backend/serviceName",
        "spec/backend/serviceName",
        "spec/rules/http/paths/backend/service/name",
        "spec/defaultBackend/service/name",
      ].map((path) => at(path, "Ingress")),
      at("spec/service/name", "APIService", "apiregistration.k8s.io"),
      at("webhooks/clientConfig/service", "ValidatingWebhookConfiguration", admission),
      at("webhooks/clientConfig/service", "MutatingWebhookConfiguration", admission),
    ],
  },
  { kind: "Role", group: rbac, fieldSpecs: [at("roleRef/name", "RoleBinding", rbac)] },
  {
    kind: "ClusterRole",
    group: rbac,
    fieldSpecs: [at("roleRef/name", "RoleBinding", rbac), at("roleRef/name", "ClusterRoleBinding", rbac)],
  },
  {
    kind: "ServiceAccount",
    version: "v1",
    fieldSpecs: [
      at("subjects", "RoleBinding", rbac),
      at("subjects", "ClusterRoleBinding", rbac),
      ...inPods(usersOfPods, ["serviceAccountName"]),
    ],
  },
  {
    kind: "PersistentVolumeClaim",
    version: "v1",
    fieldSpecs: inPods(usersOfPods, ["volumes/persistentVolumeClaim/claimName"]),
  },
  {
    kind: "PersistentVolume",
    version: "v1",
    fieldSpecs: [at("spec/volumeName", "PersistentVolumeClaim"), ...rules("ClusterRole")],
  },
  {
    kind: "StorageClass",
    version: "v1",
    group: "storage.k8s.io",
    fieldSpecs: [
      at("spec/storageClassName", "PersistentVolume"),
      at("spec/storageClassName", "PersistentVolumeClaim"),
      at("spec/volumeClaimTemplates/spec/storageClassName", "StatefulSet"),
    ],
  },
  {
    kind: "PriorityClass",
    version: "v1",
    group: "scheduling.k8s.io",
    fieldSpecs: inPods(usersOfPods, ["priorityClassName"]),
  },
  // The group is upstream's slip, so that these never follow.
  {
    kind: "IngressClass",
    version: "v1",
    group: "networking.k8s.io/v1",
    fieldSpecs: [at("spec/ingressClassName", "Ingress")],
  },
  {
    kind: "ValidatingAdmissionPolicy",
    group: admission,
    fieldSpecs: [at("spec/policyName", "ValidatingAdmissionPolicyBinding", admission)],
  },
];

const templateLabels: readonly FieldSpec[] = [
  made("metadata/labels"),
  { ...made("spec/template/metadata/labels", "ReplicationController"), version: "v1" },
  ...["Deployment", "ReplicaSet", "DaemonSet"].map((kind) => made("spec/template/metadata/labels", kind)),
  made("spec/template/metadata/labels", "StatefulSet", "apps"),
  made("spec/volumeClaimTemplates[]/metadata/labels", "StatefulSet", "apps"),
  made("spec/template/metadata/labels", "Job", "batch"),
  made("spec/jobTemplate/metadata/labels", "CronJob", "batch"),
  made("spec/jobTemplate/spec/template/metadata/labels", "CronJob", "batch"),
];

const selectorsInPods = ["podAffinity", "podAntiAffinity"]
  .flatMap((affinity) => [
    `affinity/${affinity}/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/matchLabels`,
    `affinity/${affinity}/requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels`,
  ])
  .concat("topologySpreadConstraints/labelSelector/matchLabels")
  .map((path) => `spec/template/spec/${path}`);

const commonLabels: readonly FieldSpec[] = [
  { ...made("spec/selector", "Service"), version: "v1" },
  { ...made("spec/selector", "ReplicationController"), version: "v1" },
  ...["Deployment", "ReplicaSet", "DaemonSet"].map((kind) => made("spec/selector/matchLabels", kind)),
  made("spec/selector/matchLabels", "StatefulSet", "apps"),
  ...["Deployment", "StatefulSet"].flatMap((kind) => selectorsInPods.map((path) => at(path, kind, "apps"))),
  at("spec/selector/matchLabels", "Job", "batch"),
  at("spec/jobTemplate/spec/selector/matchLabels", "CronJob", "batch"),
  at("spec/selector/matchLabels", "PodDisruptionBudget", "policy"),
  ...["spec/podSelector", "spec/ingress/from/podSelector", "spec/egress/to/podSelector"].map((path) =>
    at(`${path}/matchLabels`, "NetworkPolicy", "networking.k8s.io"),
  ),
  ...templateLabels,
];

const annotated = "spec/template/metadata/annotations";
const variableFields = [
  ...["containers", "initContainers"].flatMap((list) =>
    ["args", "command", "env/value", "volumeMounts/mountPath"].map((field) => `${list}/${field}`),
  ),
  "volumes/nfs/server",
];

let known: TransformerConfig | undefined;

/** What is changed where nothing else is said. Not to be changed itself. */
export function defaultConfig(): TransformerConfig {
  known ??= mergedDefaults();
  return known;
}

const mergedDefaults = (): TransformerConfig =>
  mergeConfigs(emptyConfig(), {
    namePrefix: [at("metadata/name")],
    nameSuffix: [at("metadata/name")],
    namespace: [
      made("metadata/name", "Namespace"),
      made("spec/service/namespace", "APIService", "apiregistration.k8s.io"),
      at("spec/conversion/webhook/clientConfig/service/namespace", "CustomResourceDefinition", "apiextensions.k8s.io"),
    ],
    commonLabels: [...commonLabels],
    templateLabels: [...templateLabels],
    commonAnnotations: [
      made("metadata/annotations"),
      { ...made(annotated, "ReplicationController"), version: "v1" },
      ...["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"].map((kind) => made(annotated, kind)),
      made(annotated, "Job", "batch"),
      made("spec/jobTemplate/metadata/annotations", "CronJob", "batch"),
      made("spec/jobTemplate/spec/template/metadata/annotations", "CronJob", "batch"),
    ],
    nameReference: [...nameReferences],
    varReference: [
      ...inPods(
        ["CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet"],
        variableFields,
      ).filter(({ path, kind }) => !(path.endsWith("nfs/server") && (kind === "CronJob" || kind === "StatefulSet"))),
      at("spec/jobTemplate/spec/template/volumes/nfs/server", "CronJob"),
      at(annotated, "Deployment"),
      ...["spec/rules/host", "spec/tls/hosts", "spec/tls/secretName"].map((path) => at(path, "Ingress")),
      ...["spec/ports/port", "spec/ports/targetPort"].map((path) => at(path, "Service")),
      at("spec/volumeClaimTemplates/spec/nfs/server", "StatefulSet"),
      at("spec/nfs/server", "PersistentVolume"),
      at("metadata/labels"),
      at("metadata/annotations"),
    ],
    images: ["spec/", "spec/template/spec/"].flatMap((pods) =>
      ["containers[]/image", "initContainers[]/image", "volumes[]/image/reference"].map((path) => made(pods + path)),
    ),
    replicas: ["Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"].map((kind) =>
      made("spec/replicas", kind),
    ),
  });

interface Definition {
  Schema?: { properties?: Record<string, Record<string, unknown>> };
}

/** What OpenAPI definitions of own kinds say of their fields (`crds`): labels, annotations, names of others. */
export function configOfDefinitions(definitions: Readonly<Record<string, unknown>>): TransformerConfig {
  const config = emptyConfig();
  for (const [name, definition] of Object.entries(definitions)) {
    const properties = propertiesOf(definition);
    if (!["kind", "apiVersion", "metadata"].every((field) => field in properties)) continue;
    addDefinition(config, { kind: name.split(".").at(-1)! }, definitions, name, []);
  }
  return config;
}

function addDefinition(
  config: TransformerConfig,
  kind: { kind: string },
  definitions: Readonly<Record<string, unknown>>,
  name: string,
  path: readonly string[],
): void {
  for (const [field, property] of Object.entries(propertiesOf(definitions[name]))) {
    const spec = (...more: string[]): FieldSpec => ({ ...kind, path: [...path, field, ...more].join("/") });
    const says = (extension: string) => typeof property[extension] === "string";
    if (says("x-kubernetes-annotation")) config.commonAnnotations.push(spec());
    if (says("x-kubernetes-label-selector")) config.commonLabels.push(spec());
    if (says("x-kubernetes-identity")) config.namePrefix.push(spec());
    const [version, referent] = [
      property["x-kubernetes-object-ref-api-version"],
      property["x-kubernetes-object-ref-kind"],
    ];
    if (typeof version === "string" && typeof referent === "string") {
      const nameKey = String(property["x-kubernetes-object-ref-name-key"] ?? "name");
      config.nameReference.push({ kind: referent, version, fieldSpecs: [spec(nameKey)] });
    }
    const reference = property["$ref"];
    if (typeof reference === "string" && !path.includes(field)) {
      addDefinition(config, kind, definitions, reference, [...path, field]);
    }
  }
}

function propertiesOf(definition: unknown): Record<string, Record<string, unknown>> {
  const { Schema, schema } = (definition ?? {}) as Definition & { schema?: Definition["Schema"] };
  return (Schema ?? schema)?.properties ?? {};
}
