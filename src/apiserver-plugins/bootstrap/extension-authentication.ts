/** What aggregated servers read to know clients and us by (upstream: the cluster authentication trust controller). */
import { ConfigMaps, RoleBindings, Roles } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

const name = "extension-apiserver-authentication";
const reader = `${name}-reader`;
const namespace = "kube-system";
const list = (...values: string[]) => JSON.stringify(values);

export function extensionAuthentication(clientCa: string, frontProxyCa: string | undefined): BootstrapObject[] {
  const frontProxy = frontProxyCa && {
    "requestheader-client-ca-file": frontProxyCa,
    "requestheader-allowed-names": list("front-proxy-client"),
    "requestheader-username-headers": list("X-Remote-User"),
    "requestheader-group-headers": list("X-Remote-Group"),
    "requestheader-extra-headers-prefix": list("X-Remote-Extra-"),
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
