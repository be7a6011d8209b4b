/** Since when uses of token Secrets are counted: before that day nobody can say that one was not used. */
import { ConfigMaps } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

export function tokenTracking(nowMs: number): BootstrapObject {
  return atStart(ConfigMaps, {
    metadata: { name: "kube-apiserver-legacy-service-account-token-tracking", namespace: "kube-system" },
    data: { since: new Date(nowMs).toISOString().slice(0, 10) },
  });
}
