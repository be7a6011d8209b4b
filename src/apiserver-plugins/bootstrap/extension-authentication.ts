/** What aggregated servers read to know clients and us by (upstream: the cluster authentication trust controller). */
import { ConfigMaps } from "../../api/resources.ts";
import type { RequestHeaderOptions } from "../authentication/request-header.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

const name = "extension-apiserver-authentication";
const list = (...values: string[]) => JSON.stringify(values);

/** `clientCa` and `proxyCa` in PEM, which may hold several. */
export function extensionAuthentication(
  clientCa: string,
  proxyCa: string,
  proxies: Omit<RequestHeaderOptions, "authorities">,
): BootstrapObject[] {
  const frontProxy = {
    "requestheader-client-ca-file": proxyCa,
    "requestheader-allowed-names": list(...proxies.allowedNames),
    "requestheader-username-headers": list(...proxies.usernameHeaders),
    "requestheader-uid-headers": list(...proxies.uidHeaders),
    "requestheader-group-headers": list(...proxies.groupHeaders),
    "requestheader-extra-headers-prefix": list(...proxies.extraHeadersPrefixes),
  };
  const data = { "client-ca-file": clientCa, ...frontProxy };
  return [atStart(ConfigMaps, { metadata: { name, namespace: "kube-system" }, data }, "keep")];
}
