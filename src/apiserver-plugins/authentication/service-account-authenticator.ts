/** Bearer tokens of ServiceAccounts: who they stand for, as long as the account and what the token is bound to exist. */
import type { Secret } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { Nodes, Pods, Secrets, ServiceAccounts } from "../../api/resources.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";
import type { Clock } from "../../base/clock.ts";
import type { ObjectReader } from "../object-reader.ts";
import { bearerToken } from "./bearer-token.ts";
import type { TokenAuthority, VerifiedToken } from "./service-account-tokens.ts";

export interface ServiceAccountAuthenticatorOptions {
  authority: TokenAuthority;
  /** A token must be meant for one of these. */
  audiences: readonly string[];
  objects(): ObjectReader;
  clock: Clock;
  /** A Secret's token was used, on a day on which nobody has noted it yet. Absent: nobody counts. */
  noteUse?(secret: DeepReadonly<Secret>, day: string): void;
}

/** What is being deleted may still finish for so long. */
const leewayMs = 60_000;
export const lastUsedLabel = "kubernetes.io/legacy-token-last-used";
const invalidSinceLabel = "kubernetes.io/legacy-token-invalid-since";

export function serviceAccountAuthenticator(options: ServiceAccountAuthenticatorOptions): Authenticator {
  const { authority, audiences, objects } = options;
  return {
    name: "serviceaccount",
    knowsAudiences: true,
    async authenticate({ headers, audiences: wanted = audiences }): Promise<UserInfo | undefined> {
      const token = bearerToken(headers["authorization"]);
      if (!token) return undefined;
      const verified = authority.verify(token);
      if (!verified) {
        const problem = authority.problemOf(token);
        // Whose token nobody else knows either is refused by the pipeline.
        if (problem === undefined) return undefined;
        throw refused(problem);
      }
      const isMeant = verified.isLegacy
        ? wanted.some((audience) => audiences.includes(audience))
        : verified.audiences.some((audience) => wanted.includes(audience));
      if (!isMeant) {
        const of = (names: readonly string[]) => `[${names.map((name) => JSON.stringify(name)).join(" ")}]`;
        throw refused(`token audiences ${of(verified.audiences)} is invalid for the target audiences ${of(wanted)}`);
      }
      const problem = await whatIsGone(verified, token, objects(), options);
      if (problem) throw refused(problem);
      return userOf(verified);
    },
  };
}

/** A 401; only reviews of tokens tell why. */
function refused(why: string): StatusError {
  return new StatusError(401, "Unauthorized", "Unauthorized", undefined, { cause: new Error(why) });
}

async function whatIsGone(
  verified: VerifiedToken,
  token: string,
  objects: ObjectReader,
  options: ServiceAccountAuthenticatorOptions,
): Promise<string | undefined> {
  const { subject, boundObject } = verified;
  const isGone = ({ metadata }: { metadata: { deletionTimestamp?: string } }) =>
    metadata.deletionTimestamp !== undefined && Date.parse(metadata.deletionTimestamp) < options.clock.now() - leewayMs;
  const account = await objects.get(ServiceAccounts, subject.namespace, subject.name);
  if (!account) return `serviceaccounts ${JSON.stringify(subject.name)} not found`;
  if (isGone(account)) return `service account ${subject.namespace}/${subject.name} has been deleted`;
  const { uid: accountUid } = account.metadata;
  if (accountUid !== subject.uid) return `service account UID (${accountUid}) does not match claim (${subject.uid})`;
  if (!boundObject) return undefined;
  const { kind, name, uid } = boundObject;
  const namespace = kind === "Node" ? "" : subject.namespace;
  const resource = { Pod: Pods, Secret: Secrets, Node: Nodes }[kind];
  const found = await objects.get(resource as typeof Pods, namespace, name);
  if (!found || isGone(found)) return "service account token has been invalidated";
  if (verified.isLegacy) return secretProblem(found as unknown as DeepReadonly<Secret>, subject, token, options);
  if (found.metadata.uid === uid) return undefined;
  const what = kind.toLowerCase();
  return `${what} UID (${found.metadata.uid}) does not match service account ${what} ref claim (${uid})`;
}

/** A token of the first sort is what its Secret holds, until the cleaner marks it. Its use is noted once a day. */
function secretProblem(
  secret: DeepReadonly<Secret>,
  subject: VerifiedToken["subject"],
  token: string,
  { clock, noteUse }: ServiceAccountAuthenticatorOptions,
): string | undefined {
  const { name, namespace, labels = {} } = secret.metadata;
  if (secret.data?.["token"] !== Buffer.from(token).toString("base64"))
    return "service account token has been invalidated";
  if (labels[invalidSinceLabel]) {
    const which = `the token in secret ${namespace}/${name} for service account ${namespace}/${subject.name} has been marked invalid.`;
    return `${which} Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${invalidSinceLabel}' label from the secret to temporarily allow use of this token`;
  }
  const today = new Date(clock.now()).toISOString().slice(0, 10);
  if (labels[lastUsedLabel] !== today) noteUse?.(secret, today);
  return undefined;
}

function userOf({ subject, id, boundObject, node }: VerifiedToken): UserInfo {
  const extra: Record<string, string[]> = id ? { "authentication.kubernetes.io/credential-id": [`JTI=${id}`] } : {};
  if (boundObject?.kind === "Pod") {
    extra["authentication.kubernetes.io/pod-name"] = [boundObject.name];
    extra["authentication.kubernetes.io/pod-uid"] = [boundObject.uid];
  }
  if (node) extra["authentication.kubernetes.io/node-name"] = [node.name];
  return {
    name: `system:serviceaccount:${subject.namespace}:${subject.name}`,
    uid: subject.uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${subject.namespace}`],
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}
