/** What the server serves, and which of it a user means by `po`, `deploy.apps` or `pods.v1.` (kubectl's RESTMapper). */
import { CommandError } from "./command-error.ts";

export interface ApiResource {
  group: string;
  version: string;
  kind: string;
  plural: string;
  singular: string;
  shortNames: readonly string[];
  categories: readonly string[];
  isNamespaced: boolean;
  verbs: readonly string[];
  subresources: readonly string[];
}

export class ResourceCatalog {
  /** Core first, then the groups in the server's order; of each group its preferred version first. */
  readonly resources: readonly ApiResource[];

  /** Whether it was read from disk: the server may serve more by now. */
  readonly isRemembered: boolean;

  constructor(resources: readonly ApiResource[], isRemembered = false) {
    this.resources = resources;
    this.isRemembered = isRemembered;
  }

  /** Every resource once, in its preferred version. */
  preferred(): ApiResource[] {
    const seen = new Set<string>();
    return this.resources.filter(({ group, plural }) => {
      const key = `${plural}.${group}`;
      return !seen.has(key) && seen.add(key);
    });
  }

  /** `all`, or the name of another category; undefined when no category has this name. */
  category(name: string): ApiResource[] | undefined {
    const members = this.preferred().filter(({ categories }) => categories.includes(name));
    return members.length > 0 ? members : undefined;
  }

  /** The resource a user's word means. Throws a CommandError when the server has no such one. */
  find(word: string): ApiResource {
    const found = this.lookUp(word);
    if (found) return found;
    throw new CommandError(`the server doesn't have a resource type ${JSON.stringify(word.split(".")[0])}`);
  }

  /** The resource that an object in a manifest is of. */
  ofKind(apiVersion: string, kind: string): ApiResource | undefined {
    const { group, version } = splitApiVersion(apiVersion);
    return this.resources.find(
      (resource) => resource.kind === kind && resource.group === group && resource.version === version,
    );
  }

  /** The same, undefined when the server has no such one. */
  lookUp(word: string): ApiResource | undefined {
    // Short names are known as they are written, the others however they are.
    const [asWritten = "", ...rest] = word.split(".");
    const name = asWritten.toLowerCase();
    const candidates = this.resources.filter(
      ({ plural, singular, shortNames, kind }) =>
        plural === name || singular === name || kind.toLowerCase() === name || shortNames.includes(asWritten),
    );
    if (rest.length === 0) return candidates[0];
    const [first, ...others] = rest;
    const group = rest.join(".");
    return (
      (others.length > 0
        ? candidates.find((each) => each.version === first && each.group === others.join("."))
        : undefined) ??
      candidates.find((each) => each.group === group) ??
      candidates.find((each) => each.group.startsWith(group))
    );
  }
}

/** `apps/v1` → apps, v1; `v1` → the core group. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const [first = "", second] = apiVersion.split("/");
  return second === undefined ? { group: "", version: first } : { group: first, version: second };
}

/** `apps/v1`, `v1`. */
export function apiVersionOf({ group, version }: ApiResource): string {
  return group ? `${group}/${version}` : version;
}

/** `deployment.apps`, `pod`: what stands before the slash in `-o name` and in what commands report. */
export function kindText({ kind, group }: Pick<ApiResource, "kind" | "group">): string {
  return group ? `${kind.toLowerCase()}.${group}` : kind.toLowerCase();
}

/** The path of a collection, or of one object in it. `namespace` undefined: cluster-scoped, or all namespaces. */
export function pathOf(
  { group, version, plural }: Pick<ApiResource, "group" | "version" | "plural">,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const base = group ? `/apis/${group}/${version}` : `/api/${version}`;
  const place = namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const object = name === undefined ? "" : `/${encodeURIComponent(name)}`;
  return `${base}${place}/${plural}${object}${subresource ? `/${subresource}` : ""}`;
}
