/** Which objects a command line means: `pods`, `pods,services`, `pod web`, `pod/web svc/web`, `-f web.yaml`, `-l app=web`, `--all`. */
import { parseLabelSelector } from "../apimachinery/selectors.ts";
import { StatusError } from "../apimachinery/status-error.ts";
import type { Api, Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { type ManifestObject, namesManifests, readManifests } from "./manifests.ts";
import { type ApiResource, apiVersionOf, pathOf, type ResourceCatalog, splitApiVersion } from "./resource-catalog.ts";
import type { Session } from "./session.ts";
import { wellKnownResource } from "./well-known-resources.ts";

/** One object by its name, or the collection that selectors choose from. */
export interface Target {
  resource: ApiResource;
  /** Undefined: cluster-scoped, or all namespaces. */
  namespace: string | undefined;
  /** Undefined: a collection. */
  name: string | undefined;
  /** The object as a manifest has it. */
  local?: Unstructured;
  source?: string;
}

export const selectorFlags: readonly Flag[] = [
  { name: "selector", short: "l", kind: "string", help: "only objects whose labels match" },
  { name: "field-selector", kind: "string", help: "only objects whose fields match" },
];

export const chunkSizeFlag: Flag = {
  name: "chunk-size",
  kind: "int",
  default: 500,
  help: "how many objects to ask for at a time; 0 for all at once",
};

export const allNamespacesFlag: Flag = {
  name: "all-namespaces",
  short: "A",
  kind: "bool",
  help: "objects of every namespace",
};

/** In the order of the command line. Throws a CommandError where it is not clear what is meant. */
export async function targetsOf(session: Session, flags: FlagValues, args: readonly string[]): Promise<Target[]> {
  if (namesManifests(flags)) {
    if (args.length > 0) {
      throw new CommandError(
        "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
      );
    }
    return manifestTargets(session, flags);
  }
  if (args.length === 0) {
    throw new CommandError(
      "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'",
    );
  }
  if (args.some((arg) => arg.includes("/"))) return namedTargets(session, args);
  const [words = "", ...names] = args;
  const { name: namespace } = await session.namespace();
  const everywhere = flagOf(flags, "all-namespaces");
  const resources = (await Promise.all(words.split(",").map((word) => resourcesOf(session, word)))).flat();
  if (names.length > 0 && everywhere) {
    throw new CommandError("a resource cannot be retrieved by name across all namespaces");
  }
  if (names.length > 0 && (stringOf(flags, "selector") || stringOf(flags, "field-selector"))) {
    throw new CommandError("name cannot be provided when a selector is specified");
  }
  if (names.length > 0 && resources.length > 1) {
    throw new CommandError("you may only specify a single resource type");
  }
  return resources.flatMap((resource): Target[] => {
    const place = resource.isNamespaced && !everywhere ? namespace : undefined;
    if (names.length === 0) return [{ resource, namespace: place, name: undefined }];
    return [...new Set(names)].map((name) => ({ resource, namespace: place, name }));
  });
}

/** A category stands for several. */
async function resourcesOf(session: Session, word: string): Promise<ApiResource[]> {
  const known = wellKnownResource(word);
  if (known) return [known];
  const catalog = await session.catalogWith((known) => known.category(word) ?? known.lookUp(word));
  return catalog.category(word) ?? [catalog.find(word)];
}

async function namedTargets(session: Session, args: readonly string[]): Promise<Target[]> {
  const { name: namespace } = await session.namespace();
  const targets: Target[] = [];
  for (const arg of args) {
    const [word = "", name, more] = arg.split("/");
    if (name === undefined) {
      throw new CommandError(
        `there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'`,
      );
    }
    if (more !== undefined || !word || !name) {
      throw new CommandError(`arguments in resource/name form may not have more than one slash`);
    }
    const resource = await session.resource(word);
    targets.push({ resource, namespace: resource.isNamespaced ? namespace : undefined, name });
  }
  return targets;
}

export const localFlag: Flag = { name: "local", kind: "bool", help: "work on the files alone, without a server" };

/** The objects of the files, as --local has it: no server is asked. */
export async function localTargets(
  session: Session,
  flags: FlagValues,
  args: readonly string[],
): Promise<{ target: Target; object: Unstructured }[]> {
  if (!namesManifests(flags) || args.length > 0) {
    throw new CommandError(
      "you must specify resources by --filename when --local is set.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'",
    );
  }
  const selector = parseLabelSelector(stringOf(flags, "selector"));
  const objects = (await readManifests(session, flags)).map(({ object }) => object);
  return objects
    .filter(({ metadata }) => selector.matches(metadata.labels ?? {}))
    .map((object) => ({
      object,
      target: { resource: assumedResource(object), namespace: object.metadata.namespace, name: object.metadata.name },
    }));
}

/** Of what a file or a generator may hold without a server, the kinds that live in no namespace. */
const clusterScoped = ["ClusterRole", "ClusterRoleBinding", "Namespace", "Node", "PersistentVolume", "PriorityClass"];

/** What is known of a kind without asking: enough to name its objects. */
export function assumedResource({ apiVersion = "", kind = "" }: Unstructured): ApiResource {
  const { group, version } = splitApiVersion(apiVersion);
  const singular = kind.toLowerCase();
  const isNamespaced = !clusterScoped.includes(kind);
  const rest = { shortNames: [], categories: [], isNamespaced, verbs: [], subresources: [] };
  return { group, version, kind, singular, plural: `${singular}s`, ...rest };
}

async function manifestTargets(session: Session, flags: FlagValues): Promise<Target[]> {
  // The question to the server is under way while the files are read.
  const asking = session.catalog();
  asking.catch(() => {});
  const objects = await readManifests(session, flags);
  if (objects.length === 0) return [];
  const catalog = await session.catalogWith((known) => objects.every(({ object }) => resourceOf(known, object)));
  const { name: namespace, isChosen } = await session.namespace();
  const selector = parseLabelSelector(stringOf(flags, "selector"));
  const chosen = objects.filter(({ object }) => selector.matches(object.metadata.labels ?? {}));
  const target = ({ object, source }: ManifestObject): Target => {
    const resource = resourceOf(catalog, object);
    if (!resource) throw unknownKind(object, source);
    const own = object.metadata.namespace;
    if (resource.isNamespaced && own && isChosen && own !== namespace) {
      throw new CommandError(
        `the namespace from the provided object ${JSON.stringify(own)} does not match the namespace ${JSON.stringify(namespace)}. You must pass '--namespace=${own}' to perform this operation.`,
      );
    }
    if (resource.isNamespaced) object.metadata.namespace ??= namespace;
    const place = resource.isNamespaced ? object.metadata.namespace : undefined;
    // Without a name it is not the whole collection.
    return { resource, namespace: place, name: object.metadata.name ?? "", local: object, source };
  };
  const targets: Target[] = [];
  for (const each of chosen) {
    await session.attempt(() => {
      targets.push(target(each));
    });
  }
  return targets;
}

/** An object that does not say its version is of the kind's preferred one. */
function resourceOf(catalog: ResourceCatalog, { apiVersion, kind }: Unstructured): ApiResource | undefined {
  return apiVersion ? catalog.ofKind(apiVersion, kind!) : catalog.preferred().find((each) => each.kind === kind);
}

function unknownKind({ apiVersion, kind, metadata }: Unstructured, source: string): CommandError {
  return new CommandError(
    `resource mapping not found for name: ${JSON.stringify(metadata.name ?? "")} namespace: ${JSON.stringify(metadata.namespace ?? "")} from ${JSON.stringify(source)}: no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}\nensure CRDs are installed first`,
  );
}

/** The path to read a target at, selectors included. */
export function targetPath(target: Target, flags?: FlagValues, more: Record<string, string> = {}): string {
  const path = pathOf(target.resource, target.namespace, target.name);
  const query = new URLSearchParams(more);
  if (flags && target.name === undefined) {
    const [labels, fields] = [stringOf(flags, "selector"), stringOf(flags, "field-selector")];
    if (labels) query.set("labelSelector", labels);
    if (fields) query.set("fieldSelector", fields);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

/** Every object that the targets stand for, as the server has it now. What cannot be read is kept in `session.failures`. */
export async function fetchTargets(
  session: Session,
  flags: FlagValues,
  targets: readonly Target[],
): Promise<{ target: Target; object: Unstructured }[]> {
  const api = await session.api();
  const found: { target: Target; object: Unstructured }[] = [];
  for (const target of targets) {
    await session.attempt(async () => {
      if (target.name !== undefined) {
        found.push({ target, object: await readOne(api, target) });
        return;
      }
      for (const object of await listAll(session, target, flags)) {
        const { name, namespace } = object.metadata;
        found.push({ target: { ...target, name, namespace: namespace ?? undefined }, object });
      }
    });
  }
  return found;
}

/** The same, and what cannot be read is an error at once. */
export async function fetchNamed(
  session: Session,
  flags: FlagValues,
  args: readonly string[],
): Promise<{ target: Target; object: Unstructured }[]> {
  const found = await fetchTargets(session, flags, await targetsOf(session, flags, args));
  const failure = session.failures.pop();
  if (failure !== undefined) throw failure;
  return found;
}

/** An object that has no name is as its file has it. */
export async function readOne(
  api: Api,
  target: Target,
  path = targetPath(target),
  accept?: string,
): Promise<Unstructured> {
  return target.name === "" && target.local ? target.local : api.get(path, accept);
}

/** The work of asking for a collection, whose failure says what was sought. */
export async function whileListing<T>({ resource }: Target, flags: FlagValues, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof StatusError) || !["BadRequest", "NotFound"].includes(error.reason)) throw error;
    const [labels, fields] = [stringOf(flags, "selector"), stringOf(flags, "field-selector")];
    const what = JSON.stringify(`${resource.group}/${resource.version}, Resource=${resource.plural}`);
    const sought =
      labels || fields
        ? `find ${what} that match label selector ${JSON.stringify(labels)}, field selector ${JSON.stringify(fields)}`
        : `list ${what}`;
    const { code, reason, message, details } = error;
    throw new StatusError(code, reason, `Unable to ${sought}: ${message}`, details);
  }
}

/** A whole collection, page by page; its items carry their kind. */
export async function listAll(session: Session, target: Target, flags: FlagValues): Promise<Unstructured[]> {
  const api = await session.api();
  const { resource } = target;
  const items: Unstructured[] = [];
  const limit = flags.knows("chunk-size") ? flags.number("chunk-size") : Number(chunkSizeFlag.default);
  const page: Record<string, string> = limit > 0 ? { limit: String(limit) } : {};
  let token: string | undefined;
  do {
    const path = targetPath(target, flags, { ...page, ...(token ? { continue: token } : {}) });
    const list = await whileListing(
      target,
      flags,
      api.get<{ items?: Unstructured[] | null; metadata?: { continue?: string } }>(path),
    );
    for (const item of list.items ?? []) {
      items.push({ ...item, apiVersion: apiVersionOf(resource), kind: resource.kind });
    }
    token = list.metadata?.continue;
  } while (token);
  return items;
}

function flagOf(flags: FlagValues, name: string): boolean {
  return flags.has(name) && flags.bool(name);
}

function stringOf(flags: FlagValues, name: string): string {
  return flags.has(name) ? flags.string(name) : "";
}
