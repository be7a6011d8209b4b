/** The headers that say who asks, and as whom. */
import type { Connection } from "./kubeconfig.ts";

export function identityHeaders({ impersonate, token, basic }: Connection): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const bearer = token?.();
  if (bearer) headers["authorization"] = `Bearer ${bearer}`;
  else if (basic) {
    headers["authorization"] = `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString("base64")}`;
  }
  if (impersonate) {
    headers["impersonate-user"] = impersonate.user;
    if (impersonate.uid) headers["impersonate-uid"] = impersonate.uid;
    if (impersonate.groups?.length) headers["impersonate-group"] = [...impersonate.groups];
    for (const [key, values] of Object.entries(impersonate.extra ?? {})) {
      headers[`impersonate-extra-${encodeURIComponent(key)}`] = [...values];
    }
  }
  return headers;
}
