/** Where objects name others, so that the names follow when these are renamed. Pure but for the objects that it changes. */
import { groupOf, hasHadName, type Resource } from "./resource.ts";

type Fields = Record<string, unknown>;

/** Calls `visit` for each reference: the map that holds the name, the field, and what kinds it may mean. */
type Visit = (holder: Fields, field: string, kinds: readonly string[], namespaceField?: string) => void;

/** Gives each reference the name that its object has now. */
export function fixReferences(resources: readonly Resource[]): void {
  for (const { object, formerNamespaces } of resources) {
    const { namespace } = object.metadata;
    const places = [namespace, ...formerNamespaces];
    visitReferences(object as unknown as Fields, (holder, field, kinds, namespaceField) => {
      const name = holder[field];
      if (typeof name !== "string") return;
      const place = namespaceField === undefined ? undefined : (holder[namespaceField] as string | undefined);
      const target = resources.find(
        (each) =>
          kinds.includes(each.object.kind ?? "") &&
          hasHadName(each, name) &&
          (place !== undefined
            ? [each.object.metadata.namespace, ...each.formerNamespaces, "default"].includes(place)
            : each.object.kind?.startsWith("Cluster") ||
              places.includes(each.object.metadata.namespace) ||
              groupOf(each.object) === ""),
      );
      if (!target) return;
      holder[field] = target.object.metadata.name;
      if (namespaceField !== undefined && target.object.metadata.namespace) {
        holder[namespaceField] = target.object.metadata.namespace;
      }
    });
  }
}

const workloads = ["Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"];

function visitReferences(object: Fields, visit: Visit): void {
  const spec = mapAt(object, "spec");
  const podSpec = podSpecOf(object);
  if (podSpec) visitPodSpec(podSpec, visit);
  switch (object["kind"]) {
    case "StatefulSet":
      if (spec) visit(spec, "serviceName", ["Service"]);
      break;
    case "HorizontalPodAutoscaler": {
      const target = spec && mapAt(spec, "scaleTargetRef");
      if (target)
        visit(
          target,
          "name",
          [String(target["kind"])].filter((kind) => workloads.includes(kind)),
        );
      break;
    }
    case "RoleBinding":
    case "ClusterRoleBinding": {
      const role = mapAt(object, "roleRef");
      if (role) visit(role, "name", [String(role["kind"])]);
      for (const subject of mapsAt(object, "subjects")) {
        if (subject["kind"] === "ServiceAccount") visit(subject, "name", ["ServiceAccount"], "namespace");
      }
      break;
    }
    case "ServiceAccount":
      for (const secret of [...mapsAt(object, "secrets"), ...mapsAt(object, "imagePullSecrets")]) {
        visit(secret, "name", ["Secret"]);
      }
      break;
    case "Ingress":
      visitIngress(spec ?? {}, visit);
      break;
    case "PersistentVolumeClaim":
      if (spec) {
        visit(spec, "volumeName", ["PersistentVolume"]);
        visit(spec, "storageClassName", ["StorageClass"]);
      }
      break;
    case "APIService": {
      const service = spec && mapAt(spec, "service");
      if (service) visit(service, "name", ["Service"], "namespace");
      break;
    }
    case "MutatingWebhookConfiguration":
    case "ValidatingWebhookConfiguration":
      for (const webhook of mapsAt(object, "webhooks")) {
        const service = mapAt(mapAt(webhook, "clientConfig") ?? {}, "service");
        if (service) visit(service, "name", ["Service"], "namespace");
      }
      break;
  }
}

function visitIngress(spec: Fields, visit: Visit): void {
  const backends = [
    mapAt(spec, "defaultBackend"),
    ...mapsAt(spec, "rules").flatMap((rule) =>
      mapsAt(mapAt(rule, "http") ?? {}, "paths").map((path) => mapAt(path, "backend")),
    ),
  ];
  for (const backend of backends) {
    const service = backend && mapAt(backend, "service");
    if (service) visit(service, "name", ["Service"]);
  }
  for (const tls of mapsAt(spec, "tls")) visit(tls, "secretName", ["Secret"]);
  visit(spec, "ingressClassName", ["IngressClass"]);
}

function visitPodSpec(podSpec: Fields, visit: Visit): void {
  visit(podSpec, "serviceAccountName", ["ServiceAccount"]);
  visit(podSpec, "priorityClassName", ["PriorityClass"]);
  for (const secret of mapsAt(podSpec, "imagePullSecrets")) visit(secret, "name", ["Secret"]);
  const containers = ["containers", "initContainers", "ephemeralContainers"].flatMap((field) => mapsAt(podSpec, field));
  for (const container of containers) {
    for (const source of mapsAt(container, "envFrom")) visitSource(source, "configMapRef", "secretRef", visit);
    for (const variable of mapsAt(container, "env")) {
      visitSource(mapAt(variable, "valueFrom") ?? {}, "configMapKeyRef", "secretKeyRef", visit);
    }
  }
  for (const volume of mapsAt(podSpec, "volumes")) {
    visitVolume(volume, visit);
    for (const source of mapsAt(mapAt(volume, "projected") ?? {}, "sources")) {
      visitSource(source, "configMap", "secret", visit);
    }
  }
}

function visitSource(source: Fields, configMapField: string, secretField: string, visit: Visit): void {
  const [configMap, secret] = [mapAt(source, configMapField), mapAt(source, secretField)];
  if (configMap) visit(configMap, "name", ["ConfigMap"]);
  if (secret) visit(secret, "name", ["Secret"]);
}

function visitVolume(volume: Fields, visit: Visit): void {
  const [configMap, secret, claim] = ["configMap", "secret", "persistentVolumeClaim"].map((field) =>
    mapAt(volume, field),
  );
  if (configMap) visit(configMap, "name", ["ConfigMap"]);
  if (secret) visit(secret, "secretName", ["Secret"]);
  if (claim) visit(claim, "claimName", ["PersistentVolumeClaim"]);
}

/** The pod's spec in a pod, in what makes pods, and in what makes these. */
export function podSpecOf(object: Fields): Fields | undefined {
  if (object["kind"] === "Pod") return mapAt(object, "spec");
  const template = podTemplateOf(object);
  return template && mapAt(template, "spec");
}

export function podTemplateOf(object: Fields): Fields | undefined {
  const spec = mapAt(object, "spec") ?? {};
  const inner = object["kind"] === "CronJob" ? (mapAt(mapAt(spec, "jobTemplate") ?? {}, "spec") ?? {}) : spec;
  return mapAt(inner, "template");
}

export function mapAt(holder: Fields, field: string): Fields | undefined {
  const value = holder[field];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function mapsAt(holder: Fields, field: string): Fields[] {
  const value = holder[field];
  return Array.isArray(value) ? value.filter((each): each is Fields => typeof each === "object" && each !== null) : [];
}
