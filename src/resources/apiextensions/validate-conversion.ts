/** How a CustomResourceDefinition's objects are converted between its versions, as far as it may be said so. */
import type { CustomResourceConversion, CustomResourceDefinition } from "../../api/apiextensions/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
  spec,
} from "../../apimachinery/field-error.ts";
import { dns1035LabelProblems } from "../../apimachinery/name-validation.ts";
import { obeys } from "../validation/rules.ts";
import { validCaBundle, validWebhookClient } from "../validation/webhook-client.ts";

export const isEstablished = ({ status: stands }: CustomResourceDefinition) =>
  stands?.conditions?.some(({ type, status: value }) => type === "Established" && value === "True") ?? false;

export function validateConversion(
  conversion: CustomResourceConversion | undefined,
  previous: CustomResourceDefinition | undefined,
): FieldError[] {
  if (!conversion) return [];
  const path = spec.child("conversion");
  const { strategy, webhook } = conversion;
  const errors: FieldError[] = [];
  if (!strategy) errors.push(required(path.child("strategy")));
  else if (strategy !== "None" && strategy !== "Webhook")
    errors.push(notSupported(path.child("strategy"), strategy, ["None", "Webhook"]));
  const config = webhook?.clientConfig;
  const at = path.child("webhookClientConfig");
  const versions = webhook?.conversionReviewVersions ?? [];
  const versionsPath = path.child("conversionReviewVersions");
  if (strategy !== "Webhook") {
    const why = "should not be set when strategy is not set to Webhook";
    if (config) errors.push(forbidden(at, why));
    if (versions.length > 0) errors.push(forbidden(versionsPath, why));
    return errors;
  }
  if (!config) errors.push(required(at, "required when strategy is set to Webhook"));
  else {
    const { caBundle } = config;
    errors.push(...validWebhookClient(config, at));
    // Until it serves, and where it was bad before, a definition may have a bad one.
    const before = previous?.spec.conversion?.webhook?.clientConfig?.caBundle;
    const mayBeBad =
      !previous || !isEstablished(previous) || (before && validCaBundle(before, at.child("caBundle")).length > 0);
    if (caBundle && !mayBeBad) errors.push(...validCaBundle(caBundle, at.child("caBundle")));
  }
  errors.push(...validateReviewVersions(versions, versionsPath, previous));
  return errors;
}

const isKnownReview = (version: string) => version === "v1" || version === "v1beta1";

function validateReviewVersions(
  versions: readonly string[],
  path: FieldPath,
  previous: CustomResourceDefinition | undefined,
): FieldError[] {
  if (versions.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  versions.forEach((version, i) => {
    if (seen.has(version)) errors.push(invalid(path.index(i), version, "duplicate version"));
    else errors.push(...obeys(version, dns1035LabelProblems, path.index(i)));
    seen.add(version);
  });
  const before = previous?.spec.conversion?.webhook?.conversionReviewVersions ?? [];
  const mustBeKnown = before.length === 0 || before.some(isKnownReview);
  if (mustBeKnown && !versions.some(isKnownReview))
    errors.push(invalid(path, versions, "must include at least one of v1, v1beta1"));
  return errors;
}
