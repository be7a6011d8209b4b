/** Webhooks as they are called: compiled once a configuration, matched, asked. */
import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ValidatingWebhookConfiguration,
} from "../../../api/admissionregistration/v1.ts";
import type { DeepReadonly } from "../../../api/object.ts";
import type { Resource } from "../../../api/resource.ts";
import { admissionEnvironment } from "../../../apimachinery/cel/admission.ts";
import { badRequestError, forbiddenError, internalError } from "../../../apimachinery/status-error.ts";
import type { AdmissionRequest } from "../../../apiserver/admission.ts";
import type { Authorizer } from "../../../apiserver/authorization.ts";
import type { ResourceRegistry } from "../../../apiserver/resource-registry.ts";
import type { Random } from "../../../base/random.ts";
import type { ObjectReader } from "../../object-reader.ts";
import type { WebhookCaller } from "../../webhooks/webhook-caller.ts";
import { askAuthorizers, authorizerVariables, requestFacts } from "../generic/cel-request.ts";
import { MatchConditions } from "../generic/match-conditions.ts";
import { isExempt, type MatchCriteria, type MatchedAs, matchCriteria, RequestMatcher } from "../generic/matching.ts";
import { RequestVersions, type SeenObjects } from "../generic/request-versions.ts";
import { PatchProblem, reviewVersion, type VerifiedResponse, verifiedResponse } from "./review.ts";

export interface WebhookAdmissionOptions {
  objects: ObjectReader;
  registry: ResourceRegistry;
  random: Random;
  authorizers: () => readonly Authorizer[];
  caller: WebhookCaller;
}

type Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration;
/** The fields of both kinds; a validating webhook has no reinvocationPolicy. */
type Webhook = DeepReadonly<MutatingWebhook>;

export interface CompiledWebhook {
  /** Unlike its name, one of a kind in the whole cluster. */
  readonly id: string;
  readonly configuration: string;
  readonly webhook: Webhook;
  readonly criteria: MatchCriteria;
  readonly conditions: MatchConditions;
}

/** A webhook that is concerned with a request. */
export interface Invocation {
  hook: CompiledWebhook;
  as: MatchedAs;
  /** Among all that are configured. */
  index: number;
}

const environment = admissionEnvironment({});

export class Webhooks {
  readonly #options: WebhookAdmissionOptions;
  readonly #resource: Resource<Configuration>;
  readonly #mutating: boolean;
  readonly #matcher: RequestMatcher;
  /** What webhooks see of a request, and what becomes of their answers. */
  readonly versions: RequestVersions;
  /** By the configuration as it stands in the cache: what changes is another object. */
  readonly #compiled = new WeakMap<object, readonly CompiledWebhook[]>();

  constructor(options: WebhookAdmissionOptions, resource: Resource<never>, mutating: boolean) {
    this.#options = options;
    this.#resource = resource as unknown as Resource<Configuration>;
    this.#mutating = mutating;
    this.#matcher = new RequestMatcher(options.objects, options.registry);
    this.versions = new RequestVersions(options.registry);
  }

  /** Nearly free when nothing is configured. */
  concerns(request: AdmissionRequest): boolean {
    return !this.#options.objects.hasNone(this.#resource) && !isExempt(request);
  }

  /**
   * In the order in which they are called: configurations by name, webhooks as they are listed. Each is held against the object as it
   * is when its turn comes.
   */
  async *invocations(request: AdmissionRequest): AsyncGenerator<Invocation> {
    const configurations = await this.#options.objects.list(this.#resource, "");
    let index = 0;
    for (const configuration of configurations) {
      for (const hook of this.#compile(configuration as DeepReadonly<Configuration>)) {
        const as = await this.#matcher.match(hook.criteria, request);
        if (as) yield { hook, as, index };
        index++;
      }
    }
  }

  /** False when its match conditions leave this request out. Throws the refusal when they fail and the policy is to refuse. */
  passesConditions({ hook, as }: Invocation, request: AdmissionRequest, objects: SeenObjects): boolean {
    if (hook.conditions.isEmpty) return true;
    const ask = askAuthorizers(this.#options.authorizers, request.user);
    const result = hook.conditions.evaluate({
      ...objects,
      request: requestFacts(request, as),
      // Upstream takes expressions that ask for it, and never says.
      namespaceObject: null,
      ...authorizerVariables(request, as, ask),
    });
    if (result.kind === "match") return true;
    if (result.kind === "no-match" || hook.webhook.failurePolicy === "Ignore") return false;
    const resource = { group: request.definition.group, resource: request.definition.plural };
    throw forbiddenError(resource, request.name ?? "", result.message);
  }

  /** Undefined when it could not be asked and that is to be ignored. Throws the refusal when it is not. */
  async ask(
    { hook, as }: Invocation,
    request: AdmissionRequest,
    objects: SeenObjects,
  ): Promise<VerifiedResponse | undefined> {
    const { webhook } = hook;
    if (request.dryRun && webhook.sideEffects !== "None" && webhook.sideEffects !== "NoneOnDryRun") {
      throw badRequestError(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`);
    }
    const version = reviewVersion(webhook.admissionReviewVersions);
    const uid = this.#options.random.uuid();
    const review = {
      kind: "AdmissionReview",
      apiVersion: `admission.k8s.io/${version}`,
      request: { uid, ...requestFacts(request, as), ...objects },
    };
    let why: string;
    try {
      const timeoutMs = (webhook.timeoutSeconds ?? 10) * 1000;
      const answer = await this.#options.caller.call(webhook.clientConfig, review, { timeoutMs });
      try {
        return verifiedResponse(answer, uid, version, this.#mutating);
      } catch (error) {
        const { message } = error as Error;
        why = error instanceof PatchProblem ? message : `received invalid webhook response: ${message}`;
      }
    } catch (error) {
      why = `failed to call webhook: ${(error as Error).message}`;
    }
    if (webhook.failurePolicy === "Ignore") return undefined;
    throw internalError(`failed calling webhook ${JSON.stringify(webhook.name)}: ${why}`);
  }

  #compile(configuration: DeepReadonly<Configuration>): readonly CompiledWebhook[] {
    const known = this.#compiled.get(configuration);
    if (known) return known;
    const { name } = configuration.metadata;
    const made = (configuration.webhooks ?? []).map((one, i): CompiledWebhook => {
      const webhook = one as Webhook;
      return {
        id: `${name}/${webhook.name}/${i}`,
        configuration: name,
        webhook,
        criteria: matchCriteria({ ...webhook, resourceRules: webhook.rules ?? [] } as Parameters<
          typeof matchCriteria
        >[0]),
        conditions: new MatchConditions(webhook.matchConditions, environment),
      };
    });
    this.#compiled.set(configuration, made);
    return made;
  }
}
