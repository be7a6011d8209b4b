/** Upstream's AuthorizationConfiguration (apiserver.config.k8s.io/v1; KEP-3221): whom to ask, in which order, about what. */
import { compile } from "../../apimachinery/cel/compile.ts";
import type { Environment } from "../../apimachinery/cel/environment.ts";
import { kubernetesEnvironment } from "../../apimachinery/cel/kubernetes-environment.ts";
import { parseDuration } from "../../apimachinery/cel/time.ts";
import { listOf, mapOf, objectOf, Text } from "../../apimachinery/cel/types.ts";
import {
  duplicate,
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
} from "../../apimachinery/field-error.ts";

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

const types: readonly AuthorizerType[] = ["AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"];

/** Every mistake, in upstream's words; none for a configuration that can be used. */
export function authorizationConfigurationErrors(
  { authorizers = [] }: AuthorizationConfiguration,
  at = FieldPath.root,
): FieldError[] {
  const path = at.child("authorizers");
  if (authorizers.length === 0) return [required(path, "at least one authorization mode must be defined")];
  const errors: FieldError[] = [];
  for (const [i, { type, name, webhook }] of authorizers.entries()) {
    const place = path.index(i);
    if (!types.includes(type)) errors.push(notSupported(place.child("type"), type, types));
    else if (type !== "Webhook" && authorizers.findIndex((one) => one.type === type) < i) {
      errors.push(duplicate(place.child("type"), type));
    }
    if (!name) errors.push(required(place.child("name")));
    else if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
      errors.push(invalid(place.child("name"), name, "authorizer name is invalid, must be a DNS1123 subdomain"));
    } else if (authorizers.findIndex((one) => one.name === name) < i) errors.push(duplicate(place.child("name"), name));
    if (type === "Webhook") {
      errors.push(
        ...(webhook
          ? webhookErrors(webhook, place.child("webhook"))
          : [required(place.child("webhook"), "required when type=Webhook")]),
      );
    } else if (webhook) {
      errors.push(invalid(place.child("webhook"), "non-null", "may only be specified when type=Webhook"));
    }
  }
  return errors;
}

function webhookErrors(webhook: WebhookConfiguration, path: FieldPath): FieldError[] {
  const errors = [
    ...durationErrors(webhook.timeout, path.child("timeout"), { mustBe: true, atMostMs: 30_000 }),
    ...durationErrors(webhook.authorizedTTL, path.child("authorizedTTL"), {}),
    ...durationErrors(webhook.unauthorizedTTL, path.child("unauthorizedTTL"), {}),
    ...choiceErrors(webhook.subjectAccessReviewVersion, ["v1", "v1beta1"], path.child("subjectAccessReviewVersion")),
    ...choiceErrors(webhook.failurePolicy, ["NoOpinion", "Deny"], path.child("failurePolicy")),
  ];
  const { type, kubeConfigFile } = webhook.connectionInfo ?? {};
  const place = path.child("connectionInfo");
  errors.push(...choiceErrors(type, ["InClusterConfig", "KubeConfigFile"], place.child("type")));
  if (type === "KubeConfigFile" && !kubeConfigFile) errors.push(required(place.child("kubeConfigFile")));
  if (type === "KubeConfigFile" && kubeConfigFile && !kubeConfigFile.startsWith("/")) {
    errors.push(invalid(place.child("kubeConfigFile"), kubeConfigFile, "must be an absolute path"));
  }
  if (type === "InClusterConfig") errors.push(forbidden(place.child("type"), "this server runs in no cluster"));
  const { matchConditions = [], matchConditionSubjectAccessReviewVersion: version } = webhook;
  if (matchConditions.length > 0) {
    errors.push(...choiceErrors(version, ["v1"], path.child("matchConditionSubjectAccessReviewVersion")));
  }
  for (const [i, { expression }] of matchConditions.entries()) {
    const where = path.child("matchConditions").index(i).child("expression");
    if (!expression?.trim()) {
      errors.push(required(where));
      continue;
    }
    const { program, message } = { message: "", ...compile(expression, requestEnvironment) };
    if (!program) errors.push(invalid(where, expression, `compilation failed: ${message}`));
    else if (program.type.kind !== "bool") errors.push(invalid(where, expression, "must evaluate to bool"));
  }
  return errors;
}

function durationErrors(
  text: string | undefined,
  path: FieldPath,
  { mustBe, atMostMs }: { mustBe?: boolean; atMostMs?: number },
): FieldError[] {
  if (text === undefined) return mustBe ? [required(path)] : [];
  const nanos = parseDuration(text);
  if (nanos === undefined) return [invalid(path, text, "must be a duration, such as 30s")];
  if (nanos <= 0n) return [invalid(path, text, "must be > 0s")];
  if (atMostMs && nanos > BigInt(atMostMs) * 1_000_000n) return [invalid(path, text, `must be <= ${atMostMs / 1000}s`)];
  return [];
}

function choiceErrors(value: string | undefined, known: readonly string[], path: FieldPath): FieldError[] {
  if (!value) return [required(path)];
  return known.includes(value) ? [] : [notSupported(path, value, known)];
}
