/** What a FlowSchema matches: whose requests, and for what. */
import type {
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
  Subject,
} from "../../api/flowcontrol/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
} from "../../apimachinery/field-error.ts";
import { dns1123LabelProblems } from "../../apimachinery/name-validation.ts";
import { each, validDnsLabel, validDnsSubdomain } from "../validation/rules.ts";

export function validRule(rule: PolicyRulesWithSubjects, path: FieldPath): FieldError[] {
  const subjectsPath = path.child("subjects");
  const errors = rule.subjects?.length
    ? each(rule.subjects, subjectsPath, validSubject)
    : [required(subjectsPath, "subjects must contain at least one value")];
  if (!rule.resourceRules?.length && !rule.nonResourceRules?.length) {
    errors.push(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"));
  }
  return [
    ...errors,
    ...each(rule.resourceRules, path.child("resourceRules"), validResourceRule),
    ...each(rule.nonResourceRules, path.child("nonResourceRules"), validPathRule),
  ];
}

function validResourceRule(rule: ResourcePolicyRule, path: FieldPath): FieldError[] {
  const { verbs, apiGroups, resources } = rule;
  return [
    ...validVerbs(verbs, path.child("verbs")),
    ...everyOrSome(apiGroups, path.child("apiGroups"), {
      of: "api groups",
      missing: "resource rules must supply at least one api group",
    }),
    ...everyOrSome(resources, path.child("resources"), {
      of: "resources",
      missing: "resource rules must supply at least one resource",
    }),
    ...validNamespaces(rule, path.child("namespaces")),
  ];
}

function validPathRule({ verbs, nonResourceURLs }: NonResourcePolicyRule, path: FieldPath): FieldError[] {
  const pathsPath = path.child("nonResourceURLs");
  return [
    ...validVerbs(verbs, path.child("verbs")),
    ...everyOrSome(nonResourceURLs, pathsPath, {
      of: "non-resource URLs",
      missing: "nonResourceURLs must contain at least one value",
      some: (paths) => each(paths, pathsPath, validUrlPath),
    }),
  ];
}

/** The first thing wrong with a path: `/`, `/healthz`, `/metrics/*`. */
function validUrlPath(url: string, path: FieldPath): FieldError[] {
  const detail = urlPathProblem(url);
  return detail ? [invalid(path, url, detail)] : [];
}

function urlPathProblem(url: string): string | undefined {
  if (url === "") return "must not be empty";
  if (url === "/") return undefined;
  if (!url.startsWith("/")) return "must start with slash";
  if (url.includes(" ")) return "must not contain white-space";
  if (url.includes("//")) return "must not contain double slash";
  const wildcards = url.split("*").length - 1;
  return wildcards > 1 || (wildcards === 1 && !url.endsWith("/*")) ? "wildcard can only do suffix matching" : undefined;
}

const knownVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

function validVerbs(verbs: readonly string[] | null | undefined, path: FieldPath): FieldError[] {
  return everyOrSome(verbs, path, {
    of: "verbs",
    missing: "verbs must contain at least one value",
    // Upstream shows the whole list.
    some: (given) => (given.every((verb) => knownVerbs.includes(verb)) ? [] : [notSupported(path, given, knownVerbs)]),
  });
}

interface Choice {
  /** What else the list holds beside `*`, as the message says it. */
  of: string;
  /** What is said of an empty list. */
  missing: string;
  /** Looks at a list that names what it means. */
  some?(given: readonly string[]): FieldError[];
}

/** Either everything, or some by name. */
function everyOrSome(given: readonly string[] | null | undefined, path: FieldPath, choice: Choice): FieldError[] {
  if (!given?.length) return [required(path, choice.missing)];
  if (!given.includes("*")) return choice.some?.(given) ?? [];
  return given.length > 1 ? [invalid(path, given, `if '*' is present, must not specify other ${choice.of}`)] : [];
}

function validNamespaces({ namespaces, clusterScope }: ResourcePolicyRule, path: FieldPath): FieldError[] {
  if (!namespaces?.length && clusterScope) return [];
  return everyOrSome(namespaces, path, {
    of: "namespaces",
    missing: "resource rules that are not cluster scoped must supply at least one namespace",
    some: (names) =>
      each(names, path, (name, at) =>
        dns1123LabelProblems(name).map((problem) =>
          invalid(at, name, `each member of this list must be '*' or a DNS-1123 label; ${problem}`),
        ),
      ),
  });
}

const parts = ["serviceAccount", "user", "group"] as const;
type Part = (typeof parts)[number];
const kindOf = { serviceAccount: "ServiceAccount", user: "User", group: "Group" } as const;

function validSubject(subject: Subject, path: FieldPath): FieldError[] {
  const own = parts.find((part) => kindOf[part] === subject.kind);
  if (!own) return [notSupported(path.child("kind"), subject.kind ?? "", ["Group", "ServiceAccount", "User"])];
  const others = parts.filter((part) => part !== own && subject[part]);
  return [
    ...validPart(own, subject, path.child(own)),
    ...others.map((part) =>
      forbidden(path.child(part), `${part} is forbidden when subject kind is not '${kindOf[part]}'`),
    ),
  ];
}

function validPart(part: Part, subject: Subject, path: FieldPath): FieldError[] {
  const given = subject[part];
  if (!given) return [required(path, `${part} is required when subject kind is '${kindOf[part]}'`)];
  const namePath = path.child("name");
  const errors = given.name ? [] : [required(namePath)];
  if (part !== "serviceAccount") return errors;
  if (given.name && given.name !== "*") errors.push(...validDnsSubdomain(given.name, namePath));
  const namespacePath = path.child("namespace");
  const namespace = subject.serviceAccount?.namespace;
  return [
    ...errors,
    ...(namespace
      ? validDnsLabel(namespace, namespacePath)
      : [required(namespacePath, "must specify namespace for service account")]),
  ];
}
