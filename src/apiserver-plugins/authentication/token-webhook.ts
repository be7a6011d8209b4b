/** Asks another server whose token it is (upstream: `--authentication-token-webhook-config-file`). */
import type { TokenReview } from "../../api/authentication/v1.ts";
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { WebhookCaller, WebhookTarget } from "../webhooks/webhook-caller.ts";
import { bearerToken } from "./bearer-token.ts";
import { TokenCache } from "./token-cache.ts";

export interface TokenWebhookOptions {
  target: WebhookTarget;
  caller: WebhookCaller;
  /** How long an answer holds. */
  cacheTtlMs: number;
  clock: Clock;
  log: Logger;
}

const timeoutMs = 30_000;

export function tokenWebhookAuthenticator(options: TokenWebhookOptions): Authenticator {
  const cache = new TokenCache(options.clock, options.cacheTtlMs);
  return {
    name: "webhook",
    async authenticate({ headers, audiences }) {
      const token = bearerToken(headers["authorization"]);
      if (!token) return undefined;
      try {
        return await cache.get(JSON.stringify([token, audiences]), () => ask(options, token, audiences));
      } catch (error) {
        options.log.warn("the token webhook does not answer", { error: (error as Error).message });
        return undefined;
      }
    },
    knowsAudiences: true,
  };
}

async function ask(
  { caller, target }: TokenWebhookOptions,
  token: string,
  audiences: readonly string[] | undefined,
): Promise<UserInfo | undefined> {
  const review = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    metadata: {},
    spec: { token, ...(audiences ? { audiences } : {}) },
  };
  const answer = (await caller.call(target, review, { timeoutMs })) as Partial<TokenReview> | null;
  const { authenticated, user, audiences: meant } = answer?.status ?? {};
  if (authenticated !== true || typeof user?.username !== "string" || !user.username) return undefined;
  // A webhook that says nothing of audiences vouches for the API server's own alone.
  if (audiences && meant && !meant.some((audience) => audiences.includes(audience))) return undefined;
  return {
    name: user.username,
    groups: user.groups ?? [],
    ...(user.uid ? { uid: user.uid } : {}),
    ...(user.extra ? { extra: user.extra } : {}),
  };
}
