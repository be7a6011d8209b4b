/** PodSecurity: holds pods to the level that their namespace's labels ask for. */
import type { Namespace, Pod, PodTemplateSpec } from "../../../api/core/v1.ts";
import type { DeepReadonly, KubeObject } from "../../../api/object.ts";
import { Namespaces, Pods } from "../../../api/resources.ts";
import { FieldPath, invalid } from "../../../apimachinery/field-error.ts";
import { deepEqual } from "../../../apimachinery/patch/deep-equal.ts";
import { invalidError } from "../../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../../apiserver/admission.ts";
import type { ObjectReader } from "../../object-reader.ts";
import { refuse } from "../refusal.ts";
import { type CheckedPod, type Violation, violations } from "./checks.ts";
import { isTightened, type LevelVersion, levelText, type Policy, policyOf, privileged } from "./level.ts";

export interface PodSecurityOptions {
  objects: ObjectReader;
  /** For namespaces that say nothing. Default: privileged. */
  defaults?: Policy;
  /** Who is not held to anything. */
  exemptions?: {
    readonly usernames?: readonly string[];
    readonly namespaces?: readonly string[];
    readonly runtimeClasses?: readonly string[];
  };
}

const everythingAllowed: Policy = { enforce: privileged, audit: privileged, warn: privileged };

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

export function podSecurity({
  objects,
  defaults = everythingAllowed,
  exemptions = {},
}: PodSecurityOptions): AdmissionPlugin {
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
      if (definition.plural === "namespaces") return namespaceChange(request, objects, defaults, exemptions.namespaces);
      if (exemptions.namespaces?.includes(request.namespace)) return annotateExempt(request, "namespace");
      if (exemptions.usernames?.includes(user.name)) return annotateExempt(request, "user");
      const namespace = (await objects.get(Namespaces, "", request.namespace)) as DeepReadonly<Namespace> | undefined;
      const { policy } = policyOf(namespace?.metadata.labels, defaults);
      if (definition.plural === "pods") return podChange(request, policy, exemptions.runtimeClasses);
      const template = templateOf(request.object);
      if (!template?.spec) return;
      if (exemptions.runtimeClasses?.includes(template.spec.runtimeClassName ?? ""))
        return annotateExempt(request, "runtimeClass");
      warnAndAudit({ metadata: template.metadata ?? {}, spec: template.spec }, policy, request);
    },
  };
}

function annotateExempt(request: AdmissionRequest, by: string): void {
  request.annotate("pod-security.kubernetes.io/exempt", by);
}

function podChange(request: AdmissionRequest, policy: Policy, runtimeClasses: readonly string[] | undefined): void {
  const pod = request.object as unknown as Pod;
  if (request.operation === "UPDATE" && !isSignificant(pod, request.oldObject as unknown as DeepReadonly<Pod>)) return;
  if (runtimeClasses?.includes(pod.spec.runtimeClassName ?? "")) {
    annotateExempt(request, "runtimeClass");
    return;
  }
  if (policy.enforce.level !== "privileged") {
    request.annotate("pod-security.kubernetes.io/enforce-policy", levelText(policy.enforce));
  }
  const found = violations(pod, policy.enforce);
  if (found.length > 0)
    throw refuse(request, `violates PodSecurity ${JSON.stringify(levelText(policy.enforce))}: ${listed(found)}`);
  warnAndAudit(pod, policy, request);
}

/** What a pod may change while it runs cannot break its level, but for containers that are added. */
function isSignificant(pod: Pod, before: DeepReadonly<Pod>): boolean {
  const essence = ({ metadata, spec }: DeepReadonly<Pod>) => ({
    annotations: metadata.annotations,
    spec: {
      ...spec,
      containers: spec.containers.map((container) => ({ ...container, image: "" })),
      initContainers: (spec.initContainers ?? []).map((container) => ({ ...container, image: "" })),
      tolerations: undefined,
      activeDeadlineSeconds: undefined,
      terminationGracePeriodSeconds: undefined,
      schedulingGates: undefined,
    },
  });
  return !deepEqual(essence(pod), essence(before));
}

function warnAndAudit(pod: CheckedPod, policy: Policy, request: AdmissionRequest): void {
  const violating = (level: LevelVersion, found = violations(pod, level)) =>
    found.length > 0 ? `would violate PodSecurity ${JSON.stringify(levelText(level))}: ${listed(found)}` : undefined;
  const audited = violating(policy.audit);
  if (audited) request.annotate("pod-security.kubernetes.io/audit-violations", audited);
  const warned = violating(policy.warn);
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
  exempt: readonly string[] | undefined,
): Promise<void> {
  const { labels } = request.object!.metadata;
  const next = policyOf(labels, defaults);
  const before = request.oldObject && policyOf(request.oldObject.metadata.labels, defaults);
  if (next.problems.length > 0 && (!before || !deepEqual(next.problems, before.problems))) {
    const path = FieldPath.root.child("metadata", "labels");
    const errors = next.problems.map(({ label, value, message }) => invalid(path.key(label), value, message));
    throw invalidError({ group: "", kind: "Namespace" }, request.name, errors);
  }
  if (!before || exempt?.includes(request.name) || !isTightened(before.policy.enforce, next.policy.enforce)) return;
  const pods = (await objects.list(Pods, request.name)) as readonly DeepReadonly<Pod>[];
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
  for (const text of [...byReasons].map(([reasons, pods]) => `${podsText(pods)}: ${reasons}`).sort())
    request.warn(text);
}

function podsText([first, ...others]: readonly string[]): string {
  if (others.length === 0) return first!;
  return `${first} (and ${others.length} other ${others.length === 1 ? "pod" : "pods"})`;
}
