/** Upstream's AuthorizationConfiguration (apiserver.config.k8s.io/v1; KEP-3221): whom to ask, in which order, about what. */
import { compile } from "../../apimachinery/cel/compile.ts";
import type { Environment } from "../../apimachinery/cel/environment.ts";
import { kubernetesEnvironment } from "../../apimachinery/cel/kubernetes-environment.ts";
import { parseDuration } from "../../apimachinery/cel/time.ts";
import { listOf, mapOf, objectOf, Text, typeName } from "../../apimachinery/cel/types.ts";
import {
  duplicate,
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";

export interface AuthorizationConfiguration {
  apiVersion: "apiserver.config.k8s.io/v1" | "apiserver.config.k8s.io/v1beta1";
  kind: "AuthorizationConfiguration";
  authorizers: AuthorizerConfiguration[];
}

export type AuthorizerType = "Webhook" | "Node" | "RBAC" | "AlwaysAllow" | "AlwaysDeny";

export interface AuthorizerConfiguration {
  type: AuthorizerType;
  name: string;
  webhook?: WebhookConfiguration;
}

export interface WebhookConfiguration {
  /** How long an answer holds, as Go writes durations; default 5m for "yes", 30s for "no". */
  authorizedTTL?: string;
  unauthorizedTTL?: string;
  /** At most 30s. */
  timeout: string;
  subjectAccessReviewVersion: "v1" | "v1beta1";
  matchConditionSubjectAccessReviewVersion?: "v1";
  /** When nobody answers: ask the next, or refuse. */
  failurePolicy: "NoOpinion" | "Deny";
  connectionInfo: { type: "KubeConfigFile" | "InClusterConfig"; kubeConfigFile?: string };
  /** CEL over `request`, a SubjectAccessReview's spec: all must be true, or the webhook is not asked. */
  matchConditions?: { expression: string }[];
}

// Written out: in conditions every field goes by its own name, `namespace` too, which schemas' types would escape.
const selectorType = objectOf("kubernetes.SelectorAttributes", {
  rawSelector: Text,
  requirements: listOf(objectOf("kubernetes.Requirement", { key: Text, operator: Text, values: listOf(Text) })),
});
const resourceAttributesType = objectOf("kubernetes.ResourceAttributes", {
  namespace: Text,
  verb: Text,
  group: Text,
  version: Text,
  resource: Text,
  subresource: Text,
  name: Text,
  fieldSelector: selectorType,
  labelSelector: selectorType,
});
const requestType = objectOf("kubernetes.SubjectAccessReviewSpec", {
  resourceAttributes: resourceAttributesType,
  nonResourceAttributes: objectOf("kubernetes.NonResourceAttributes", { path: Text, verb: Text }),
  user: Text,
  groups: listOf(Text),
  extra: mapOf(Text, listOf(Text)),
  uid: Text,
});

/** Sees `request`, a SubjectAccessReview's spec. */
export const requestEnvironment: Environment = kubernetesEnvironment({ variables: { request: requestType } });

const knownTypes: readonly AuthorizerType[] = ["AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];

/** Every mistake, in upstream's words; none for a configuration that can be used. */
export function authorizationConfigurationErrors(
  { authorizers = [] }: AuthorizationConfiguration,
  at = FieldPath.root,
): FieldError[] {
  const path = at.child("authorizers");
  if (authorizers.length === 0) return [required(path, "at least one authorization mode must be defined")];
  const [types, names] = [new Set<string>(), new Set<string>()];
  return authorizers.flatMap(({ type, name, webhook }, i): FieldError[] => {
    const place = path.index(i);
    if (!type) return [required(place.child("type"))];
    if (!knownTypes.includes(type)) return [notSupported(place.child("type"), type, knownTypes)];
    if (types.has(type) && type !== "Webhook") return [duplicate(place.child("type"), type)];
    types.add(type);
    const errors = nameErrors(name, names, place.child("name"));
    if (name) names.add(name);
    if (type !== "Webhook") {
      if (!webhook) return errors;
      return [...errors, invalid(place.child("webhook"), "non-null", "may only be specified when type=Webhook")];
    }
    if (!webhook) return [...errors, required(place.child("webhook"), "required when type=Webhook")];
    return [...errors, ...webhookErrors(webhook, place.child("webhook"))];
  });
}

function nameErrors(name: string | undefined, names: ReadonlySet<string>, path: FieldPath): FieldError[] {
  if (!name) return [required(path)];
  if (names.has(name)) return [duplicate(path, name)];
  const problems = dns1123SubdomainProblems(name);
  return problems.length > 0 ? [invalid(path, name, `authorizer name is invalid: ${problems.join(", ")}`)] : [];
}

/** As many conditions a webhook may have. */
const maximumConditions = 64;

function webhookErrors(webhook: WebhookConfiguration, path: FieldPath): FieldError[] {
  const { connectionInfo, matchConditions = [], matchConditionSubjectAccessReviewVersion: version } = webhook;
  const { type, kubeConfigFile } = connectionInfo ?? {};
  const errors = [
    ...durationErrors(webhook.timeout, path.child("timeout"), { mustBe: true, atMostSeconds: 30 }),
    ...durationErrors(webhook.authorizedTTL, path.child("authorizedTTL"), {}),
    ...durationErrors(webhook.unauthorizedTTL, path.child("unauthorizedTTL"), {}),
    ...choiceErrors(webhook.subjectAccessReviewVersion, ["v1", "v1beta1"], path.child("subjectAccessReviewVersion")),
  ];
  const versionPath = path.child("matchConditionSubjectAccessReviewVersion");
  if (version) errors.push(...choiceErrors(version, ["v1"], versionPath));
  else if (matchConditions.length > 0) {
    errors.push(required(versionPath, "required if match conditions are specified"));
  }
  errors.push(...choiceErrors(webhook.failurePolicy, ["NoOpinion", "Deny"], path.child("failurePolicy")));
  const place = path.child("connectionInfo");
  errors.push(...choiceErrors(type, ["InClusterConfig", "KubeConfigFile"], place.child("type")));
  const file = place.child("kubeConfigFile");
  if (type === "KubeConfigFile" && !kubeConfigFile) errors.push(required(file));
  else if (type === "KubeConfigFile" && !kubeConfigFile!.startsWith("/")) {
    errors.push(invalid(file, kubeConfigFile, "must be an absolute path"));
  }
  if (type === "InClusterConfig") {
    if (kubeConfigFile !== undefined) {
      errors.push(invalid(file, kubeConfigFile, "can only be set when type=KubeConfigFile"));
    }
    errors.push(forbidden(place.child("type"), "this server runs in no cluster"));
  }
  return [...errors, ...conditionErrors(matchConditions, path.child("matchConditions"))];
}

function conditionErrors(conditions: readonly { expression: string }[], path: FieldPath): FieldError[] {
  if (conditions.length > maximumConditions) return [tooMany(path, conditions.length, maximumConditions)];
  const seen = new Set<string>();
  return conditions.flatMap(({ expression }, i) => {
    const where = path.index(i).child("expression");
    if (!expression?.trim()) return [required(where)];
    if (seen.has(expression)) return [duplicate(where, expression)];
    seen.add(expression);
    const { program, message } = { message: "", ...compile(expression, requestEnvironment) };
    if (!program) return [invalid(where, expression, `compilation failed: ${message}`)];
    if (program.type.kind === "bool") return [];
    return [invalid(where, expression, `must evaluate to bool but got ${typeName(program.type)}`)];
  });
}

function durationErrors(
  text: string | undefined,
  path: FieldPath,
  { mustBe, atMostSeconds }: { mustBe?: boolean; atMostSeconds?: number },
): FieldError[] {
  if (text === undefined) return mustBe ? [required(path)] : [];
  const nanos = parseDuration(text);
  if (nanos === undefined) return [invalid(path, text, "must be a duration, such as 30s")];
  if (nanos === 0n && mustBe) return [required(path)];
  const isTooLong = atMostSeconds !== undefined && nanos > BigInt(atMostSeconds) * 1_000_000_000n;
  if (nanos > 0n && !isTooLong) return [];
  return [invalid(path, text, atMostSeconds === undefined ? "must be > 0s" : `must be > 0s and <= ${atMostSeconds}s`)];
}

function choiceErrors(value: string | undefined, known: readonly string[], path: FieldPath): FieldError[] {
  if (!value) return [required(path)];
  return known.includes(value) ? [] : [notSupported(path, value, known)];
}
