/** What the configuration says of who may come in and what they may do, as authenticators and authorizers. */
import { readFile } from "node:fs/promises";
import type { Authenticator } from "../apiserver/authentication.ts";
import type { Authorizer } from "../apiserver/authorization.ts";
import { anonymousPaths } from "../apiserver-plugins/authentication/anonymous.ts";
import type { AuthenticationConfiguration } from "../apiserver-plugins/authentication/authentication-configuration.ts";
import { type JwtAuthenticator, jwtAuthenticator } from "../apiserver-plugins/authentication/jwt-authenticator.ts";
import { tokenWebhookAuthenticator } from "../apiserver-plugins/authentication/token-webhook.ts";
import { alwaysAllowAuthorizer, alwaysDenyAuthorizer } from "../apiserver-plugins/authorization/always.ts";
import type { AuthorizationConfiguration } from "../apiserver-plugins/authorization/authorization-configuration.ts";
import { WebhookAuthorizer } from "../apiserver-plugins/authorization/webhook-authorizer.ts";
import type { WebhookCaller, WebhookTarget } from "../apiserver-plugins/webhooks/webhook-caller.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { connectionOf, loadKubeconfig } from "../client/kubeconfig.ts";
import type { ApiServerConfig, AuthenticationConfig } from "./config/cluster-config.ts";
import { type ConfigurationFile, followConfigurationFile } from "./configuration-file.ts";
import type { Surroundings } from "./surroundings.ts";

export interface AccessControlTools extends Pick<Surroundings, "clock" | "log" | "signal"> {
  caller: WebhookCaller;
}

export interface ConfiguredAuthentication {
  /** Those that ask others: issuers' keys, a webhook. */
  authenticators: readonly Authenticator[];
  /** Whether a path may be asked for without proof. */
  allowsAnonymous(path: string): boolean;
  files: readonly ConfigurationFile[];
}

/**
 * `ownIssuers`: those of ServiceAccounts' tokens. Throws a ConfigError when the configuration's file, and a KubeconfigError when the
 * webhook's file says nothing useful.
 */
export async function configuredAuthentication(
  config: AuthenticationConfig,
  ownIssuers: readonly string[],
  { caller, clock, log, signal }: AccessControlTools,
): Promise<ConfiguredAuthentication> {
  const { configurationFile: path, webhook } = config;
  const parse = async (text: string, file: string) =>
    (await import("./config/api-server-documents.ts")).parseAuthenticationConfiguration(text, file, ownIssuers);
  const issuersOf = ({ jwt = [] }: Partial<AuthenticationConfiguration> = {}) =>
    jwtAuthenticator({ issuers: jwt, clock, log });

  const text = path && (await readFile(path, "utf8"));
  const configuration = path ? await parse(text!, path) : config.configuration;
  let issuers = issuersOf(configuration);
  let isPathAllowed = anonymousPaths(configuration);

  const authenticators: Authenticator[] = [];
  if (path || configuration?.jwt?.length) {
    authenticators.push({ name: "jwt", authenticate: (credentials) => issuers.authenticate(credentials) });
  }
  if (webhook) {
    const target = await webhookOf(webhook.kubeconfig);
    const cacheTtlMs = (webhook.cacheTTLSeconds ?? 120) * 1000;
    authenticators.push(tokenWebhookAuthenticator({ target, caller, cacheTtlMs, clock, log }));
  }
  const apply = async (next: string) => {
    const configuration = await parse(next, path!);
    const nextIssuers = issuersOf(configuration);
    await untilKeysAreThere(nextIssuers, clock, signal);
    issuers = nextIssuers;
    isPathAllowed = anonymousPaths(configuration);
  };
  const files = path
    ? [followConfigurationFile({ path, kind: "authentication", text: text!, apply, clock, log, signal })]
    : [];
  return { authenticators, allowsAnonymous: (asked) => isPathAllowed?.(asked) ?? true, files };
}

const keysRetryMs = 10_000;
const keysPatienceMs = 180_000;

/** Issuers that cannot be asked take nobody's place: rejects when one of them gives no keys for so long. */
async function untilKeysAreThere(issuers: JwtAuthenticator, clock: Clock, signal: AbortSignal): Promise<void> {
  const endMs = clock.now() + keysPatienceMs;
  for (;;) {
    try {
      return await issuers.fetchKeys();
    } catch (error) {
      if (clock.now() + keysRetryMs > endMs) throw error;
    }
    await sleep(clock, keysRetryMs, signal);
  }
}

/**
 * The authorizers that a configuration names, in its order; `own` are those of this process. Without a configuration: Node and RBAC.
 * `replace` is called with those of a file that has changed. Throws a ConfigError when that file, and a KubeconfigError when a
 * webhook's file says nothing useful.
 */
export async function configuredAuthorization(
  { authorization, authorizationFile: path }: Pick<ApiServerConfig, "authorization" | "authorizationFile">,
  own: { Node: Authorizer; RBAC: Authorizer },
  { caller, clock, log, signal }: AccessControlTools,
  replace: (authorizers: readonly Authorizer[]) => void,
): Promise<{ authorizers: readonly Authorizer[]; files: readonly ConfigurationFile[] }> {
  const known = { ...own, AlwaysAllow: alwaysAllowAuthorizer, AlwaysDeny: alwaysDenyAuthorizer };
  const authorizersOf = ({ authorizers }: AuthorizationConfiguration): Promise<Authorizer[]> =>
    Promise.all(
      authorizers.map(async ({ type, name, webhook }) => {
        if (type !== "Webhook") return known[type];
        const target = await webhookOf(webhook!.connectionInfo.kubeConfigFile!);
        return new WebhookAuthorizer({ name, configuration: webhook!, target, caller, clock, log });
      }),
    );
  if (!path)
    return { authorizers: authorization ? await authorizersOf(authorization) : [own.Node, own.RBAC], files: [] };
  const { parseAuthorizationConfiguration } = await import("./config/api-server-documents.ts");
  const text = await readFile(path, "utf8");
  const first = parseAuthorizationConfiguration(text, path);
  const apply = async (next: string) => {
    const configuration = parseAuthorizationConfiguration(next, path);
    const [before, after] = [builtInTypes(first), builtInTypes(configuration)];
    if (before !== after) {
      throw new Error(
        `authorizers that are no webhooks stay as they are until a restart: they were ${before}, not ${after}`,
      );
    }
    replace(await authorizersOf(configuration));
  };
  const file = followConfigurationFile({ path, kind: "authorization", text, apply, clock, log, signal });
  return { authorizers: await authorizersOf(first), files: [file] };
}

const builtInTypes = ({ authorizers }: AuthorizationConfiguration): string =>
  authorizers
    .map(({ type }) => type)
    .filter((type) => type !== "Webhook")
    .sort()
    .join(", ") || "none";

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
