/** Where a pod may run: affinity, tolerations, spreading and gates. */
import type {
  Affinity,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinity,
  PodAffinityTerm,
  PodSpec,
  Toleration,
} from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
} from "../../../apimachinery/field-error.ts";
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from "../../../apimachinery/name-validation.ts";
import { validLabelSelector } from "../../validation/label-selector.ts";
import { each, obeys, oneOf, optionalOneOf } from "../../validation/rules.ts";

const requiredField = "requiredDuringSchedulingIgnoredDuringExecution";
const preferredField = "preferredDuringSchedulingIgnoredDuringExecution";
export const taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

export function validAffinity(affinity: Affinity | undefined, path: FieldPath): FieldError[] {
  if (!affinity) return [];
  const errors: FieldError[] = [];
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity;
  if (nodeAffinity) {
    const at = path.child("nodeAffinity");
    if (nodeAffinity[requiredField]) {
      errors.push(...validNodeSelector(nodeAffinity[requiredField].nodeSelectorTerms, at.child(requiredField)));
    }
    errors.push(
      ...each(nodeAffinity[preferredField], at.child(preferredField), ({ weight, preference }, term) => [
        ...validWeight(weight, term.child("weight")),
        // Values that no label can have do no harm where the term is only a preference.
        ...validNodeSelectorTerm(preference, term.child("preference"), true),
      ]),
    );
  }
  if (podAffinity) errors.push(...validPodAffinity(podAffinity, path.child("podAffinity")));
  if (podAntiAffinity) errors.push(...validPodAffinity(podAntiAffinity, path.child("podAntiAffinity")));
  return errors;
}

function validWeight(weight: number, path: FieldPath): FieldError[] {
  return weight >= 1 && weight <= 100 ? [] : [invalid(path, weight, "must be in the range 1-100")];
}

export function validNodeSelector(
  terms: readonly NodeSelectorTerm[] | undefined | null,
  path: FieldPath,
): FieldError[] {
  const termsPath = path.child("nodeSelectorTerms");
  if (!terms?.length) return [required(termsPath, "must have at least one node selector term")];
  return each(terms, termsPath, (term, at) => validNodeSelectorTerm(term, at, false));
}

function validNodeSelectorTerm(
  term: NodeSelectorTerm | undefined,
  path: FieldPath,
  allowInvalidValues: boolean,
): FieldError[] {
  return [
    ...each(term?.matchExpressions, path.child("matchExpressions"), (requirement, at) => [
      ...validNodeRequirement(requirement, at),
      ...(allowInvalidValues
        ? []
        : each(requirement.values, at.child("values"), (value, valuePath) =>
            obeys(value, labelValueProblems, valuePath),
          )),
    ]),
    ...each(term?.matchFields, path.child("matchFields"), validNodeFieldRequirement),
  ];
}

function validNodeRequirement({ key, operator, values }: NodeSelectorRequirement, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const valuesPath = path.child("values");
  switch (operator) {
    case "In":
    case "NotIn":
      if (!values?.length) errors.push(required(valuesPath, "must be specified when `operator` is 'In' or 'NotIn'"));
      break;
    case "Exists":
    case "DoesNotExist":
      if (values?.length) {
        errors.push(forbidden(valuesPath, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      }
      break;
    case "Gt":
    case "Lt":
      if (values?.length !== 1) {
        errors.push(required(valuesPath, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      }
      break;
    default:
      errors.push(invalid(path.child("operator"), operator, "not a valid selector operator"));
  }
  return [...errors, ...obeys(key, qualifiedNameProblems, path.child("key"))];
}

function validNodeFieldRequirement({ key, operator, values }: NodeSelectorRequirement, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (operator !== "In" && operator !== "NotIn") {
    errors.push(invalid(path.child("operator"), operator, "not a valid selector operator"));
  } else if (values?.length !== 1) {
    const detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    errors.push(required(path.child("values"), detail));
  }
  if (key !== "metadata.name") return [...errors, invalid(path.child("key"), key, "not a valid field selector key")];
  return [...errors, ...each(values, path.child("values"), (value, at) => obeys(value, dns1123SubdomainProblems, at))];
}

function validPodAffinity(affinity: PodAffinity, path: FieldPath): FieldError[] {
  return [
    ...each(affinity[requiredField], path.child(requiredField), validPodAffinityTerm),
    ...each(affinity[preferredField], path.child(preferredField), ({ weight, podAffinityTerm }, at) => [
      ...validWeight(weight, at.child("weight")),
      ...validPodAffinityTerm(podAffinityTerm, at.child("podAffinityTerm")),
    ]),
  ];
}

function validPodAffinityTerm(term: PodAffinityTerm, path: FieldPath): FieldError[] {
  const topologyPath = path.child("topologyKey");
  return [
    ...validLabelSelector(term.labelSelector, path.child("labelSelector")),
    ...validLabelSelector(term.namespaceSelector, path.child("namespaceSelector")),
    ...(term.namespaces ?? []).flatMap((name) => obeys(name, dns1123LabelProblems, path.child("namespace"))),
    ...validMatchLabelKeys(term, term.mismatchLabelKeys, path),
    ...(term.topologyKey ? [] : [required(topologyPath, "can not be empty")]),
    ...obeys(term.topologyKey ?? "", qualifiedNameProblems, topologyPath),
  ];
}

type KeyedSelector = Pick<PodAffinityTerm, "labelSelector" | "matchLabelKeys">;

/** Keys whose values come from the pod's own labels: of an affinity or of a spread constraint. */
function validMatchLabelKeys(
  { labelSelector, matchLabelKeys }: KeyedSelector,
  mismatchLabelKeys: readonly string[] | undefined,
  path: FieldPath,
): FieldError[] {
  const keysPath = path.child("matchLabelKeys");
  const errors = [
    ...validLabelKeys(matchLabelKeys, labelSelector, keysPath),
    ...validLabelKeys(mismatchLabelKeys, labelSelector, path.child("mismatchLabelKeys")),
  ];
  // The keys' own requirements are in the selector by now: a key is wrong when it was there before.
  const seen = new Set(Object.keys(labelSelector?.matchLabels ?? {}));
  for (const { key } of labelSelector?.matchExpressions ?? []) {
    const index = matchLabelKeys?.indexOf(key) ?? -1;
    if (index >= 0 && seen.has(key)) {
      errors.push(invalid(path.index(index), key, "exists in both matchLabelKeys and labelSelector"));
    }
    seen.add(key);
  }
  for (const [index, key] of (matchLabelKeys ?? []).entries()) {
    if (mismatchLabelKeys?.includes(key)) {
      errors.push(invalid(keysPath.index(index), key, "exists in both matchLabelKeys and mismatchLabelKeys"));
    }
  }
  return errors;
}

function validLabelKeys(
  keys: readonly string[] | undefined,
  labelSelector: PodAffinityTerm["labelSelector"],
  path: FieldPath,
): FieldError[] {
  if (!keys?.length) return [];
  if (!labelSelector) return [forbidden(path, "must not be specified when labelSelector is not set")];
  return each(keys, path, (key, at) => obeys(key, qualifiedNameProblems, at));
}

/** Puts what the pod's own labels say about matchLabelKeys and mismatchLabelKeys into the selectors. Mutates. */
export function resolveLabelKeys(spec: PodSpec, labels: Readonly<Record<string, string>> | undefined): void {
  const add = (selector: KeyedSelector["labelSelector"], keys: readonly string[] | undefined, operator: string) => {
    if (!selector) return;
    for (const key of keys ?? []) {
      const value = labels?.[key];
      if (value === undefined) continue;
      selector.matchExpressions = [...(selector.matchExpressions ?? []), { key, operator, values: [value] }];
    }
  };
  for (const affinity of [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity]) {
    const terms = [
      ...(affinity?.[preferredField] ?? []).map(({ podAffinityTerm }) => podAffinityTerm),
      ...(affinity?.[requiredField] ?? []),
    ];
    for (const term of terms) {
      add(term.labelSelector, term.matchLabelKeys, "In");
      add(term.labelSelector, term.mismatchLabelKeys, "NotIn");
    }
  }
  for (const { labelSelector, matchLabelKeys } of spec.topologySpreadConstraints ?? []) {
    add(labelSelector, matchLabelKeys, "In");
  }
}

export function validTolerations(tolerations: readonly Toleration[] | undefined, path: FieldPath): FieldError[] {
  return each(tolerations, path, (toleration, at) => {
    const { key = "", operator = "", value = "", effect = "", tolerationSeconds } = toleration;
    const operatorPath = at.child("operator");
    const errors = key ? obeys(key, qualifiedNameProblems, at.child("key")) : [];
    if (!key && operator !== "Exists") {
      const detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      errors.push(invalid(operatorPath, operator, detail));
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      errors.push(invalid(at.child("effect"), effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (operator === "Equal" || operator === "") {
      const problems = labelValueProblems(value);
      if (problems.length > 0) errors.push(invalid(operatorPath, value, problems.join(";")));
    } else if (operator === "Exists") {
      if (value) {
        const detail = "value must be empty when `operator` is 'Exists'";
        errors.push(invalid(operatorPath, value, detail));
      }
    } else {
      // The comparisons are known, and not enabled.
      const compares = operator === "Lt" || operator === "Gt";
      errors.push(notSupported(operatorPath, operator, ["Equal", "Exists", ...(compares ? ["Lt", "Gt"] : [])]));
    }
    if (effect) errors.push(...oneOf(effect, taintEffects, at.child("effect")));
    return errors;
  });
}

export function validTopologySpread(constraints: PodSpec["topologySpreadConstraints"], path: FieldPath): FieldError[] {
  return each(constraints, path, (constraint, at, index) => {
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains } = constraint;
    const errors: FieldError[] = [];
    if (maxSkew <= 0) errors.push(invalid(at.child("maxSkew"), maxSkew, "must be greater than zero"));
    if (!topologyKey) errors.push(required(at.child("topologyKey"), "can not be empty"));
    errors.push(...oneOf(whenUnsatisfiable, ["DoNotSchedule", "ScheduleAnyway"], at.child("whenUnsatisfiable")));
    const repeated = constraints
      ?.slice(index + 1)
      .some((other) => other.topologyKey === topologyKey && other.whenUnsatisfiable === whenUnsatisfiable);
    if (repeated) {
      const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
      errors.push(duplicate(at.child("{topologyKey, whenUnsatisfiable}"), pair));
    }
    if (minDomains !== undefined) {
      if (minDomains <= 0) errors.push(invalid(at.child("minDomains"), minDomains, "must be greater than zero"));
      if (whenUnsatisfiable !== "DoNotSchedule") {
        const detail = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`;
        errors.push(invalid(at.child("minDomains"), minDomains, detail));
      }
    }
    const policies = ["Honor", "Ignore"];
    errors.push(...optionalOneOf(constraint.nodeAffinityPolicy, policies, at.child("nodeAffinityPolicy")));
    errors.push(...optionalOneOf(constraint.nodeTaintsPolicy, policies, at.child("nodeTaintsPolicy")));
    errors.push(...validMatchLabelKeys(constraint, undefined, at));
    errors.push(...validLabelSelector(constraint.labelSelector, at.child("labelSelector")));
    return errors;
  });
}

export function validSchedulingGates(gates: PodSpec["schedulingGates"], path: FieldPath): FieldError[] {
  const seen = new Set<string>();
  return each(gates, path, ({ name }, at) => {
    const errors = obeys(name, qualifiedNameProblems, at);
    if (seen.has(name)) errors.push(duplicate(at, name));
    seen.add(name);
    return errors;
  });
}
