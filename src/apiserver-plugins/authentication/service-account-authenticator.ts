/** Bearer tokens of ServiceAccounts: who they stand for, as long as the account and what the token is bound to exist. */
import { Nodes, Pods, Secrets, ServiceAccounts } from "../../api/resources.ts";
import type { Authenticator, UserInfo } from "../../apiserver/authentication.ts";
import type { ObjectReader } from "../object-reader.ts";
import { bearerToken } from "./bearer-token.ts";
import type { TokenAuthority, VerifiedToken } from "./service-account-tokens.ts";

export interface ServiceAccountAuthenticatorOptions {
  authority: TokenAuthority;
  /** A token must be meant for one of these. */
  audiences: readonly string[];
  objects(): ObjectReader;
}

export function serviceAccountAuthenticator({
  authority,
  audiences,
  objects,
}: ServiceAccountAuthenticatorOptions): Authenticator {
  return {
    name: "serviceaccount",
    knowsAudiences: true,
    async authenticate({ headers, audiences: wanted = audiences }): Promise<UserInfo | undefined> {
      const token = bearerToken(headers["authorization"]);
      if (!token) return undefined;
      const verified = authority.verify(token);
      const isMeant = verified?.audiences.some((audience) => wanted.includes(audience));
      // Whose token nobody else knows either is refused by the pipeline.
      if (!verified || !isMeant || !(await stillStands(verified, objects()))) return undefined;
      return userOf(verified);
    },
  };
}

async function stillStands({ subject, boundObject }: VerifiedToken, objects: ObjectReader): Promise<boolean> {
  const account = await objects.get(ServiceAccounts, subject.namespace, subject.name);
  if (account?.metadata.uid !== subject.uid) return false;
  if (!boundObject) return true;
  const { kind, name, uid } = boundObject;
  const namespace = kind === "Node" ? "" : subject.namespace;
  const resource = { Pod: Pods, Secret: Secrets, Node: Nodes }[kind];
  return (await objects.get(resource as typeof Pods, namespace, name))?.metadata.uid === uid;
}

function userOf({ subject, id, boundObject, node }: VerifiedToken): UserInfo {
  const extra: Record<string, string[]> = { "authentication.kubernetes.io/credential-id": [`JTI=${id}`] };
  if (boundObject?.kind === "Pod") {
    extra["authentication.kubernetes.io/pod-name"] = [boundObject.name];
    extra["authentication.kubernetes.io/pod-uid"] = [boundObject.uid];
  }
  if (node) extra["authentication.kubernetes.io/node-name"] = [node.name];
  return {
    name: `system:serviceaccount:${subject.namespace}:${subject.name}`,
    uid: subject.uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${subject.namespace}`],
    extra,
  };
}
