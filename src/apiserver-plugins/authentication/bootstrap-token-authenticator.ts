/** Bootstrap tokens: `<id>.<secret>` of a Secret in kube-system, for nodes that join. */
import { timingSafeEqual } from "node:crypto";
import type { Secret } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Secrets } from "../../api/resources.ts";
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";
import type { Clock } from "../../base/clock.ts";
import type { ObjectReader } from "../object-reader.ts";

const pattern = /^bearer +([a-z0-9]{6})\.([a-z0-9]{16})$/i;
const groupPattern = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

export function bootstrapTokenAuthenticator(objects: () => ObjectReader, clock: Clock): Authenticator {
  return {
    name: "bootstraptoken",
    async authenticate({ headers }): Promise<UserInfo | undefined> {
      const { authorization } = headers;
      const match = typeof authorization === "string" ? pattern.exec(authorization.trim()) : null;
      if (!match) return undefined;
      const [, id = "", secret = ""] = match;
      const found = await objects().get(Secrets, "kube-system", `bootstrap-token-${id}`);
      return found && userOf(found, id, secret, clock.now());
    },
  };
}

function userOf(found: DeepReadonly<Secret>, id: string, secret: string, nowMs: number): UserInfo | undefined {
  if (found.type !== "bootstrap.kubernetes.io/token" || found.metadata.deletionTimestamp) return undefined;
  const read = (key: string) => Buffer.from(found.data?.[key] ?? "", "base64").toString();
  if (read("token-id") !== id || !isSame(read("token-secret"), secret)) return undefined;
  const expiration = read("expiration");
  // One that cannot be read counts as over.
  if (expiration && !(Date.parse(expiration) > nowMs)) return undefined;
  if (read("usage-bootstrap-authentication") !== "true") return undefined;
  const extra = read("auth-extra-groups").split(",").filter(Boolean);
  if (extra.some((group) => !groupPattern.test(group))) return undefined;
  return { name: `system:bootstrap:${id}`, groups: ["system:bootstrappers", ...extra] };
}

function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
