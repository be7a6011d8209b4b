/** SelfSubjectReview (who am I?) and TokenReview (whose token is this?). */
import type { SelfSubjectReview, TokenReview } from "../../api/authentication/v1.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import { type Authenticator, authenticated, type UserInfo } from "../../apiserver/authentication.ts";
import type { VirtualResource } from "../../apiserver/virtual-resource.ts";
import { type Clock, rfc3339 } from "../../base/clock.ts";
import { review } from "./access-reviews.ts";

const group = "authentication.k8s.io";

export function selfSubjectReview(clock: Clock): VirtualResource {
  return {
    definition: review("SelfSubjectReview", "selfsubjectreviews", "Cluster", group),
    async create(object, { context }) {
      const { apiVersion, kind } = object as unknown as SelfSubjectReview;
      const metadata = { creationTimestamp: rfc3339(clock.now()) };
      return { kind, apiVersion, metadata, status: { userInfo: userInfoOf(context.user) } };
    },
  };
}

export function tokenReview(authenticators: () => readonly Authenticator[]): VirtualResource {
  return {
    definition: review("TokenReview", "tokenreviews", "Cluster", group),
    async create(object) {
      const asked = object as unknown as TokenReview;
      const user = await ownerOf(asked.spec.token ?? "", authenticators());
      if (!user) return { ...asked, status: { user: {}, error: "invalid bearer token" } };
      const audiences = asked.spec.audiences?.length ? { audiences: asked.spec.audiences } : {};
      return { ...asked, status: { authenticated: true, user: userInfoOf(authenticated(user)), ...audiences } };
    },
  };
}

async function ownerOf(token: string, authenticators: readonly Authenticator[]): Promise<UserInfo | undefined> {
  if (!token) return undefined;
  const credentials = { headers: { authorization: `Bearer ${token}` }, certificate: undefined, remoteAddress: "" };
  for (const authenticator of authenticators) {
    try {
      const user = await authenticator.authenticate(credentials);
      if (user) return user;
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 401) throw error;
    }
  }
  return undefined;
}

function userInfoOf({ name, uid, groups, extra }: UserInfo): object {
  return {
    username: name,
    ...(uid ? { uid } : {}),
    ...(groups.length > 0 ? { groups } : {}),
    ...(extra && Object.keys(extra).length > 0 ? { extra } : {}),
  };
}
