/** What every Kubernetes server has served in the same form for many years: the words for it need no question to the server. */
import type { ApiResource } from "./resource-catalog.ts";

type Entry = readonly [plural: string, kind: string, shortNames: string, isNamespaced: boolean];

const core: readonly Entry[] = [
  ["pods", "Pod", "po", true],
  ["services", "Service", "svc", true],
  ["configmaps", "ConfigMap", "cm", true],
  ["secrets", "Secret", "", true],
  ["serviceaccounts", "ServiceAccount", "sa", true],
  ["persistentvolumeclaims", "PersistentVolumeClaim", "pvc", true],
  ["nodes", "Node", "no", false],
  ["namespaces", "Namespace", "ns", false],
  ["persistentvolumes", "PersistentVolume", "pv", false],
];
const apps: readonly Entry[] = [
  ["deployments", "Deployment", "deploy", true],
  ["replicasets", "ReplicaSet", "rs", true],
  ["statefulsets", "StatefulSet", "sts", true],
  ["daemonsets", "DaemonSet", "ds", true],
];

/** The resource a user's word means, where that is the same on every server; undefined where the server must be asked. */
export function wellKnownResource(word: string): ApiResource | undefined {
  return find("", core, word) ?? find("apps", apps, word);
}

/** The resource that an object of such a kind is one of, as far as it is among these. */
export function wellKnownKind(apiVersion: string, kind: string): ApiResource | undefined {
  if (apiVersion !== "v1" && apiVersion !== "apps/v1") return undefined;
  const group = apiVersion === "v1" ? "" : "apps";
  return find(group, group ? apps : core, kind);
}

function find(group: string, entries: readonly Entry[], word: string): ApiResource | undefined {
  const wanted = word.toLowerCase();
  const entry = entries.find(
    ([plural, kind, short]) => wanted === plural || wanted === kind.toLowerCase() || (short !== "" && word === short),
  );
  if (!entry) return undefined;
  const [plural, kind, shortNames, isNamespaced] = entry;
  return {
    group,
    version: "v1",
    kind,
    plural,
    singular: kind.toLowerCase(),
    shortNames: shortNames ? [shortNames] : [],
    categories: [],
    isNamespaced,
    verbs: [],
    subresources: group === "apps" && plural !== "daemonsets" ? ["scale", "status"] : ["status"],
  };
}
