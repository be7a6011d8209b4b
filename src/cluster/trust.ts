/** Whose client certificates the API server believes: users' authority, and that of proxies that speak for users. */
import { readFile } from "node:fs/promises";
import type { ListenerTls } from "../apiserver/http/listener.ts";
import {
  defaultRequestHeaders,
  type RequestHeaderOptions,
} from "../apiserver-plugins/authentication/request-header.ts";
import { TrustedAuthorities } from "../apiserver-plugins/authentication/trusted-authorities.ts";
import type { BootstrapObject } from "../apiserver-plugins/bootstrap/bootstrap-object.ts";
import { extensionAuthentication } from "../apiserver-plugins/bootstrap/extension-authentication.ts";
import { authoritiesOf, type ClusterPki, proxyAuthoritiesOf } from "./certificates.ts";
import type { RequestHeaderConfig } from "./config/cluster-config.ts";
import type { PkiKeeper } from "./pki-keeper.ts";

export interface Trust {
  clients: TrustedAuthorities;
  proxies: TrustedAuthorities;
  requestHeader: RequestHeaderOptions;
  /** PEM: of proxies beside the cluster's own. */
  furtherProxyCa: string;
}

/** Follows the certificates: what was replaced is trusted no more. Rejects when the configured file cannot be read. */
export async function followTrust(keeper: PkiKeeper, config: RequestHeaderConfig = {}): Promise<Trust> {
  const { clientCAFile, allowedNames, ...headers } = config;
  const furtherProxyCa = clientCAFile ? await readAuthority(clientCAFile) : "";
  const clients = new TrustedAuthorities();
  const proxies = new TrustedAuthorities();
  const apply = (pki: ClusterPki) => {
    clients.replace(authoritiesOf(pki));
    proxies.replace(proxyAuthoritiesOf(pki), furtherProxyCa);
  };
  apply(keeper.current);
  keeper.follow(apply);
  const requestHeader = {
    authorities: proxies,
    // Naming nobody means that every certificate of the authority will do, also beside the cluster's own proxy.
    allowedNames: clientCAFile && !allowedNames?.length ? [] : ["front-proxy-client", ...(allowedNames ?? [])],
    ...defaultRequestHeaders,
    ...headers,
  };
  return { clients, proxies, requestHeader, furtherProxyCa };
}

async function readAuthority(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new Error(`apiServer.authentication.requestHeader.clientCAFile: ${error.message}`, { cause: error });
  });
  if (!text.includes("-----BEGIN CERTIFICATE-----"))
    throw new Error(`apiServer.authentication.requestHeader.clientCAFile: ${file} holds no certificate in PEM`);
  return text;
}

export function tlsOf(pki: ClusterPki, { furtherProxyCa }: Trust): ListenerTls {
  const { apiServer } = pki;
  const authorities = [authoritiesOf(pki), proxyAuthoritiesOf(pki), furtherProxyCa];
  return {
    key: apiServer.privateKeyPem,
    cert: apiServer.certificatePem,
    clientCa: authorities.flatMap((pem) => pem || []),
  };
}

export function isSameTrust(pki: ClusterPki, before: ClusterPki): boolean {
  return authoritiesOf(pki) === authoritiesOf(before) && proxyAuthoritiesOf(pki) === proxyAuthoritiesOf(before);
}

/** What tells aggregated servers the same. */
export function trustObjects(pki: ClusterPki, { requestHeader, furtherProxyCa }: Trust): BootstrapObject[] {
  const proxyCa = [proxyAuthoritiesOf(pki), furtherProxyCa].filter(Boolean).join("\n");
  return extensionAuthentication(authoritiesOf(pki), proxyCa, requestHeader);
}
