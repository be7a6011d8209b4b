/** What aggregated servers read to know clients and us by (upstream: the cluster authentication trust controller). */
import { ConfigMaps, RoleBindings, Roles } from "../../api/resources.ts";
import type { RequestHeaderOptions } from "../authentication/request-header.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

const name = "extension-apiserver-authentication";
const reader = `${name}-reader`;
const namespace = "kube-system";
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
  return [
    atStart(ConfigMaps, { metadata: { name, namespace }, data: { "client-ca-file": clientCa, ...frontProxy } }, "keep"),
    atStart(Roles, {
      metadata: { name: reader, namespace },
      rules: [{ verbs: ["get", "list", "watch"], apiGroups: [""], resources: ["configmaps"], resourceNames: [name] }],
    }),
    atStart(RoleBindings, {
      metadata: { name: `system:${name}-reader`, namespace },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: reader },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "system:kube-controller-manager" }],
    }),
  ];
}
