/** Conversion of custom resources by a webhook (ConversionReview): what is asked, and what may be believed of the answer. */
import type { ConversionReview, CustomResourceDefinition } from "../../api/apiextensions/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { Random } from "../../base/random.ts";
import type { WebhookCaller, WebhookTarget } from "../webhooks/webhook-caller.ts";

/** The same objects in another version of their group, in their order. Rejects with what the client is to hear. */
export type Converter = (objects: readonly KubeObject[], apiVersion: string) => Promise<KubeObject[]>;

const timeoutMs = 30_000;

/** Undefined for definitions that convert without a webhook. */
export function webhookConverter(
  { spec: { conversion } }: DeepReadonly<CustomResourceDefinition>,
  caller: Pick<WebhookCaller, "call">,
  random: Random,
): Converter | undefined {
  if (conversion?.strategy !== "Webhook") return undefined;
  const { clientConfig, conversionReviewVersions = [] } = conversion.webhook ?? {};
  const version = conversionReviewVersions.find((one) => one === "v1" || one === "v1beta1") ?? "v1";
  return async (objects, apiVersion) => {
    const moving = objects.filter((object) => object.apiVersion !== apiVersion);
    if (moving.length === 0) return [...objects];
    const uid = random.uuid();
    const review = {
      kind: "ConversionReview",
      apiVersion: `apiextensions.k8s.io/${version}`,
      request: { uid, desiredAPIVersion: apiVersion, objects: moving },
    };
    const failed = (why: string, cause?: unknown) => {
      const from = moving[0]!;
      return new StatusError(
        500,
        "",
        `conversion webhook for ${from.apiVersion}, Kind=${from.kind} failed: ${why}`,
        undefined,
        {
          cause,
        },
      );
    };
    let answer: unknown;
    try {
      answer = await caller.call((clientConfig ?? {}) as WebhookTarget, review, { timeoutMs });
    } catch (error) {
      throw failed((error as Error).message, error);
    }
    let converted: KubeObject[];
    try {
      converted = convertedObjects(answer, uid, moving, apiVersion);
    } catch (error) {
      throw failed((error as Error).message, error);
    }
    let next = 0;
    return objects.map((object) => (object.apiVersion === apiVersion ? object : converted[next++]!));
  };
}

/** Throws an Error that says what is wrong with the answer. */
function convertedObjects(answer: unknown, uid: string, sent: readonly KubeObject[], apiVersion: string): KubeObject[] {
  const { response } = (answer ?? {}) as Partial<ConversionReview>;
  if (!response) throw new Error("no response provided");
  if (response.uid !== uid)
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? "")}`);
  const { status, message } = response.result ?? {};
  if (status !== "Success") {
    const said = message || (status ? `response.result.status was '${status}', not 'Success'` : "no result provided");
    throw new Error(said);
  }
  const objects = (response.convertedObjects ?? []) as KubeObject[];
  if (objects.length !== sent.length)
    throw new Error(`webhook returned ${objects.length} objects, expected ${sent.length}`);
  return objects.map((object, i) => withOwnMetadata(object, sent[i]!, apiVersion, i));
}

/** A webhook may change labels and annotations; the rest of metadata stays the server's. */
function withOwnMetadata(object: KubeObject, from: KubeObject, apiVersion: string, i: number): KubeObject {
  const at = `invalid converted object at index ${i}`;
  const named = (given: string) => {
    const { group = "", version = given } = parseApiVersion(given) ?? {};
    return `${group}/${version}`;
  };
  if (object?.apiVersion !== apiVersion)
    throw new Error(
      `${at}: invalid groupVersion (expected ${named(apiVersion)}, received ${named(object?.apiVersion ?? "")})`,
    );
  if (object.kind !== from.kind)
    throw new Error(`${at}: invalid kind (expected ${from.kind}, received ${object.kind})`);
  const { labels, annotations, ...given } = (object.metadata ?? {}) as KubeObject["metadata"] & { namespace?: string };
  const own = from.metadata as typeof given;
  for (const field of ["name", "namespace", "uid"] as const) {
    if ((given[field] ?? "") !== (own[field] ?? ""))
      throw new Error(`${at}: invalid metadata: ${field} must not change`);
  }
  const { labels: _1, annotations: _2, ...kept } = from.metadata;
  const metadata = { ...kept, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  const { apiVersion: _3, kind: _4, metadata: _5, ...rest } = object;
  return { kind: from.kind, apiVersion, metadata, ...rest } as KubeObject;
}
