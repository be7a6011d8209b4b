/** `serviceaccounts/token`: the TokenRequest API (KEP-1205). */
import type { TokenRequest } from "../../api/authentication/v1.ts";
import type { Pod } from "../../api/core/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { Nodes, Pods, Secrets, ServiceAccounts } from "../../api/resources.ts";
import { type FieldError, FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { badRequestError, conflictError, invalidError } from "../../apimachinery/status-error.ts";
import type { ObjectSubresource, SubresourceRequest } from "../../apiserver/subresource-handler.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { BoundObject, TokenAuthority } from "../authentication/service-account-tokens.ts";
import { standingObject } from "./standing-object.ts";

const tokenRequest = { group: "authentication.k8s.io", kind: "TokenRequest" };
const oneHourSeconds = 3600;
const shortestSeconds = 600;
const longestSeconds = 2 ** 32;

export function serviceAccountToken(authority: TokenAuthority, apiAudiences: readonly string[]): ObjectSubresource {
  return {
    kind: "object",
    async handle(request, body) {
      // Decoded as the subresource's kind; every field of its spec may still be missing.
      const given = body as unknown as TokenRequest | undefined;
      if (given?.metadata?.name && given.metadata.name !== request.name) {
        const path = FieldPath.root.child("metadata", "name");
        const wrong = invalid(path, given.metadata.name, "must match the service account name if specified");
        throw invalidError(tokenRequest, request.name, [wrong]);
      }
      const account = await standingObject(request.objects, ServiceAccounts, request.namespace, request.name);
      const { uid: meant } = given?.metadata ?? {};
      if (meant && meant !== account.metadata.uid) {
        const why = `the UID in the token request (${meant}) does not match the UID of the service account (${account.metadata.uid})`;
        throw conflictError({ group: "authentication.k8s.io", resource: "TokenRequest" }, request.name, why);
      }
      const asked = given?.spec;
      const expirationSeconds = asked?.expirationSeconds ?? oneHourSeconds;
      const errors = expirationErrors(expirationSeconds);
      if (errors.length > 0) throw invalidError(tokenRequest, "", errors);
      const bound = await boundObject(request, asked);
      const audiences = asked?.audiences?.length ? asked.audiences : [...apiAudiences];
      const { name, namespace, uid } = account.metadata;
      const creationTimestamp = rfc3339(request.objects.services.clock.now());
      const { token, expiresAtMs } = authority.issue({
        subject: { namespace, name, uid },
        audiences,
        expirationSeconds,
        ...(bound ? { boundObject: bound.object, ...(bound.node ? { node: bound.node } : {}) } : {}),
      });
      const object = {
        kind: "TokenRequest",
        apiVersion: "authentication.k8s.io/v1",
        metadata: { ...given?.metadata, name, namespace, uid, creationTimestamp },
        spec: { audiences, expirationSeconds, boundObjectRef: asked?.boundObjectRef ?? null },
        status: { token, expirationTimestamp: rfc3339(expiresAtMs) },
      };
      return { kind: "object", code: 201, object };
    },
  };
}

function expirationErrors(seconds: number): FieldError[] {
  const path = FieldPath.root.child("spec", "expirationSeconds");
  if (seconds < shortestSeconds) return [invalid(path, seconds, "may not specify a duration less than 10 minutes")];
  if (seconds > longestSeconds) return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")];
  return [];
}

type AskedSpec = TokenRequest["spec"] | undefined;

async function boundObject(
  { objects, namespace, name }: SubresourceRequest,
  asked: AskedSpec,
): Promise<{ object: BoundObject; node?: { name: string; uid?: string } } | undefined> {
  const reference = asked?.boundObjectRef;
  if (!reference) return undefined;
  const { kind = "", apiVersion = "", name: boundName = "" } = reference;
  const find = <T extends KubeObject>(resource: Resource<T>) => standingObject(objects, resource, namespace, boundName);
  const bind = (found: { metadata: { uid: string } }, boundKind: BoundObject["kind"]) => {
    if (reference.uid && reference.uid !== found.metadata.uid) {
      throw conflictError(
        // Upstream names the kind here, and not the resource.
        { group: "", resource: boundKind },
        boundName,
        `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    return { kind: boundKind, name: boundName, uid: found.metadata.uid };
  };
  const isCore = !apiVersion.includes("/");
  if (isCore && kind === "Pod") {
    const pod = (await find(Pods)) as Pod;
    const accountName = pod.spec.serviceAccountName ?? "";
    if (accountName !== name) {
      throw badRequestError(
        `cannot bind token for serviceaccount ${JSON.stringify(name)} to pod running with different serviceaccount name.`,
      );
    }
    const node = pod.spec.nodeName;
    return { object: bind(pod, "Pod"), ...(node ? { node: { name: node } } : {}) };
  }
  if (isCore && kind === "Secret") return { object: bind(await find(Secrets), "Secret") };
  if (isCore && kind === "Node") return { object: bind(await standingObject(objects, Nodes, "", boundName), "Node") };
  const groupVersion = parseApiVersion(apiVersion) ?? { group: "", version: "" };
  throw badRequestError(
    `cannot bind token to object of type ${groupVersion.group}/${groupVersion.version}, Kind=${kind}`,
  );
}
