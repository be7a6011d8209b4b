/** The documents by which others verify ServiceAccount tokens: OpenID Connect discovery, and the keys. */
import { type NonResourceHandler, requireMediaType } from "../../apiserver/http/non-resource-routes.ts";
import { baseHeaders } from "../../apiserver/http/respond.ts";
import type { TokenAuthority } from "./service-account-tokens.ts";

const keysPath = "/openid/v1/jwks";

export function openIdDiscovery({
  issuer,
  keySet,
}: Pick<TokenAuthority, "issuer" | "keySet">): ReadonlyMap<string, NonResourceHandler> {
  const configuration = () => ({
    issuer,
    jwks_uri: issuer + keysPath,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
  });
  return new Map([
    ["/.well-known/openid-configuration", document("application/json", configuration)],
    [keysPath, document("application/jwk-set+json", keySet)],
  ]);
}

function document(contentType: string, make: () => object): NonResourceHandler {
  return (exchange, _info, _user, auditId) => {
    requireMediaType(exchange, contentType);
    const headers = baseHeaders(auditId, contentType, []);
    headers["cache-control"] = "public, max-age=3600";
    exchange.respond(200, headers, JSON.stringify(make()));
  };
}
