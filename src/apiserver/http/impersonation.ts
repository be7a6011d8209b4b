/** Acting as someone else by Impersonate-* headers, for those who are allowed to. */
import { badRequestError } from "../../apimachinery/status-error.ts";
import { authenticated, type UserInfo } from "../authentication.ts";
import type { Pipeline } from "../pipeline.ts";
import type { Headers } from "./exchange.ts";

const extraPrefix = "impersonate-extra-";

/** The user that the headers name. Throws a 400 for headers that name nobody, a 403 when `user` may not be them. */
export async function impersonated(pipeline: Pipeline, user: UserInfo, headers: Headers): Promise<UserInfo> {
  const name = single(headers["impersonate-user"]);
  const uid = single(headers["impersonate-uid"]);
  const groups = many(headers["impersonate-group"]);
  const extra: Record<string, string[]> = {};
  for (const header in headers) {
    if (header.startsWith(extraPrefix)) {
      extra[unescaped(header.slice(extraPrefix.length))] = many(headers[header]);
    }
  }
  if (!name) {
    const list =
      groups.length > 0 ? `[]string{${groups.map((group) => JSON.stringify(group)).join(", ")}}` : "[]string(nil)";
    throw badRequestError(
      `requested &user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:${list}, Extra:map[string][]string(nil)} without impersonating a user name`,
    );
  }
  const serviceAccount = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  const check = async (group: string, resource: string, subject: string, namespace = "", subresource = "") =>
    pipeline.authorize({
      user,
      verb: "impersonate",
      isResource: true,
      group,
      version: group ? "v1" : "",
      resource,
      subresource,
      namespace,
      name: subject,
      path: "",
    });
  if (serviceAccount) await check("", "serviceaccounts", serviceAccount[2]!, serviceAccount[1]!);
  else await check("", "users", name);
  for (const group of groups) await check("", "groups", group);
  for (const key in extra) {
    for (const value of extra[key]!) await check("authentication.k8s.io", "userextras", value, "", key);
  }
  if (uid) await check("authentication.k8s.io", "uids", uid);
  const implied =
    serviceAccount && groups.length === 0
      ? ["system:serviceaccounts", `system:serviceaccounts:${serviceAccount[1]}`]
      : groups;
  const acting: UserInfo = {
    name,
    groups: implied,
    ...(uid ? { uid } : {}),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
  if (name === "system:anonymous") return { ...acting, groups: [...new Set([...implied, "system:unauthenticated"])] };
  return authenticated(acting);
}

/** A key that is not escaped as it should be stands for itself. */
function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

function single(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? "";
}

function many(value: string | string[] | undefined): string[] {
  if (value === undefined) return [];
  // Node joins repeated headers that it does not know with a comma and a space.
  return Array.isArray(value) ? value : value.split(", ");
}
