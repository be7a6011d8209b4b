/** Nobody lets a policy read for them what they may not read themselves (upstream: the strategies of admission policies). */
import type {
  MutatingAdmissionPolicy,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
} from "../../api/admissionregistration/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { MutatingAdmissionPolicies, ValidatingAdmissionPolicies } from "../../api/resources.ts";
import { type FieldPath, forbidden, spec as specPath } from "../../apimachinery/field-error.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { invalidError } from "../../apimachinery/status-error.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import { type Authorizer, authorizeByAll } from "../../apiserver/authorization.ts";
import type { ResourceRegistry } from "../../apiserver/resource-registry.ts";
import type { ObjectReader } from "../object-reader.ts";

export interface PolicyParametersOptions {
  authorizers(): readonly Authorizer[];
  objects: ObjectReader;
  registry: ResourceRegistry;
}

interface Spec {
  paramKind?: ParamKind;
  paramRef?: ParamRef;
  policyName?: string;
}

/** What somebody must be able to read. */
interface Wanted {
  verb: "get" | "list";
  namespace: string;
  name: string;
}

const kinds: Readonly<Record<string, "policy" | "binding">> = {
  validatingadmissionpolicies: "policy",
  mutatingadmissionpolicies: "policy",
  validatingadmissionpolicybindings: "binding",
  mutatingadmissionpolicybindings: "binding",
};

/** Always on: it is no admission plugin upstream, and cannot be switched off. */
export function policyParametersCheck(options: PolicyParametersOptions): AdmissionPlugin {
  return {
    name: "PolicyParametersCheck",
    handles: ({ definition, operation, subresource, user }) =>
      definition.group === "admissionregistration.k8s.io" &&
      definition.plural in kinds &&
      subresource === "" &&
      (operation === "CREATE" || operation === "UPDATE") &&
      !user.groups.includes("system:masters"),
    async validate(request) {
      if (kinds[request.definition.plural] === "policy") await checkPolicy(request, options);
      else await checkBinding(request, options);
    },
  };
}

const specOf = (object: unknown) => (object as { spec?: Spec } | undefined)?.spec ?? {};

async function checkPolicy(request: AdmissionRequest, options: PolicyParametersOptions): Promise<void> {
  const { paramKind } = specOf(request.object);
  if (!paramKind) return;
  const before = specOf(request.oldObject).paramKind;
  if (before && before.apiVersion === paramKind.apiVersion && before.kind === paramKind.kind) return;
  if (await mayRead(paramKind, { verb: "get", namespace: "*", name: "*" }, request, options)) return;
  const { kind, apiVersion } = paramKind;
  refuse(
    request,
    specPath.child("paramKind"),
    `user ${userText(request.user)} must have "get" permission on all objects of the referenced paramKind (kind=${kind}, apiVersion=${apiVersion})`,
  );
}

/** Also when nothing changes: upstream compares where the reference is, not what it says. */
async function checkBinding(request: AdmissionRequest, options: PolicyParametersOptions): Promise<void> {
  const { paramRef, policyName = "" } = specOf(request.object);
  if (!paramRef) return;
  const isMutating = request.definition.plural.startsWith("mutating");
  const policy: DeepReadonly<ValidatingAdmissionPolicy | MutatingAdmissionPolicy> | undefined = isMutating
    ? await options.objects.get(MutatingAdmissionPolicies, "", policyName)
    : await options.objects.get(ValidatingAdmissionPolicies, "", policyName);
  const { name = "", namespace = "" } = paramRef;
  const verb = isMutating && !name ? "list" : "get";
  const paramKind = policy?.spec?.paramKind as ParamKind | undefined;
  if (await mayRead(paramKind, { verb, namespace, name }, request, options)) return;
  const user = userText(request.user);
  // Of mutating ones, upstream says it the wrong way round.
  const [who, what] = isMutating ? [verb, user] : [user, verb];
  refuse(
    request,
    specPath.child("paramRef"),
    `user ${who} does not have "${what}" permission on the object referenced by paramRef`,
  );
}

/** Of parameters that nobody knows yet, everything must be readable. */
async function mayRead(
  paramKind: ParamKind | undefined,
  wanted: Wanted,
  request: AdmissionRequest,
  { authorizers, registry }: PolicyParametersOptions,
): Promise<boolean> {
  const { apiVersion = "", kind = "" } = paramKind ?? {};
  const parsed = paramKind && parseApiVersion(apiVersion);
  const { kind: decision } = await authorizeByAll(authorizers(), {
    user: request.user,
    ...wanted,
    isResource: true,
    group: parsed?.group ?? "*",
    version: parsed?.version ?? "*",
    resource: (parsed && registry.findKind(apiVersion, kind)?.plural) ?? "*",
    subresource: "",
    path: "",
  });
  return decision === "allow";
}

function refuse({ definition, name, object }: AdmissionRequest, path: FieldPath, detail: string): never {
  const of = name || (object as KubeObject | undefined)?.metadata.name || "";
  throw invalidError(definition, of, [forbidden(path, detail)]);
}

/** As Go prints it. */
function userText({ name, uid = "", groups, extra = {} }: UserInfo): string {
  const entries = Object.entries(extra).sort(([a], [b]) => (a < b ? -1 : 1));
  const more = entries.map(([key, values]) => `${key}:[${values.join(" ")}]`).join(" ");
  return `&{${name} ${uid} [${groups.join(" ")}] map[${more}]}`;
}
