/** Asks another server whether somebody may do something (upstream: authorizers of type Webhook). */
import type { SubjectAccessReview, SubjectAccessReviewSpec } from "../../api/authorization/v1.ts";
import { parseDuration } from "../../apimachinery/cel/time.ts";
import { type LabelOperator, parseFieldSelector, parseLabelSelector } from "../../apimachinery/selectors.ts";
import { type Attributes, type Authorizer, allow, type Decision } from "../../apiserver/authorization.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { MatchConditions } from "../admission/generic/match-conditions.ts";
import type { WebhookCaller, WebhookTarget } from "../webhooks/webhook-caller.ts";
import { requestEnvironment, type WebhookConfiguration } from "./authorization-configuration.ts";

export interface WebhookAuthorizerOptions {
  name: string;
  /** Found sound before. */
  configuration: WebhookConfiguration;
  target: WebhookTarget;
  caller: WebhookCaller;
  clock: Clock;
  log: Logger;
}

const maximumAnswers = 8192;
/** What is longer is asked about each time: nobody fills the memory with it. */
const maximumKeyLength = 10_000;

export class WebhookAuthorizer implements Authorizer {
  readonly name: string;
  readonly #options: WebhookAuthorizerOptions;
  readonly #conditions: MatchConditions;
  readonly #timeoutMs: number;
  readonly #allowedMs: number;
  readonly #refusedMs: number;
  readonly #answers = new Map<string, { decision: Decision; untilMs: number }>();

  constructor(options: WebhookAuthorizerOptions) {
    const { timeout, authorizedTTL = "5m", unauthorizedTTL = "30s", matchConditions = [] } = options.configuration;
    this.name = options.name;
    this.#options = options;
    this.#timeoutMs = milliseconds(timeout);
    this.#allowedMs = milliseconds(authorizedTTL);
    this.#refusedMs = milliseconds(unauthorizedTTL);
    this.#conditions = new MatchConditions(
      matchConditions.map(({ expression }, i) => ({ name: String(i), expression })),
      requestEnvironment,
    );
  }

  async authorize(attributes: Attributes): Promise<Decision> {
    const spec = reviewOf(attributes);
    const matched = this.#conditions.evaluate({ request: spec });
    if (matched.kind === "no-match") return { kind: "no-opinion", reason: "" };
    if (matched.kind === "error") return this.#failed(matched.message);
    const key = JSON.stringify(spec);
    const known = this.#answers.get(key);
    const nowMs = this.#options.clock.now();
    if (known && known.untilMs > nowMs) return known.decision;
    let decision: Decision;
    try {
      decision = await this.#ask(spec);
    } catch (error) {
      return this.#failed((error as Error).message);
    }
    this.#answers.delete(key);
    if (key.length <= maximumKeyLength) {
      if (this.#answers.size >= maximumAnswers) this.#answers.delete(this.#answers.keys().next().value!);
      const ttlMs = decision.kind === "allow" ? this.#allowedMs : this.#refusedMs;
      this.#answers.set(key, { decision, untilMs: this.#options.clock.now() + ttlMs });
    }
    return decision;
  }

  async #ask(spec: SubjectAccessReviewSpec): Promise<Decision> {
    const { caller, target, configuration } = this.#options;
    const version = configuration.subjectAccessReviewVersion;
    const { groups, ...rest } = spec;
    const review = {
      apiVersion: `authorization.k8s.io/${version}`,
      kind: "SubjectAccessReview",
      metadata: {},
      // v1beta1 called the groups otherwise.
      spec: version === "v1" ? spec : { ...rest, group: groups },
    };
    const answer = (await caller.call(target, review, {
      timeoutMs: this.#timeoutMs,
    })) as Partial<SubjectAccessReview> | null;
    const status = answer?.status;
    if (!status || typeof status.allowed !== "boolean") throw new Error("the answer holds no status.allowed");
    const reason = status.reason ?? "";
    if (status.denied && status.allowed) throw new Error("the answer says both allowed and denied");
    if (status.denied) return { kind: "deny", reason };
    return status.allowed ? { ...allow, ...(reason ? { reason } : {}) } : { kind: "no-opinion", reason };
  }

  #failed(why: string): Decision {
    const { configuration, log } = this.#options;
    log.warn("an authorization webhook could not be asked", { authorizer: this.name, error: why });
    if (configuration.failurePolicy === "NoOpinion") return { kind: "no-opinion", reason: "" };
    return { kind: "deny", reason: `authorizer ${this.name} could not be asked: ${why}` };
  }
}

function milliseconds(duration: string): number {
  return Number((parseDuration(duration) ?? 0n) / 1_000_000n);
}

function reviewOf(attributes: Attributes): SubjectAccessReviewSpec {
  const { user, isResource, verb, path } = attributes;
  return {
    ...(isResource
      ? { resourceAttributes: resourceAttributesOf(attributes) }
      : { nonResourceAttributes: { path, verb } }),
    user: user.name,
    groups: [...user.groups],
    ...(user.uid ? { uid: user.uid } : {}),
    ...(user.extra
      ? { extra: Object.fromEntries(Object.entries(user.extra).map(([key, list]) => [key, [...list]])) }
      : {}),
  };
}

function resourceAttributesOf(attributes: Attributes): NonNullable<SubjectAccessReviewSpec["resourceAttributes"]> {
  const { namespace, verb, group, version, resource, subresource, name, labelSelector, fieldSelector } = attributes;
  const given = Object.entries({ namespace, verb, group, version, resource, subresource, name });
  const labels = labelSelector ? labelRequirements(labelSelector) : [];
  const fields = fieldSelector ? fieldRequirements(fieldSelector) : [];
  return {
    ...Object.fromEntries(given.filter(([, value]) => value !== "")),
    ...(labels.length > 0 ? { labelSelector: { requirements: labels } } : {}),
    ...(fields.length > 0 ? { fieldSelector: { requirements: fields } } : {}),
  };
}

const operators: Partial<Record<LabelOperator, string>> = {
  in: "In",
  "=": "In",
  "==": "In",
  notin: "NotIn",
  "!=": "NotIn",
  exists: "Exists",
  "!": "DoesNotExist",
};

/** Those that LabelSelectors cannot say are left out, which makes the selection look wider than it is: never narrower. */
function labelRequirements(text: string) {
  const requirements = safely(() => parseLabelSelector(text).requirements) ?? [];
  return requirements.flatMap(({ key, operator, values }) => {
    const name = operators[operator];
    return name ? [{ key, operator: name, ...(values.length > 0 ? { values: [...values] } : {}) }] : [];
  });
}

function fieldRequirements(text: string) {
  const requirements = safely(() => parseFieldSelector(text)) ?? [];
  return requirements.map(({ field, operator, value }) => ({
    key: field,
    operator: operator === "=" ? "In" : "NotIn",
    values: [value],
  }));
}

/** What cannot be parsed selects everything here; the request itself is refused later. */
function safely<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
