/** Acting as someone else by Impersonate-* headers, for those who are allowed to. */
import { badRequestError } from "../../apimachinery/status-error.ts";
import type { Attributes } from "../authorization.ts";
import type { Pipeline } from "../pipeline.ts";
import type { Headers } from "./exchange.ts";
import type { Impersonated } from "./impersonation-modes.ts";

const extraPrefix = "impersonate-extra-";

/**
 * The user that the headers name. `asked`: what is asked for, as its asker's own. Throws a 400 for headers that name nobody, a 403 when
 * the asker may not be them.
 */
export async function impersonated(pipeline: Pipeline, asked: Attributes, headers: Headers): Promise<Impersonated> {
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
  const wanted = { name, uid, groups, extra };
  return pipeline.impersonation.impersonate(wanted, asked, (attributes) => pipeline.authorize(attributes));
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
