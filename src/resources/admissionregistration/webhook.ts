/** Webhook configurations: whom the API server asks before it stores an object. */
import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from "../../api/admissionregistration/v1.ts";
import { PolicyExpressions } from "../../apimachinery/cel/admission.ts";
import { duplicate, type FieldError, FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { dns1035LabelProblems, dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, integer, name } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validLabelSelector } from "../validation/label-selector.ts";
import { each, obeys, oneOf, optionalOneOf } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { validWebhookClient } from "../validation/webhook-client.ts";
import { validMatchConditions } from "./match-conditions.ts";
import { validRule } from "./operation-rules.ts";
import { reservedNameWarnings } from "./reserved-names.ts";

type Configuration = ValidatingWebhookConfiguration | MutatingWebhookConfiguration;
type Webhook = ValidatingWebhook & Partial<Pick<MutatingWebhook, "reinvocationPolicy">>;

const webhooksPath = FieldPath.root.child("webhooks");
const reviewVersions = ["v1", "v1beta1"];
const group = "admissionregistration.k8s.io/v1";

const shared = {
  beforeCreate(configuration: Configuration) {
    configuration.metadata.generation = 1;
  },
  beforeUpdate(next: Configuration, previous: Configuration) {
    if (!semanticallyEqual(next.webhooks, previous.webhooks)) {
      next.metadata.generation = (previous.metadata.generation ?? 0) + 1;
    }
  },
  validate: ({ webhooks }: Configuration) => validWebhooks(webhooks),
  warnings: reservedNameWarnings,
};

export const validatingWebhookConfigurations = defineResource<ValidatingWebhookConfiguration>({
  ...served(group, "validatingwebhookconfigurations"),
  metadataLooks: { update: ["whole"] },
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  ...shared,
  defaults: ({ webhooks }) => webhooks?.forEach(defaultWebhook),
  columns: [name, integer("Webhooks", ({ webhooks }) => webhooks?.length), age],
});

export const mutatingWebhookConfigurations = defineResource<MutatingWebhookConfiguration>({
  ...served(group, "mutatingwebhookconfigurations"),
  metadataLooks: { update: ["whole"] },
  allowUnconditionalUpdate: false,
  anyFinalizers: true,
  ...shared,
  defaults({ webhooks }) {
    for (const webhook of webhooks ?? []) {
      defaultWebhook(webhook);
      webhook.reinvocationPolicy ??= "Never";
    }
  },
  columns: [name, integer("Webhooks", ({ webhooks }) => webhooks?.length), age],
});

function defaultWebhook(webhook: Webhook): void {
  webhook.failurePolicy ??= "Fail";
  webhook.matchPolicy ??= "Equivalent";
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  for (const rule of webhook.rules ?? []) rule.scope ??= "*";
  if (webhook.clientConfig?.service) webhook.clientConfig.service.port ??= 443;
}

function validWebhooks(webhooks: readonly Webhook[] | undefined): FieldError[] {
  const names = new Set<string>();
  return each(webhooks, webhooksPath, (webhook, path) => {
    const errors = validWebhook(webhook, path);
    errors.push(...validReviewVersions(webhook.admissionReviewVersions, path.child("admissionReviewVersions")));
    if (webhook.name && names.has(webhook.name)) errors.push(duplicate(path.child("name"), webhook.name));
    names.add(webhook.name);
    return errors;
  });
}

function validWebhook(webhook: Webhook, path: FieldPath): FieldError[] {
  const errors = validQualifiedName(webhook.name ?? "", path.child("name"));
  errors.push(...each(webhook.rules, path.child("rules"), validRule));
  errors.push(...optionalOneOf(webhook.failurePolicy, ["Fail", "Ignore"], path.child("failurePolicy")));
  errors.push(...optionalOneOf(webhook.matchPolicy, ["Equivalent", "Exact"], path.child("matchPolicy")));
  const effectsPath = path.child("sideEffects");
  if (!webhook.sideEffects) errors.push(required(effectsPath, "must specify one of None, NoneOnDryRun"));
  else errors.push(...oneOf(webhook.sideEffects, ["None", "NoneOnDryRun"], effectsPath));
  const timeout = webhook.timeoutSeconds ?? 1;
  if (timeout < 1 || timeout > 30) {
    errors.push(invalid(path.child("timeoutSeconds"), timeout, "the timeout value must be between 1 and 30 seconds"));
  }
  errors.push(...validLabelSelector(webhook.namespaceSelector, path.child("namespaceSelector")));
  errors.push(...validLabelSelector(webhook.objectSelector, path.child("objectSelector")));
  errors.push(
    ...optionalOneOf(webhook.reinvocationPolicy, ["IfNeeded", "Never"], path.child("reinvocationPolicy")),
    ...validWebhookClient(webhook.clientConfig, path.child("clientConfig")),
  );
  const conditionsPath = path.child("matchConditions");
  return [...errors, ...validMatchConditions(webhook.matchConditions, conditionsPath, new PolicyExpressions({}))];
}

function validQualifiedName(value: string, path: FieldPath): FieldError[] {
  if (!value) return [required(path)];
  const problems = dns1123SubdomainProblems(value);
  if (problems.length > 0) return [invalid(path, value, problems.join(","))];
  if (value.split(".").length >= 3) return [];
  return [invalid(path, value, "should be a domain with at least three segments separated by dots")];
}

function validReviewVersions(versions: readonly string[] | undefined | null, path: FieldPath): FieldError[] {
  const list = reviewVersions.join(", ");
  if (!versions?.length) return [required(path, `must specify one of ${list}`)];
  const seen = new Set<string>();
  const errors = each(versions, path, (version, at) => {
    if (seen.has(version)) return [invalid(at, version, "duplicate version")];
    seen.add(version);
    return obeys(version, dns1035LabelProblems, at);
  });
  if (!versions.some((version) => reviewVersions.includes(version))) {
    errors.push(invalid(path, versions, `must include at least one of ${list}`));
  }
  return errors;
}
