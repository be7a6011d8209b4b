/** What CEL expressions of admission see beside the objects: request, namespaceObject, authorizer. */
import {
  type AskAuthorizer,
  authorizerValue,
  requestResourceValue,
} from "../../../apimachinery/cel/library/authorizer.ts";
import type { AdmissionRequest } from "../../../apiserver/admission.ts";
import type { UserInfo } from "../../../apiserver/authentication.ts";
import type { Authorizer } from "../../../apiserver/authorization.ts";
import type { MatchedAs } from "./matching.ts";

/** The `request` variable, and what webhooks are told beside the objects. */
export function requestFacts(request: AdmissionRequest, as: MatchedAs): Record<string, unknown> {
  const { definition, kind, user } = request;
  return {
    kind: as.kind,
    resource: as.resource,
    ...(request.subresource ? { subResource: request.subresource } : {}),
    requestKind: { group: kind.group, version: kind.version, kind: kind.kind },
    requestResource: { group: definition.group, version: definition.version, resource: definition.plural },
    ...(request.subresource ? { requestSubResource: request.subresource } : {}),
    ...(request.name ? { name: request.name } : {}),
    ...(request.namespace ? { namespace: request.namespace } : {}),
    operation: request.operation,
    userInfo: userFacts(user),
    dryRun: request.dryRun,
    options: optionsOf(request),
  };
}

function userFacts({ name, uid, groups, extra }: UserInfo): object {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}

const optionKinds = { CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions", CONNECT: "" };

function optionsOf({ operation, options, dryRun }: AdmissionRequest): object | null {
  const kind = optionKinds[operation];
  if (!kind) return null;
  return { kind, apiVersion: "meta.k8s.io/v1", ...options, ...(dryRun ? { dryRun: ["All"] } : {}) };
}

/** Asks the cluster's authorizers for `user`. They answer at once; one that has to wait counts as an error. */
export function askAuthorizers(authorizers: () => readonly Authorizer[], user: UserInfo): AskAuthorizer {
  return (question) => {
    const { serviceAccount: account, path } = question;
    const asking: UserInfo = account
      ? {
          name: `system:serviceaccount:${account.namespace}:${account.name}`,
          groups: ["system:serviceaccounts", `system:serviceaccounts:${account.namespace}`, "system:authenticated"],
        }
      : user;
    const attributes = {
      user: asking,
      verb: question.verb,
      isResource: path === undefined,
      group: question.group,
      version: "*",
      resource: question.resource,
      subresource: question.subresource,
      namespace: question.namespace,
      name: question.name,
      path: path ?? "",
      ...(question.fieldSelector ? { fieldSelector: question.fieldSelector } : {}),
      ...(question.labelSelector ? { labelSelector: question.labelSelector } : {}),
    };
    const reasons: string[] = [];
    for (const authorizer of authorizers()) {
      const decision = authorizer.authorize(attributes);
      if (decision instanceof Promise) {
        decision.catch(() => {});
        return { allowed: false, reason: "", error: `${authorizer.name} does not answer at once` };
      }
      if (decision.kind === "allow") return { allowed: true, reason: decision.reason ?? "" };
      if (decision.kind === "deny") return { allowed: false, reason: decision.reason };
      if (decision.reason) reasons.push(decision.reason);
    }
    return { allowed: false, reason: reasons.join("\n") };
  };
}

/** `authorizer` and `authorizer.requestResource`. */
export function authorizerVariables(
  request: AdmissionRequest,
  as: MatchedAs,
  ask: AskAuthorizer,
): Record<string, unknown> {
  const { group, resource } = as.resource;
  const { subresource, namespace, name } = request;
  return {
    authorizer: authorizerValue(ask),
    "authorizer.requestResource": requestResourceValue(ask, { group, resource, subresource, namespace, name }),
  };
}
