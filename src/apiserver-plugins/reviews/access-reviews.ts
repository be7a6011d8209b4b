/** SubjectAccessReview and its kin: may somebody do something? Asked of the same authorizers that requests go through. */
import type {
  LocalSubjectAccessReview,
  NonResourceAttributes,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SubjectAccessReview,
  SubjectAccessReviewStatus,
} from "../../api/authorization/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { type FieldError, FieldPath, invalid } from "../../apimachinery/field-error.ts";
import type { ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { badRequestError, invalidError } from "../../apimachinery/status-error.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import { type Attributes, type Authorizer, authorizeByAll } from "../../apiserver/authorization.ts";
import type { VirtualRequest, VirtualResource } from "../../apiserver/virtual-resource.ts";

const group = "authorization.k8s.io";
const spec = FieldPath.root.child("spec");

interface Question {
  resourceAttributes?: ResourceAttributes;
  nonResourceAttributes?: NonResourceAttributes;
}

export function accessReviews(authorizers: () => readonly Authorizer[]): VirtualResource[] {
  const answer = async (user: UserInfo, question: Question): Promise<SubjectAccessReviewStatus> => {
    const decision = await authorizeByAll(authorizers(), attributesOf(user, question));
    const reason = decision.reason ? { reason: decision.reason } : {};
    if (decision.kind === "allow") return { allowed: true, ...reason };
    return decision.kind === "deny" ? { allowed: false, denied: true, ...reason } : { allowed: false, ...reason };
  };
  return [
    {
      definition: review("SelfSubjectAccessReview", "selfsubjectaccessreviews", "Cluster"),
      async create(object, { context }) {
        const asked = object as unknown as SelfSubjectAccessReview;
        refuse(questionProblems(asked.spec));
        return { ...asked, status: await answer(context.user, asked.spec) };
      },
    },
    {
      definition: review("SubjectAccessReview", "subjectaccessreviews", "Cluster"),
      async create(object) {
        const asked = object as unknown as SubjectAccessReview;
        refuse([...questionProblems(asked.spec), ...subjectProblems(asked.spec)]);
        return { ...asked, status: await answer(subjectOf(asked.spec), asked.spec) };
      },
    },
    {
      definition: review("LocalSubjectAccessReview", "localsubjectaccessreviews", "Namespaced"),
      async create(object, request) {
        const asked = object as unknown as LocalSubjectAccessReview;
        const errors = [...questionProblems(asked.spec), ...subjectProblems(asked.spec)];
        refuse([...errors, ...localProblems(asked, request)]);
        return { ...asked, status: await answer(subjectOf(asked.spec), asked.spec) };
      },
    },
  ];
}

/** Definitions of resources that can be asked and hold nothing. */
export function review(
  kind: string,
  plural: string,
  scope: "Namespaced" | "Cluster",
  of = group,
): ResourceDefinition<KubeObject> {
  return { group: of, version: "v1", kind, plural, singular: kind.toLowerCase(), scope, verbs: ["create"] };
}

function attributesOf(user: UserInfo, { resourceAttributes, nonResourceAttributes }: Question): Attributes {
  const asked = resourceAttributes;
  return {
    user,
    verb: asked?.verb ?? nonResourceAttributes?.verb ?? "",
    isResource: asked !== undefined,
    group: asked?.group ?? "",
    version: asked?.version ?? "",
    resource: asked?.resource ?? "",
    subresource: asked?.subresource ?? "",
    namespace: asked?.namespace ?? "",
    name: asked?.name ?? "",
    path: nonResourceAttributes?.path ?? "",
    ...selectorsOf(asked),
  };
}

/** As a list request would say them. */
function selectorsOf(asked: ResourceAttributes | undefined): Pick<Attributes, "labelSelector" | "fieldSelector"> {
  const labels = textOf(asked?.labelSelector, labelTerm);
  const fields = textOf(asked?.fieldSelector, fieldTerm);
  return { ...(labels ? { labelSelector: labels } : {}), ...(fields ? { fieldSelector: fields } : {}) };
}

interface Selection {
  rawSelector?: string;
  requirements?: { key: string; operator: string; values?: string[] }[];
}

function textOf(selection: Selection | undefined, term: (one: Requirement) => string | undefined): string {
  if (selection?.rawSelector) return selection.rawSelector;
  return (selection?.requirements ?? []).flatMap((one) => term(one) ?? []).join(",");
}

type Requirement = NonNullable<Selection["requirements"]>[number];

function labelTerm({ key, operator, values = [] }: Requirement): string | undefined {
  switch (operator) {
    case "In":
      return `${key} in (${values.join(",")})`;
    case "NotIn":
      return `${key} notin (${values.join(",")})`;
    case "Exists":
      return key;
    case "DoesNotExist":
      return `!${key}`;
    default:
      return undefined;
  }
}

/** Field selectors know one value alone; what they cannot say makes the selection wider, never narrower. */
function fieldTerm({ key, operator, values = [] }: Requirement): string | undefined {
  const [value] = values;
  if (values.length !== 1 || value === undefined) return undefined;
  const escaped = value.replace(/[\\,=]/g, (character) => `\\${character}`);
  if (operator === "In") return `${key}=${escaped}`;
  return operator === "NotIn" ? `${key}!=${escaped}` : undefined;
}

interface Subject {
  user?: string;
  groups?: string[];
  uid?: string;
  extra?: Record<string, string[]>;
}

function subjectOf({ user = "", groups = [], uid, extra }: Subject): UserInfo {
  return { name: user, groups, ...(uid ? { uid } : {}), ...(extra ? { extra } : {}) };
}

function questionProblems({ resourceAttributes, nonResourceAttributes }: Question): FieldError[] {
  if (resourceAttributes && nonResourceAttributes) {
    // Upstream shows its own form of the value, whose members have other names.
    const shown = { Path: nonResourceAttributes.path ?? "", Verb: nonResourceAttributes.verb ?? "" };
    const why = "cannot be specified in combination with resourceAttributes";
    return [invalid(spec.child("nonResourceAttributes"), shown, why)];
  }
  if (resourceAttributes || nonResourceAttributes) return [];
  const why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
  return [invalid(spec.child("resourceAttributes"), null, why)];
}

function subjectProblems({ user, groups }: Subject): FieldError[] {
  if (user || groups?.length) return [];
  return [invalid(spec.child("user"), user ?? "", "at least one of user or group must be specified")];
}

function localProblems({ spec: asked }: LocalSubjectAccessReview, { namespace }: VirtualRequest): FieldError[] {
  const named = asked.resourceAttributes?.namespace;
  if (asked.nonResourceAttributes) {
    throw badRequestError("a LocalSubjectAccessReview cannot ask about non-resource paths");
  }
  if (named === namespace) return [];
  return [invalid(spec.child("resourceAttributes", "namespace"), named ?? "", "must match metadata.namespace")];
}

/** Upstream names no kind in these refusals. */
function refuse(errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  const error = invalidError({ group, kind: "" }, "", errors);
  if (error.details) delete error.details.kind;
  throw error;
}
