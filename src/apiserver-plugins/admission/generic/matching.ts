/** Which requests a webhook or a policy is about: rules, selectors, and equivalent resources of other versions. */
import type { NamedRuleWithOperations } from "../../../api/admissionregistration/v1.ts";
import type { LabelSelector } from "../../../api/meta/v1.ts";
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import { Namespaces } from "../../../api/resources.ts";
import { type LabelMatcher, labelSelectorMatcher, SelectorError } from "../../../apimachinery/selectors.ts";
import type { AdmissionRequest } from "../../../apiserver/admission.ts";
import type { ResourceRegistry, ServedResource } from "../../../apiserver/resource-registry.ts";
import type { ObjectReader } from "../../object-reader.ts";

export interface ResourceVersionName {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** As what a request is shown to whoever asked for it. */
export interface MatchedAs {
  readonly resource: ResourceVersionName;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  /** Another version than the request's: its objects are converted for those who asked for this one. */
  readonly converted: ServedResource | undefined;
}

export interface MatchCriteria {
  readonly rules: readonly NamedRuleWithOperations[];
  readonly excludeRules: readonly NamedRuleWithOperations[];
  /** Whether other versions of the same resource count. */
  readonly equivalent: boolean;
  readonly namespaceSelector: LabelMatcher | undefined;
  readonly objectSelector: LabelMatcher | undefined;
}

export function matchCriteria(match: {
  readonly resourceRules?: readonly NamedRuleWithOperations[];
  readonly excludeResourceRules?: readonly NamedRuleWithOperations[];
  readonly matchPolicy?: string;
  readonly namespaceSelector?: DeepReadonly<LabelSelector>;
  readonly objectSelector?: DeepReadonly<LabelSelector>;
}): MatchCriteria {
  return {
    rules: match.resourceRules ?? [],
    excludeRules: match.excludeResourceRules ?? [],
    equivalent: match.matchPolicy !== "Exact",
    namespaceSelector: selectorOf(match.namespaceSelector),
    objectSelector: selectorOf(match.objectSelector),
  };
}

/** Undefined: everything. What cannot be understood was refused when it was written. */
function selectorOf(selector: DeepReadonly<LabelSelector> | undefined): LabelMatcher | undefined {
  if (!selector || (!selector.matchLabels && !selector.matchExpressions?.length)) return undefined;
  try {
    return labelSelectorMatcher(selector as LabelSelector);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

/** Configurations of admission are never judged by it: a mistake in them could not be undone. */
export function isExempt({ definition }: AdmissionRequest): boolean {
  return definition.group === "admissionregistration.k8s.io";
}

export class RequestMatcher {
  readonly #objects: ObjectReader;
  readonly #registry: ResourceRegistry;

  constructor(objects: ObjectReader, registry: ResourceRegistry) {
    this.#objects = objects;
    this.#registry = registry;
  }

  /** Undefined: not concerned. */
  async match(criteria: MatchCriteria, request: AdmissionRequest): Promise<MatchedAs | undefined> {
    const matched = this.matchRules(criteria, request);
    if (!matched) return undefined;
    if (criteria.objectSelector && !matchesObject(criteria.objectSelector, request)) return undefined;
    if (criteria.namespaceSelector && !(await this.#matchesNamespace(criteria.namespaceSelector, request)))
      return undefined;
    return matched;
  }

  /** By rules alone. */
  matchRules({ rules, excludeRules, equivalent }: MatchCriteria, request: AdmissionRequest): MatchedAs | undefined {
    const { definition, kind } = request;
    const own = { group: definition.group, version: definition.version, resource: definition.plural };
    if (excludeRules.some((rule) => ruleMatches(rule, own, request))) return undefined;
    if (rules.some((rule) => ruleMatches(rule, own, request))) return { resource: own, kind, converted: undefined };
    if (!equivalent) return undefined;
    for (const other of this.#equivalents(request)) {
      const resource = { group: other.group, version: other.version, resource: other.plural };
      if (excludeRules.some((rule) => ruleMatches(rule, resource, request))) return undefined;
      if (!rules.some((rule) => ruleMatches(rule, resource, request))) continue;
      // The kinds of subresources (Scale, Eviction) are the same in all versions.
      const ownKind = kind.kind === definition.kind && kind.group === definition.group;
      return {
        resource,
        kind: ownKind ? { group: other.group, version: other.version, kind: other.kind } : kind,
        converted: ownKind ? other : undefined,
      };
    }
    return undefined;
  }

  async namespaceOf(request: AdmissionRequest): Promise<DeepReadonly<KubeObject> | undefined> {
    if (!request.namespace) return undefined;
    return this.#objects.get(Namespaces, "", request.namespace);
  }

  *#equivalents({ definition }: AdmissionRequest): Iterable<ServedResource> {
    const served = this.#registry.find(definition.group, definition.version, definition.plural);
    if (!served) return;
    for (const other of this.#registry.all()) if (other.cache === served.cache && other !== served) yield other;
  }

  async #matchesNamespace(selector: LabelMatcher, request: AdmissionRequest): Promise<boolean> {
    const { definition, object, oldObject } = request;
    if (definition.group === "" && definition.plural === "namespaces") {
      return selector.matches((object ?? oldObject)?.metadata.labels);
    }
    if (!request.namespace) return true;
    const namespace = await this.#objects.get(Namespaces, "", request.namespace);
    return selector.matches(namespace?.metadata.labels);
  }
}

function matchesObject(selector: LabelMatcher, { object, oldObject }: AdmissionRequest): boolean {
  const candidates = [object, oldObject].filter((candidate) => candidate?.metadata !== undefined);
  return candidates.some((candidate) => selector.matches(candidate!.metadata.labels as Record<string, string>));
}

function ruleMatches(rule: NamedRuleWithOperations, resource: ResourceVersionName, request: AdmissionRequest): boolean {
  return (
    allows(rule.operations, request.operation) &&
    allows(rule.apiGroups, resource.group) &&
    allows(rule.apiVersions, resource.version) &&
    (rule.resources ?? []).some((pattern) => resourceMatches(pattern, resource.resource, request.subresource)) &&
    scopeMatches(rule.scope, request) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(request.name))
  );
}

function allows(values: readonly string[] | undefined, value: string): boolean {
  return !!values && (values.includes("*") || values.includes(value));
}

/** `pods` is pods alone, `pods/*` all of its subresources too, as is `*` with `*` for everything. */
function resourceMatches(pattern: string, resource: string, subresource: string): boolean {
  const slash = pattern.indexOf("/");
  const wanted = slash < 0 ? pattern : pattern.slice(0, slash);
  const part = slash < 0 ? "" : pattern.slice(slash + 1);
  return (wanted === "*" || wanted === resource) && (part === "*" || part === subresource);
}

function scopeMatches(scope: string | undefined, { definition }: AdmissionRequest): boolean {
  if (scope === undefined || scope === "" || scope === "*") return true;
  return scope === (definition.scope === "Namespaced" ? "Namespaced" : "Cluster");
}
