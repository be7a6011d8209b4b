/** EventRateLimit: Events beyond a rate are refused, so that a client that loops fills neither store nor log. */
import type { Event } from "../../api/core/v1.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { Clock } from "../../base/clock.ts";

export interface EventRateLimitConfiguration {
  limits: EventLimit[];
}

export interface EventLimit {
  /** Whose Events share one rate. */
  type: "Server" | "Namespace" | "User" | "SourceAndObject";
  /** Events a second. */
  qps: number;
  /** How many may come at once. */
  burst: number;
  /** Rates that are remembered; the one that was used least lately goes. Default 4096. */
  cacheSize?: number;
}

export function eventRateLimit({ limits }: EventRateLimitConfiguration, clock: Pick<Clock, "now">): AdmissionPlugin {
  const all = limits.map((limit) => ({ limit, buckets: new Map<string, Bucket>() }));
  return {
    name: "EventRateLimit",
    handles: ({ definition, operation, subresource, dryRun }) =>
      definition.plural === "events" &&
      subresource === "" &&
      !dryRun &&
      (operation === "CREATE" || operation === "UPDATE"),
    validate(request) {
      const refusals = all.flatMap(({ limit, buckets }) => {
        const key = keys[limit.type](request);
        const bucket = bucketOf(buckets, key, limit, clock.now());
        return take(bucket, limit, clock.now()) ? [] : [`limit reached on type ${limit.type} for key ${key}`];
      });
      if (refusals.length === 0) return;
      const message = refusals.length === 1 ? refusals[0]! : `[${refusals.join(", ")}]`;
      throw new StatusError(429, "TooManyRequests", message, { retryAfterSeconds: 10 });
    },
  };
}

interface Bucket {
  tokens: number;
  atMs: number;
}

const keys: Readonly<Record<EventLimit["type"], (request: AdmissionRequest) => string>> = {
  Server: () => "",
  Namespace: ({ namespace }) => namespace,
  User: ({ user }) => user.name,
  SourceAndObject({ object }) {
    const { source, involvedObject: about } = object as Partial<Event>;
    const parts = [source?.component, source?.host, about?.kind, about?.namespace, about?.name, about?.uid];
    return [...parts, about?.apiVersion].map((part) => part ?? "").join("");
  },
};

function bucketOf(buckets: Map<string, Bucket>, key: string, limit: EventLimit, nowMs: number): Bucket {
  const bucket = buckets.get(key) ?? { tokens: limit.burst, atMs: nowMs };
  // The latest used stands last.
  buckets.delete(key);
  buckets.set(key, bucket);
  if (buckets.size > (limit.cacheSize ?? 4096)) buckets.delete(buckets.keys().next().value!);
  return bucket;
}

function take(bucket: Bucket, { qps, burst }: EventLimit, nowMs: number): boolean {
  bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * qps);
  bucket.atMs = nowMs;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}
