/** PodSecurity: holds pods to the level that their namespace's labels ask for. */
import type { Namespace, Pod, PodTemplateSpec } from "../../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import { Namespaces, Pods } from "../../../api/resources.ts";
import { duplicate, type FieldError, FieldPath, invalid } from "../../../apimachinery/field-error.ts";
import { dns1123LabelProblems, dns1123SubdomainProblems } from "../../../apimachinery/name-validation.ts";
import { deepEqual } from "../../../apimachinery/patch/deep-equal.ts";
import { invalidError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import type { ObjectReader } from "../../object-reader.ts";
import { refuse } from "../refusal.ts";
import { type CheckedPod, seccompAnnotations, type Violation, violations } from "./checks.ts";
import {
  isTightened,
  type LabelProblem,
  type LevelVersion,
  labelPrefix,
  levelText,
  type Mode,
  modes,
  type Policy,
  policyOf,
  privileged,
} from "./level.ts";

export interface PodSecurityOptions {
  objects: ObjectReader;
  /** Default: namespaces that say nothing are privileged, and nobody is exempt. */
  configuration?: PodSecurityConfiguration;
}

/** pod-security.admission.config.k8s.io/v1. */
export interface PodSecurityConfiguration {
  /** For namespaces that say nothing, by the names of their labels: `enforce`, `enforce-version`. */
  defaults?: Readonly<Record<string, string>>;
  /** Who is not held to anything. */
  exemptions?: Exemptions;
}

interface Exemptions {
  readonly usernames?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly runtimeClasses?: readonly string[];
}

const everythingAllowed: Policy = { enforce: privileged, audit: privileged, warn: privileged };

/** Every mistake, in upstream's words. */
export function podSecurityConfigurationErrors(configuration: object): string[] {
  const { defaults = {}, exemptions = {} } = configuration as PodSecurityConfiguration;
  const lists = ["usernames", "namespaces", "runtimeClasses"] as const;
  const known = modes.flatMap((mode) => [mode, `${mode}-version`]);
  const strange = [
    ...unknownKeys(configuration, ["apiVersion", "kind", "defaults", "exemptions"]),
    ...unknownKeys(defaults, known, "defaults."),
    ...unknownKeys(exemptions, lists, "exemptions."),
  ];
  const { problems } = policyOf(labelsOf(defaults), everythingAllowed);
  const errors = [
    ...problems.map(({ label, value, message }) =>
      invalid(FieldPath.root.child("defaults", label.slice(labelPrefix.length)), value, message),
    ),
    ...lists.flatMap((list) => exemptionErrors(list, exemptions[list] ?? [])),
  ];
  return [...strange.map((key) => `unknown field ${JSON.stringify(key)}`), ...errors.map(fieldText)];
}

const fieldText = ({ field, message }: FieldError) => `${field}: ${message}`;

function unknownKeys(object: object, known: readonly string[], prefix = ""): string[] {
  return Object.keys(object).flatMap((key) => (known.includes(key) ? [] : [prefix + key]));
}

function exemptionErrors(list: keyof Exemptions, values: readonly string[]): FieldError[] {
  const path = FieldPath.root.child("exemptions", list);
  const problemOf = (value: string): string | undefined => {
    if (list === "usernames") return value === "" ? "username must not be empty" : undefined;
    return (list === "namespaces" ? dns1123LabelProblems : dns1123SubdomainProblems)(value)[0];
  };
  return values.flatMap((value, i) => {
    const problem = problemOf(value);
    if (problem) return [invalid(path.index(i), value, problem)];
    return values.indexOf(value) < i ? [duplicate(path.index(i), value)] : [];
  });
}

function labelsOf(defaults: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(defaults).map(([key, value]) => [labelPrefix + key, value]));
}

const templated = new Set([
  "replicationcontrollers",
  "podtemplates",
  "replicasets.apps",
  "deployments.apps",
  "statefulsets.apps",
  "daemonsets.apps",
  "jobs.batch",
  "cronjobs.batch",
]);

/** As many existing pods are looked at when a namespace is tightened. */
const maximumExisting = 3000;

export function podSecurity({ objects, configuration = {} }: PodSecurityOptions): AdmissionPlugin {
  const { exemptions = {} } = configuration;
  const defaults = policyOf(labelsOf(configuration.defaults ?? {}), everythingAllowed).policy;
  return {
    name: "PodSecurity",
    handles({ definition: { group, plural }, subresource, operation }) {
      if (operation !== "CREATE" && operation !== "UPDATE") return false;
      if (group === "" && plural === "pods") return subresource === "" || subresource === "ephemeralcontainers";
      if (subresource !== "") return false;
      return (group === "" && plural === "namespaces") || templated.has(group ? `${plural}.${group}` : plural);
    },
    async validate(request) {
      const { definition, user } = request;
      if (definition.plural === "namespaces") return namespaceChange(request, objects, defaults, exemptions);
      if (exemptions.namespaces?.includes(request.namespace)) return annotateExempt(request, "namespace");
      if (exemptions.usernames?.includes(user.name)) return annotateExempt(request, "user");
      const namespace = (await objects.get(Namespaces, "", request.namespace)) as DeepReadonly<Namespace> | undefined;
      const { policy, problems } = policyOf(namespace?.metadata.labels, defaults);
      const { enforce, audit, warn } = policy;
      const tells = audit.level !== "privileged" || warn.level !== "privileged" || problems.length > 0;
      if (definition.plural === "pods") {
        if (tells || enforce.level !== "privileged")
          return podChange(request, { policy, problems }, exemptions.runtimeClasses);
        request.annotate(enforcedAnnotation, levelText(privileged));
        return;
      }
      const template = tells ? templateOf(request.object) : undefined;
      if (!template?.spec) return;
      tellProblems(request, problems);
      if (exemptions.runtimeClasses?.includes(template.spec.runtimeClassName ?? ""))
        return annotateExempt(request, "runtimeClass");
      warnAndAudit({ metadata: template.metadata ?? {}, spec: template.spec }, policy, request);
    },
  };
}

function annotateExempt(request: AdmissionRequest, by: string): void {
  request.annotate("pod-security.kubernetes.io/exempt", by);
}

const enforcedAnnotation = "pod-security.kubernetes.io/enforce-policy";

/** For the audit log alone: whoever labelled the namespace was told then. */
function tellProblems(request: AdmissionRequest, problems: readonly LabelProblem[]): void {
  if (problems.length === 0) return;
  const texts = labelErrors(problems).map(fieldText);
  const text = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  request.annotate("pod-security.kubernetes.io/error", `Failed to parse policy: ${text}`);
}

function labelErrors(problems: readonly LabelProblem[]): FieldError[] {
  const path = FieldPath.root.child("metadata", "labels");
  return problems.map(({ label, value, message }) => invalid(path.key(label), value, message));
}

function podChange(
  request: AdmissionRequest,
  { policy, problems }: { policy: Policy; problems: readonly LabelProblem[] },
  runtimeClasses: readonly string[] | undefined,
): void {
  const pod = request.object as unknown as Pod;
  if (request.operation === "UPDATE" && !isSignificant(pod, request.oldObject as unknown as DeepReadonly<Pod>)) return;
  if (runtimeClasses?.includes(pod.spec.runtimeClassName ?? "")) {
    annotateExempt(request, "runtimeClass");
    return;
  }
  tellProblems(request, problems);
  request.annotate(enforcedAnnotation, levelText(policy.enforce));
  const found = violations(pod, policy.enforce);
  warnAndAudit(pod, policy, request, found.length > 0);
  if (found.length > 0)
    throw refuse(request, `violates PodSecurity ${JSON.stringify(levelText(policy.enforce))}: ${listed(found)}`);
}

/** Of what a pod may change while it runs: images and what is added count, labels, annotations and tolerations do not. */
function isSignificant(pod: Pod, before: DeepReadonly<Pod>): boolean {
  type Part = { readonly name: string; readonly image?: string };
  const differs = (one: Part, other: Part | undefined) => {
    if (!other || one.image !== other.image) return true;
    const key = seccompAnnotations.container + one.name;
    return pod.metadata.annotations?.[key] !== before.metadata.annotations?.[key];
  };
  const inPlace = (now: readonly Part[] = [], then: readonly Part[] = []) =>
    now.length !== then.length || now.some((container, i) => differs(container, then[i]));
  const standing = before.spec.ephemeralContainers ?? [];
  return (
    inPlace(pod.spec.containers, before.spec.containers) ||
    inPlace(pod.spec.initContainers, before.spec.initContainers) ||
    (pod.spec.ephemeralContainers ?? []).some((added) =>
      differs(
        added,
        standing.find(({ name }) => name === added.name),
      ),
    )
  );
}

/** Whoever is refused is not warned beside it. */
function warnAndAudit(pod: CheckedPod, policy: Policy, request: AdmissionRequest, isRefused = false): void {
  const violating = (level: LevelVersion, found = violations(pod, level)) =>
    found.length > 0 ? `would violate PodSecurity ${JSON.stringify(levelText(level))}: ${listed(found)}` : undefined;
  const audited = violating(policy.audit);
  if (audited) request.annotate("pod-security.kubernetes.io/audit-violations", audited);
  const warned = isRefused ? undefined : violating(policy.warn);
  if (warned) request.warn(warned);
}

function listed(found: readonly Violation[]): string {
  return found.map(({ reason, detail }) => (detail ? `${reason} (${detail})` : reason)).join(", ");
}

function templateOf(object: KubeObject | undefined): PodTemplateSpec | undefined {
  const { spec, template } = (object ?? {}) as {
    template?: PodTemplateSpec;
    spec?: { template?: PodTemplateSpec; jobTemplate?: { spec?: { template?: PodTemplateSpec } } };
  };
  return template ?? spec?.template ?? spec?.jobTemplate?.spec?.template;
}

/** Labels that cannot be understood are refused; pods that a new level would not let in are named in warnings. */
async function namespaceChange(
  request: AdmissionRequest,
  objects: ObjectReader,
  defaults: Policy,
  exemptions: Exemptions,
): Promise<void> {
  const { labels } = request.object!.metadata;
  const next = policyOf(labels, defaults);
  const before = request.oldObject && policyOf(request.oldObject.metadata.labels, defaults);
  if (next.problems.length > 0 && (!before || !deepEqual(next.problems, before.problems))) {
    throw invalidError({ group: "", kind: "Namespace" }, request.name, labelErrors(next.problems));
  }
  if (before && !isTightened(before.policy.enforce, next.policy.enforce)) return;
  if (exemptions.namespaces?.includes(request.name)) {
    const ignored = ignoredPolicy(labels, next.policy, defaults);
    if (ignored !== undefined)
      request.warn(
        `namespace ${JSON.stringify(request.name)} is exempt from Pod Security, and the policy (${ignored}) will be ignored`,
      );
    return;
  }
  if (!before) return;
  const all = (await objects.list(Pods, request.name)) as readonly DeepReadonly<Pod>[];
  const pods = oneOfEachFirst(
    all.filter(({ spec }) => !exemptions.runtimeClasses?.includes(spec.runtimeClassName ?? "")),
  );
  if (pods.length > maximumExisting)
    request.warn(
      `new PodSecurity enforce level only checked against the first ${maximumExisting} of ${pods.length} existing pods`,
    );
  const byReasons = new Map<string, string[]>();
  for (const pod of pods.slice(0, maximumExisting)) {
    const found = violations(pod, next.policy.enforce);
    if (found.length === 0) continue;
    const reasons = found.map(({ reason }) => reason).join(", ");
    byReasons.set(reasons, [...(byReasons.get(reasons) ?? []), pod.metadata.name]);
  }
  if (byReasons.size === 0) return;
  request.warn(
    `existing pods in namespace ${JSON.stringify(request.name)} violate the new PodSecurity enforce level ${JSON.stringify(levelText(next.policy.enforce))}`,
  );
  for (const text of [...byReasons].map(([reasons, pods]) => `${podsText(pods.sort())}: ${reasons}`).sort())
    request.warn(text);
}

/** What an exempt namespace's labels ask for in vain; undefined: nothing. */
function ignoredPolicy(
  labels: Readonly<Record<string, string>> | undefined,
  policy: Policy,
  defaults: Policy,
): string | undefined {
  const isPrivileged = modes.every((mode) => policy[mode].level === "privileged");
  const isDefault = modes.every((mode) => levelText(policy[mode]) === levelText(defaults[mode]));
  if (isPrivileged || isDefault) return undefined;
  const isSet = (mode: Mode) =>
    policy[mode].level !== "privileged" &&
    (labels?.[labelPrefix + mode] !== undefined || labels?.[`${labelPrefix}${mode}-version`] !== undefined);
  return modes
    .filter(isSet)
    .map((mode) => `${mode}=${levelText(policy[mode])}`)
    .join(", ");
}

/** Copies of the same controller's come last: what is wrong with one is wrong with all. */
function oneOfEachFirst(pods: readonly DeepReadonly<Pod>[]): DeepReadonly<Pod>[] {
  const seen = new Set<string>();
  const copies: DeepReadonly<Pod>[] = [];
  const first = pods.filter((pod) => {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller)?.uid;
    if (owner === undefined || !seen.has(owner)) {
      if (owner !== undefined) seen.add(owner);
      return true;
    }
    copies.push(pod);
    return false;
  });
  return [...first, ...copies];
}

function podsText([first, ...others]: readonly string[]): string {
  if (others.length === 0) return first!;
  return `${first} (and ${others.length} other ${others.length === 1 ? "pod" : "pods"})`;
}
