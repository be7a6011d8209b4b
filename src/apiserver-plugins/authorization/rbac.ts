/** Role-based access control (upstream's RBAC authorizer): who was bound to which rules, found by subject without a search. */

import type { DeepReadonly } from "../../api/object.ts";
import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from "../../api/rbac/v1.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import { type Attributes, type Authorizer, allow, type Decision } from "../../apiserver/authorization.ts";

type Binding = DeepReadonly<RoleBinding | ClusterRoleBinding>;
type AnyRole = DeepReadonly<Role | ClusterRole>;

/** One rule, with the binding and the subject (as the index keys it) through which a user has it. */
export interface Grant {
  rule: DeepReadonly<PolicyRule>;
  binding: Binding;
  subject: string;
}

/** The grants of one subject in one namespace. */
interface SortedGrants {
  /** By group and resource with a slash between, as the rules write both, stars included. */
  byResource: Map<string, Grant[]>;
  byPath: Grant[];
  missing: string[];
}

/** What decisions read. Whoever watches the four kinds keeps it current; deciding never waits. */
export class RbacIndex {
  /** By `namespace/name`; cluster roles under `/name`. */
  readonly #roles = new Map<string, readonly DeepReadonly<PolicyRule>[]>();
  readonly #bindings = new Map<string, Binding>();
  /** Bindings by `namespace` (empty for cluster-wide ones), then by subject. */
  readonly #bySubject = new Map<string, Map<string, Set<Binding>>>();
  /** What a subject may do, sorted by what is asked for; made when it is first asked, of the subject's bindings. */
  #sorted = new Map<string, Map<string, SortedGrants>>();

  setRole(role: AnyRole): void {
    this.#sorted = new Map();
    this.#roles.set(roleKey(role.metadata.namespace, role.metadata.name), role.rules ?? []);
  }

  deleteRole(role: AnyRole): void {
    this.#sorted = new Map();
    this.#roles.delete(roleKey(role.metadata.namespace, role.metadata.name));
  }

  setBinding(binding: Binding): void {
    this.deleteBinding(binding);
    const namespace = binding.metadata.namespace ?? "";
    this.#bindings.set(roleKey(namespace, binding.metadata.name), binding);
    const subjects = this.#subjectsOf(namespace);
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, namespace);
      const bindings = subjects.get(key) ?? new Set();
      subjects.set(key, bindings.add(binding));
      this.#sorted.get(namespace)?.delete(key);
    }
  }

  deleteBinding(binding: Binding): void {
    const namespace = binding.metadata.namespace ?? "";
    const key = roleKey(namespace, binding.metadata.name);
    const previous = this.#bindings.get(key);
    if (!previous) return;
    this.#bindings.delete(key);
    const subjects = this.#subjectsOf(namespace);
    for (const subject of previous.subjects ?? []) {
      const bindings = subjects.get(subjectKey(subject, namespace));
      bindings?.delete(previous);
      if (bindings?.size === 0) subjects.delete(subjectKey(subject, namespace));
      this.#sorted.get(namespace)?.delete(subjectKey(subject, namespace));
    }
  }

  /** Every rule that `user` has: cluster-wide ones, and those of `namespace` when it is given. Missing roles are reported and skipped. */
  *rulesFor(user: UserInfo, namespace: string, missing?: string[]): Iterable<Grant> {
    yield* this.#rulesIn("", user, missing);
    if (namespace) yield* this.#rulesIn(namespace, user, missing);
  }

  /** The first grant that fits: cluster-wide ones first, then those of the namespace. Missing roles are reported when there is none. */
  find(asked: Attributes, missing: string[]): Grant | undefined {
    const keys = asked.isResource ? resourceKeys(asked) : [];
    for (const namespace of asked.namespace ? ["", asked.namespace] : [""]) {
      if (!this.#bySubject.has(namespace)) continue;
      for (const subject of subjectKeys(asked.user)) {
        const grants = this.#sortedGrants(namespace, subject);
        if (!grants) continue;
        const found = asked.isResource ? findByResource(grants, keys, asked) : findByPath(grants, asked);
        if (found) return found;
        missing.push(...grants.missing);
      }
    }
    return undefined;
  }

  #sortedGrants(namespace: string, subject: string): SortedGrants | undefined {
    const known = this.#sorted.get(namespace)?.get(subject);
    if (known) return known;
    const bindings = this.#bySubject.get(namespace)?.get(subject);
    if (!bindings) return undefined;
    const sorted = this.#sort(namespace, subject, bindings);
    let ofNamespace = this.#sorted.get(namespace);
    if (!ofNamespace) this.#sorted.set(namespace, (ofNamespace = new Map()));
    ofNamespace.set(subject, sorted);
    return sorted;
  }

  #sort(namespace: string, subject: string, bindings: Iterable<Binding>): SortedGrants {
    const sorted: SortedGrants = { byResource: new Map(), byPath: [], missing: [] };
    // Where several bindings allow the same, which one is named as the reason does not depend on who came first.
    const inOrder = [...bindings].sort((a, b) => (a.metadata.name < b.metadata.name ? 1 : -1));
    for (const grant of this.#grants(namespace, subject, inOrder, sorted.missing)) {
      const { apiGroups = [], resources = [], nonResourceURLs = [] } = grant.rule;
      if (nonResourceURLs.length > 0) sorted.byPath.push(grant);
      for (const key of new Set(apiGroups.flatMap((group) => resources.map((resource) => `${group}/${resource}`)))) {
        const grants = sorted.byResource.get(key);
        if (grants) grants.push(grant);
        else sorted.byResource.set(key, [grant]);
      }
    }
    return sorted;
  }

  *#rulesIn(namespace: string, user: UserInfo, missing: string[] | undefined): Iterable<Grant> {
    const subjects = this.#bySubject.get(namespace);
    if (!subjects) return;
    for (const key of subjectKeys(user)) yield* this.#grants(namespace, key, subjects.get(key) ?? [], missing);
  }

  *#grants(
    namespace: string,
    subject: string,
    bindings: Iterable<Binding>,
    missing: string[] | undefined,
  ): Iterable<Grant> {
    for (const binding of bindings) {
      const { kind, name } = binding.roleRef;
      const rules = this.#roles.get(roleKey(kind === "Role" ? namespace : "", name));
      if (rules) for (const rule of rules) yield { rule, binding, subject };
      else missing?.push(`${kind.toLowerCase()}.rbac.authorization.k8s.io ${JSON.stringify(name)} not found`);
    }
  }

  #subjectsOf(namespace: string): Map<string, Set<Binding>> {
    let subjects = this.#bySubject.get(namespace);
    if (!subjects) {
      subjects = new Map();
      this.#bySubject.set(namespace, subjects);
    }
    return subjects;
  }
}

export class RbacAuthorizer implements Authorizer {
  readonly name = "RBAC";
  readonly #index: RbacIndex;

  constructor(index: RbacIndex) {
    this.#index = index;
  }

  authorize(attributes: Attributes): Decision {
    // Bound in every cluster, and asked for by every administrator's request: not worth a look.
    if (attributes.user.groups.includes("system:masters")) return allow;
    const missing: string[] = [];
    const grant = this.#index.find(attributes, missing);
    if (grant) return { kind: "allow", reason: explain(grant) };
    return { kind: "no-opinion", reason: missing.length > 0 ? `RBAC: ${missing.join(", ")}` : "" };
  }
}

function explain({ binding, subject }: Grant): string {
  const { kind, metadata, roleRef } = binding;
  const where = metadata.namespace ? `${metadata.name}/${metadata.namespace}` : metadata.name;
  return `RBAC: allowed by ${kind} ${JSON.stringify(where)} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${subjectText(subject)}`;
}

function subjectText(key: string): string {
  const name = key.slice(2);
  if (key.startsWith("g:")) return `Group ${JSON.stringify(name)}`;
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(name);
  return account ? `ServiceAccount ${JSON.stringify(`${account[2]}/${account[1]}`)}` : `User ${JSON.stringify(name)}`;
}

/** Whether one rule grants what is asked. */
export function ruleAllows(rule: DeepReadonly<PolicyRule>, asked: Attributes): boolean {
  if (!matches(rule.verbs, asked.verb)) return false;
  if (!asked.isResource) return (rule.nonResourceURLs ?? []).some((pattern) => urlMatches(pattern, asked.path));
  return (
    matches(rule.apiGroups, asked.group) &&
    resourceMatches(rule.resources, asked.resource, asked.subresource) &&
    ((rule.resourceNames ?? []).length === 0 || (rule.resourceNames ?? []).includes(asked.name))
  );
}

function matches(allowed: readonly string[] | undefined, asked: string): boolean {
  return allowed?.some((item) => item === "*" || item === asked) ?? false;
}

/** Every way in which a rule may write what is asked for. */
function resourceKeys({ group, resource, subresource }: Attributes): string[] {
  const names = subresource ? [`${resource}/${subresource}`, `*/${subresource}`, "*"] : [resource, "*"];
  return [group, "*"].flatMap((one) => names.map((name) => `${one}/${name}`));
}

function findByResource({ byResource }: SortedGrants, keys: readonly string[], asked: Attributes): Grant | undefined {
  for (const key of keys) {
    for (const grant of byResource.get(key) ?? []) {
      const { verbs, resourceNames } = grant.rule;
      if (matches(verbs, asked.verb) && (!resourceNames?.length || resourceNames.includes(asked.name))) return grant;
    }
  }
  return undefined;
}

function findByPath({ byPath }: SortedGrants, asked: Attributes): Grant | undefined {
  return byPath.find(({ rule }) => ruleAllows(rule, asked));
}

/** `*` grants all; `pods/log` one subresource; `*` before the slash that subresource of every resource. */
function resourceMatches(allowed: readonly string[] | undefined, resource: string, subresource: string): boolean {
  const asked = subresource ? `${resource}/${subresource}` : resource;
  return (
    allowed?.some((item) => item === "*" || item === asked || (subresource !== "" && item === `*/${subresource}`)) ??
    false
  );
}

/** A trailing `*` grants everything below. */
function urlMatches(pattern: string, path: string): boolean {
  if (pattern === "*" || pattern === path) return true;
  return pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1));
}

function roleKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ""}/${name}`;
}

function subjectKey(subject: DeepReadonly<Subject>, bindingNamespace: string): string {
  if (subject.kind === "Group") return `g:${subject.name}`;
  if (subject.kind === "ServiceAccount") {
    return `u:system:serviceaccount:${subject.namespace || bindingNamespace}:${subject.name}`;
  }
  return `u:${subject.name}`;
}

function* subjectKeys(user: UserInfo): Iterable<string> {
  yield `u:${user.name}`;
  for (const group of user.groups) yield `g:${group}`;
}
