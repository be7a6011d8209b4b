/** ApplySets (KEP-3659): what was applied together is labelled, and a parent object tells which kinds and namespaces to prune in. */
import { createHash } from "node:crypto";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import type { Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { Flag } from "../flags.ts";
import { type ApiResource, apiVersionOf, pathOf } from "../resource-catalog.ts";
import type { Session } from "../session.ts";
import { fetchTargets, type Target } from "../targets.ts";
import { dryRunOf } from "../writing.ts";
import { pruneObject } from "./apply-prune.ts";

/** There only for users who say so in the environment, as the feature is alpha. */
export const applySetFlags: readonly Flag[] =
  process.env["KUBECTL_APPLYSET"] === "true"
    ? [
        {
          name: "applyset",
          kind: "string",
          help: "[RESOURCE.GROUP/]NAME of the set's parent object, by default a Secret",
        },
      ]
    : [];

const idLabel = "applyset.kubernetes.io/id";
const memberLabel = "applyset.kubernetes.io/part-of";
const parentLabel = "applyset.kubernetes.io/is-parent-type";
const toolingAnnotation = "applyset.kubernetes.io/tooling";
const kindsAnnotation = "applyset.kubernetes.io/contains-group-kinds";
const namespacesAnnotation = "applyset.kubernetes.io/additional-namespaces";
const tooling = "kubectl/v1.36.0";

/** A set that is being applied. */
export interface ApplySet {
  resource: ApiResource;
  namespace: string | undefined;
  name: string;
  id: string;
  /** What the parent knew before this apply. */
  before: Contents;
}

/** Where members may be: `Deployment.apps`, and namespaces other than the parent's. */
interface Contents {
  groupKinds: ReadonlySet<string>;
  namespaces: ReadonlySet<string>;
}

/** The set that the command line names; undefined where it names none. Throws a CommandError for one that is not ours. */
export async function applySetOf({ session, flags }: Invocation): Promise<ApplySet | undefined> {
  if (!flags.knows("applyset") || !flags.string("applyset")) return undefined;
  if (!flags.bool("prune")) throw new CommandError("--applyset requires --prune");
  for (const other of ["all", "selector", "prune-allowlist"]) {
    if (flags.has(other)) throw new CommandError(`--${other} is incompatible with --applyset`);
  }
  const reference = flags.string("applyset");
  const at = reference.indexOf("/");
  const [word, name] = at < 0 ? ["secrets", reference] : [reference.slice(0, at), reference.slice(at + 1)];
  const resource = name.includes("/")
    ? undefined
    : (await session.catalogWith((catalog) => catalog.lookUp(word))).lookUp(word);
  if (!resource) {
    throw new CommandError(`invalid parent reference ${JSON.stringify(reference)}: no matches for /, Resource=${word}`);
  }
  const { name: chosen, isChosen } = await session.namespace();
  if (resource.isNamespaced && !isChosen) {
    throw new CommandError("namespace is required to use namespace-scoped ApplySet");
  }
  const namespace = resource.isNamespaced ? chosen : undefined;
  const identity = createHash("sha256").update(`${name}.${namespace ?? ""}.${resource.kind}.${resource.group}`);
  const id = `applyset-${identity.digest("base64url")}-v1`;
  await checkParentKind(session, resource);
  const before = await contentsOf(session, { resource, namespace, name, id });
  return { resource, namespace, name, id, before };
}

const isBuiltIn = ({ group, plural }: ApiResource): boolean =>
  group === "" && (plural === "secrets" || plural === "configmaps");

/** Custom kinds are parents only where their definition says so. */
async function checkParentKind(session: Session, resource: ApiResource): Promise<void> {
  if (isBuiltIn(resource)) return;
  const api = await session.api();
  const definitions = { group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions" };
  const found = await api
    .get(pathOf(definitions, undefined, `${resource.plural}.${resource.group}`))
    .catch((error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)));
  if (found?.metadata.labels?.[parentLabel] === "true") return;
  throw new CommandError(
    `resource ${JSON.stringify(`${resource.group}/${resource.version}, Resource=${resource.plural}`)} is not permitted as an ApplySet parent`,
  );
}

async function contentsOf(session: Session, { resource, namespace, name, id }: Omit<ApplySet, "before">) {
  const api = await session.api();
  const subject = `${resource.plural}.${resource.group}/${name}`;
  const parent = await api
    .get(pathOf(resource, namespace, name))
    .catch((error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)));
  if (!parent) {
    if (isBuiltIn(resource)) return { groupKinds: new Set<string>(), namespaces: new Set<string>() };
    throw new CommandError("custom resource ApplySet parents cannot be created automatically");
  }
  const { labels = {}, annotations = {} } = parent.metadata;
  const manager = annotations[toolingAnnotation];
  if (manager === undefined) {
    throw new CommandError(
      `ApplySet parent object ${JSON.stringify(subject)} already exists and is missing required annotation ${JSON.stringify(toolingAnnotation)}`,
    );
  }
  if (!manager.startsWith("kubectl/")) {
    throw new CommandError(
      `ApplySet parent object ${JSON.stringify(subject)} already exists and is managed by tooling ${JSON.stringify(manager)} instead of "kubectl"`,
    );
  }
  if (labels[idLabel] === undefined) {
    throw new CommandError(
      `ApplySet parent object ${JSON.stringify(subject)} exists and does not have required label ${idLabel}`,
    );
  }
  if (labels[idLabel] !== id) {
    throw new CommandError(
      `ApplySet parent object ${JSON.stringify(subject)} exists and has incorrect value for label ${JSON.stringify(idLabel)} (got: ${labels[idLabel]}, want: ${id})`,
    );
  }
  const split = (text = "") => new Set(text.split(",").filter(Boolean));
  return { groupKinds: split(annotations[kindsAnnotation]), namespaces: split(annotations[namespacesAnnotation]) };
}

/** Labels the objects as members, and has the parent know of every place where members were or will be. */
export async function beginApplySet(invocation: Invocation, set: ApplySet, targets: readonly Target[]): Promise<void> {
  for (const { local } of targets) {
    const { metadata } = local!;
    if (metadata.labels?.[memberLabel] !== undefined) {
      throw new CommandError(`ApplySet label ${JSON.stringify(memberLabel)} already set in input data`);
    }
    metadata.labels = { ...metadata.labels, [memberLabel]: set.id };
  }
  await writeParent(invocation, set, together(set.before, contentsOfTargets(set, targets)));
}

/** Deletes the members that this apply did not name, then has the parent forget their places. */
export async function pruneApplySet(
  invocation: Invocation,
  set: ApplySet,
  targets: readonly Target[],
  applied: readonly Unstructured[],
): Promise<void> {
  const { session } = invocation;
  const now = contentsOfTargets(set, targets);
  const all = together(set.before, now);
  const catalog = await session.freshCatalog();
  const kept = new Set(applied.map(({ metadata }) => metadata.uid));
  const namespaces = [...(set.namespace === undefined ? [] : [set.namespace]), ...all.namespaces];
  for (const groupKind of [...all.groupKinds].sort()) {
    const [kind = "", ...group] = groupKind.split(".");
    const resource = catalog.preferred().find((each) => each.kind === kind && each.group === group.join("."));
    if (!resource)
      throw new CommandError(
        `could not find mapping for kind in ${JSON.stringify(kindsAnnotation)} annotation: ${groupKind}`,
      );
    for (const namespace of resource.isNamespaced ? namespaces : [undefined]) {
      await pruneMembers(invocation, set, { resource, namespace, name: undefined }, kept);
    }
  }
  await writeParent(invocation, set, now);
}

async function pruneMembers(
  { session, flags }: Invocation,
  { id }: ApplySet,
  place: Target,
  kept: ReadonlySet<unknown>,
): Promise<void> {
  for (const { target, object } of await fetchTargets(session, flags, [place])) {
    if (object.metadata.labels?.[memberLabel] !== id || kept.has(object.metadata.uid)) continue;
    await pruneObject(session, flags, target);
  }
}

function contentsOfTargets({ namespace: own }: ApplySet, targets: readonly Target[]): Contents {
  return {
    groupKinds: new Set(targets.map(({ resource: { kind, group } }) => (group ? `${kind}.${group}` : kind))),
    namespaces: new Set(
      targets.flatMap(({ namespace }) => (namespace === undefined || namespace === own ? [] : [namespace])),
    ),
  };
}

function together(a: Contents, b: Contents): Contents {
  return {
    groupKinds: new Set([...a.groupKinds, ...b.groupKinds]),
    namespaces: new Set([...a.namespaces, ...b.namespaces]),
  };
}

async function writeParent({ session, flags }: Invocation, set: ApplySet, contents: Contents): Promise<void> {
  if (dryRunOf(flags) === "client") return;
  const api = await session.api();
  const query = new URLSearchParams({
    ...(dryRunOf(flags) === "server" ? { dryRun: "All" } : {}),
    fieldManager: "kubectl-applyset",
    force: "false",
  });
  const sorted = (names: ReadonlySet<string>) => [...names].sort().join(",");
  await api.call("PATCH", `${pathOf(set.resource, set.namespace, set.name)}?${query}`, {
    contentType: "application/apply-patch+yaml",
    body: {
      apiVersion: apiVersionOf(set.resource),
      kind: set.resource.kind,
      metadata: {
        name: set.name,
        ...(set.namespace === undefined ? {} : { namespace: set.namespace }),
        annotations: {
          [toolingAnnotation]: tooling,
          [kindsAnnotation]: sorted(contents.groupKinds),
          [namespacesAnnotation]: sorted(contents.namespaces),
        },
        labels: { [idLabel]: set.id },
      },
    },
  });
}
