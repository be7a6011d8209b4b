/** SelfSubjectReview (who am I?) and TokenReview (whose token is this?). */
import type { SelfSubjectReview, TokenReview } from "../../api/authentication/v1.ts";
import { badRequestError, StatusError } from "../../apimachinery/status-error.ts";
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

/** `apiAudiences` are the API server's own. */
export function tokenReview(
  authenticators: () => readonly Authenticator[],
  apiAudiences: readonly string[],
): VirtualResource {
  return {
    definition: review("TokenReview", "tokenreviews", "Cluster", group),
    async create(object) {
      const asked = object as unknown as TokenReview;
      const { token = "", audiences = [] } = asked.spec;
      if (!token) throw badRequestError("token is required for TokenReview in authentication");
      const problems = new Set<string>();
      const audience = (name: string) =>
        ownerOf(token, authenticators(), problems, apiAudiences.includes(name), [name]);
      const owners = audiences.length
        ? await Promise.all(audiences.map(audience))
        : [await ownerOf(token, authenticators(), problems, true)];
      const user = owners.find((owner) => owner !== undefined);
      if (!user) return { ...asked, status: { user: {}, error: errorOf(["invalid bearer token", ...problems]) } };
      const meant = audiences.length ? { audiences: audiences.filter((_, i) => owners[i]) } : {};
      return { ...asked, status: { authenticated: true, user: userInfoOf(authenticated(user)), ...meant } };
    },
  };
}

/** Several errors in one line, as Go's aggregates. */
function errorOf(messages: readonly string[]): string {
  return messages.length === 1 ? messages[0]! : `[${messages.join(", ")}]`;
}

/** Whose token it is, if it is meant for one of the audiences; without any, for the API server. */
async function ownerOf(
  token: string,
  authenticators: readonly Authenticator[],
  problems: Set<string>,
  isForApi: boolean,
  audiences?: readonly string[],
): Promise<UserInfo | undefined> {
  const credentials = {
    headers: { authorization: `Bearer ${token}` },
    certificate: undefined,
    remoteAddress: "",
    ...(audiences && !isForApi ? { audiences } : {}),
  };
  for (const authenticator of authenticators) {
    if (!isForApi && !authenticator.knowsAudiences) continue;
    try {
      const user = await authenticator.authenticate(credentials);
      if (user) return user;
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 401) throw error;
      if (error.cause instanceof Error) problems.add(error.cause.message);
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
