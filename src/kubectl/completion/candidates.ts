/** Names that fit a verb's arguments and flags, read from the cluster and the kubeconfig. */
import type { Unstructured } from "../api.ts";
import { containerNames, type Pod } from "../pods.ts";
import { pathOf } from "../resource-catalog.ts";
import type { Session } from "../session.ts";

/** What stands after a verb: kinds and then names; one fixed kind; or a pod, by itself or behind something else. */
type Arguments = "objects" | "types" | "pod" | { kind: string } | { words: readonly string[]; after?: Arguments };

const workloads = ["deployments", "daemonsets", "statefulsets"];
const scalable = ["deployment", "replicaset", "replicationcontroller", "statefulset"];
const rollout: Arguments = { words: workloads, after: "objects" };
const set: Arguments = { words: [...workloads, "cronjobs", "jobs", "pods", "replicasets"], after: "objects" };

const argumentsOfVerb: Readonly<Record<string, Arguments>> = {
  annotate: "objects",
  "auth can-i": { words: ["get", "list", "watch", "create", "update", "patch", "delete"], after: "types" },
  attach: "pod",
  autoscale: { words: scalable, after: "objects" },
  "certificate approve": { kind: "certificatesigningrequests" },
  "certificate deny": { kind: "certificatesigningrequests" },
  completion: { words: ["bash", "zsh", "fish", "powershell"] },
  cordon: { kind: "nodes" },
  cp: "pod",
  debug: "pod",
  delete: "objects",
  describe: "objects",
  drain: { kind: "nodes" },
  edit: "objects",
  exec: "pod",
  explain: "types",
  expose: { words: ["pods", "services", "deployments", "replicasets", "replicationcontrollers"], after: "objects" },
  get: "objects",
  label: "objects",
  logs: "pod",
  patch: "objects",
  "port-forward": "pod",
  "rollout history": rollout,
  "rollout pause": rollout,
  "rollout restart": rollout,
  "rollout resume": rollout,
  "rollout status": rollout,
  "rollout undo": rollout,
  scale: { words: scalable, after: "objects" },
  "set env": set,
  "set image": set,
  "set resources": set,
  "set selector": "objects",
  "set serviceaccount": set,
  taint: { words: ["node"], after: "objects" },
  "top node": { kind: "nodes" },
  "top pod": { kind: "pods" },
  uncordon: { kind: "nodes" },
  wait: "objects",
};

const podKinds = [
  "daemonsets",
  "deployments",
  "pods",
  "jobs",
  "replicasets",
  "replicationcontrollers",
  "services",
  "statefulsets",
];

/** What may come after `args`; undefined where only files or nothing known fits. */
export async function argumentsFor(
  session: Session,
  path: readonly string[],
  args: readonly string[],
  word: string,
): Promise<string[] | undefined> {
  if (path[0] === "config") return configNames(session, path[1] ?? "", args);
  const known = argumentsOfVerb[path.join(" ")];
  return known && fitting(session, known, args, word);
}

async function fitting(session: Session, known: Arguments, args: readonly string[], word: string): Promise<string[]> {
  const [type, name] = word.split("/");
  if (
    name !== undefined &&
    (known === "objects" || known === "pod" || (typeof known === "object" && "after" in known))
  ) {
    return (await namesOf(session, type!)).map((each) => `${type}/${each}`);
  }
  if (known === "objects") {
    if (args.length === 0) return typesOf(session);
    const [first = ""] = args;
    // `pod/a pod/b`: each word has its kind.
    if (first.includes("/")) return (await typesOf(session)).map((each) => `${each}/`);
    return without(await namesOf(session, first), args.slice(1));
  }
  if (known === "types") return typesOf(session);
  if (known === "pod") {
    if (args.length > 0) return [];
    return [...(await namesOf(session, "pods")), ...podKinds.map((kind) => `${kind}/`)];
  }
  if ("kind" in known) return without(await namesOf(session, known.kind), args);
  if (args.length === 0) return [...known.words];
  return known.after ? fitting(session, known.after, known.after === "types" ? [] : args, word) : [];
}

const without = (names: readonly string[], taken: readonly string[]): string[] =>
  names.filter((name) => !taken.includes(name));

/** `pods`, `deployments.apps`. */
async function typesOf(session: Session): Promise<string[]> {
  const catalog = await session.catalog();
  return catalog
    .preferred()
    .filter(({ verbs }) => verbs.includes("get"))
    .map(({ plural, group }) => (group ? `${plural}.${group}` : plural));
}

const namesOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

async function namesOf(session: Session, word: string): Promise<string[]> {
  const resource = await session.resource(word);
  const { name: namespace } = await session.namespace();
  const api = await session.api();
  const path = pathOf(resource, resource.isNamespaced ? namespace : undefined);
  const { items = [] } = await api.get<{ items?: Unstructured[] }>(path, namesOnly);
  return items.map(({ metadata }) => metadata.name).sort();
}

/** The values of a flag; undefined where nothing is known. */
export async function valuesOf(
  session: Session,
  flag: string,
  args: readonly string[] = [],
): Promise<string[] | undefined> {
  switch (flag) {
    case "container":
      return containersOf(session, args[0]);
    case "namespace":
      return namesOf(session, "namespaces");
    case "context":
      return [...(await session.config()).contexts.keys()].sort();
    case "cluster":
      return [...(await session.config()).clusters.keys()].sort();
    case "user":
      return [...(await session.config()).users.keys()].sort();
    case "output":
      return outputFormats;
    case "dry-run":
      return ["none", "server", "client"];
    case "cascade":
      return ["background", "orphan", "foreground"];
    default:
      return undefined;
  }
}

/** Of the pod that stands before it on the line. */
async function containersOf(session: Session, argument = ""): Promise<string[]> {
  const pod = argument.replace(/^pods?\//, "");
  if (!pod || pod.includes("/")) return [];
  const { name: namespace } = await session.namespace();
  const api = await session.api();
  return containerNames(await api.get<Pod>(pathOf({ group: "", version: "v1", plural: "pods" }, namespace, pod)));
}

const outputFormats = [
  "json",
  "yaml",
  "name",
  "go-template",
  "go-template-file",
  "template",
  "templatefile",
  "jsonpath",
  "jsonpath-as-json",
  "jsonpath-file",
  "custom-columns",
  "custom-columns-file",
  "wide",
];

async function configNames(session: Session, sub: string, args: readonly string[]): Promise<string[] | undefined> {
  if (args.length > 0) return undefined;
  const config = await session.config();
  const named: Record<string, ReadonlyMap<string, unknown>> = {
    "use-context": config.contexts,
    "delete-context": config.contexts,
    "rename-context": config.contexts,
    "set-context": config.contexts,
    "get-contexts": config.contexts,
    "delete-cluster": config.clusters,
    "set-cluster": config.clusters,
    "delete-user": config.users,
    "set-credentials": config.users,
  };
  return named[sub] && [...named[sub].keys()].sort();
}
