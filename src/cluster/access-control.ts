/** What the configuration says of who may come in and what they may do, as authenticators and authorizers. */
import type { Authenticator } from "../apiserver/authentication.ts";
import { jwtAuthenticator } from "../apiserver-plugins/authentication/jwt-authenticator.ts";
import { tokenWebhookAuthenticator } from "../apiserver-plugins/authentication/token-webhook.ts";
import type { WebhookCaller, WebhookTarget } from "../apiserver-plugins/webhooks/webhook-caller.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { connectionOf, loadKubeconfig } from "../client/kubeconfig.ts";
import type { AuthenticationConfig } from "./config/cluster-config.ts";

export interface AccessControlTools {
  caller: WebhookCaller;
  clock: Clock;
  log: Logger;
}

/** Those that ask others: issuers' keys, a webhook. Throws a KubeconfigError when the webhook's file says nothing useful. */
export async function configuredAuthenticators(
  { configuration, webhook }: AuthenticationConfig,
  { caller, clock, log }: AccessControlTools,
): Promise<Authenticator[]> {
  const authenticators: Authenticator[] = [];
  if (configuration?.jwt?.length) authenticators.push(jwtAuthenticator({ issuers: configuration.jwt, clock, log }));
  if (webhook) {
    const target = await webhookOf(webhook.kubeconfig);
    const cacheTtlMs = (webhook.cacheTTLSeconds ?? 120) * 1000;
    authenticators.push(tokenWebhookAuthenticator({ target, caller, cacheTtlMs, clock, log }));
  }
  return authenticators;
}

/** A webhook that a kubeconfig file describes: its cluster is the webhook, its user is this server. */
async function webhookOf(file: string): Promise<WebhookTarget> {
  const { server, ca, certificate, key, token } = connectionOf(await loadKubeconfig([file]));
  return {
    url: server,
    ...(ca ? { caBundle: Buffer.from(ca).toString("base64") } : {}),
    ...(certificate && key ? { clientCertificate: certificate, clientKey: key } : {}),
    ...(token ? { bearerToken: token() } : {}),
  };
}
