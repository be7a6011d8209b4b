/** What the configuration says of who may come in and what they may do, as authenticators and authorizers. */
import type { Authenticator } from "../apiserver/authentication.ts";
import type { Authorizer } from "../apiserver/authorization.ts";
import { jwtAuthenticator } from "../apiserver-plugins/authentication/jwt-authenticator.ts";
import { tokenWebhookAuthenticator } from "../apiserver-plugins/authentication/token-webhook.ts";
import { alwaysAllowAuthorizer, alwaysDenyAuthorizer } from "../apiserver-plugins/authorization/always.ts";
import type { AuthorizationConfiguration } from "../apiserver-plugins/authorization/authorization-configuration.ts";
import { WebhookAuthorizer } from "../apiserver-plugins/authorization/webhook-authorizer.ts";
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

/**
 * The authorizers that a configuration names, in its order; `own` are those of this process. Without a configuration: Node and RBAC.
 * Throws a KubeconfigError when a webhook's file says nothing useful.
 */
export async function configuredAuthorizers(
  configuration: AuthorizationConfiguration | undefined,
  own: { Node: Authorizer; RBAC: Authorizer },
  { caller, clock, log }: AccessControlTools,
): Promise<Authorizer[]> {
  if (!configuration) return [own.Node, own.RBAC];
  const known = { ...own, AlwaysAllow: alwaysAllowAuthorizer, AlwaysDeny: alwaysDenyAuthorizer };
  return Promise.all(
    configuration.authorizers.map(async ({ type, name, webhook }) => {
      if (type !== "Webhook") return known[type];
      const target = await webhookOf(webhook!.connectionInfo.kubeConfigFile!);
      return new WebhookAuthorizer({ name, configuration: webhook!, target, caller, clock, log });
    }),
  );
}

/** A webhook that a kubeconfig file describes: its cluster is the webhook, its user is this server. */
export async function webhookOf(file: string): Promise<WebhookTarget> {
  const { server, ca, certificate, key, token } = connectionOf(await loadKubeconfig([file]));
  return {
    url: server,
    ...(ca ? { caBundle: Buffer.from(ca).toString("base64") } : {}),
    ...(certificate && key ? { clientCertificate: certificate, clientKey: key } : {}),
    ...(token ? { bearerToken: token() } : {}),
  };
}
