/** SubjectAccessReview and its kin: may somebody do something? Asked of the same authorizers that requests go through. */
import type {
  LocalSubjectAccessReview,
  NonResourceAttributes,
  ResourceAttributes,
  SelfSubjectAccessReview,
  SubjectAccessReview,
  SubjectAccessReviewStatus,
} from "../../api/authorization/v1.ts";
import type { ObjectMeta } from "../../api/meta/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import { type FieldError, FieldPath, forbidden, invalid, required } from "../../apimachinery/field-error.ts";
import { labelValueProblems } from "../../apimachinery/name-validation.ts";
import { validateLabelKey } from "../../apimachinery/object-meta-validation.ts";
import type { ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { invalidError } from "../../apimachinery/status-error.ts";
import type { UserInfo } from "../../apiserver/authentication.ts";
import { type Attributes, type Authorizer, authorizeByAll } from "../../apiserver/authorization.ts";
import type { VirtualRequest, VirtualResource } from "../../apiserver/virtual-resource.ts";

const group = "authorization.k8s.io";
const spec = FieldPath.root.child("spec");
const attributesField = spec.child("resourceAttributes");
const pathsField = spec.child("nonResourceAttributes");

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
        refuse([...questionProblems(asked.spec), ...unnamed(asked.metadata)]);
        return { ...asked, status: await answer(context.user, asked.spec) };
      },
    },
    {
      definition: review("SubjectAccessReview", "subjectaccessreviews", "Cluster"),
      async create(object) {
        const asked = object as unknown as SubjectAccessReview;
        refuse([...subjectProblems(asked.spec), ...unnamed(asked.metadata)]);
        return { ...asked, status: await answer(subjectOf(asked.spec), asked.spec) };
      },
    },
    {
      definition: review("LocalSubjectAccessReview", "localsubjectaccessreviews", "Namespaced"),
      async create(object, request) {
        const asked = object as unknown as LocalSubjectAccessReview;
        refuse([
          ...subjectProblems(asked.spec),
          ...unnamed(asked.metadata, ["namespace"]),
          ...localProblems(asked, request),
        ]);
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

function questionProblems(question: Question): FieldError[] {
  return [...choiceProblems(question), ...selectionProblems(question.resourceAttributes)];
}

function subjectProblems(asked: Question & Subject): FieldError[] {
  const { user, groups } = asked;
  const nobody = "at least one of user or group must be specified";
  return [
    ...choiceProblems(asked),
    ...(user || groups?.length ? [] : [invalid(spec.child("user"), user ?? "", nobody)]),
    ...selectionProblems(asked.resourceAttributes),
  ];
}

function choiceProblems({ resourceAttributes, nonResourceAttributes }: Question): FieldError[] {
  if (resourceAttributes && nonResourceAttributes) {
    const why = "cannot be specified in combination with resourceAttributes";
    return [invalid(pathsField, shownPaths(nonResourceAttributes), why)];
  }
  if (resourceAttributes || nonResourceAttributes) return [];
  const why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
  return [invalid(attributesField, null, why)];
}

/** Upstream shows its own form of the value, whose members have other names. */
function shownPaths({ path = "", verb = "" }: NonResourceAttributes): object {
  return { Path: path, Verb: verb };
}

/** Operators that are not known are let through, for those who come from newer clients. */
function selectionProblems(asked: ResourceAttributes | undefined): FieldError[] {
  return [
    ...oneSelection(asked?.fieldSelector, attributesField.child("fieldSelector"), ({ key }, path) =>
      key ? [] : [required(path.child("key"), "must be specified")],
    ),
    ...oneSelection(asked?.labelSelector, attributesField.child("labelSelector"), ({ key, values }, path) => [
      ...validateLabelKey(key, path.child("key")),
      ...(values ?? []).flatMap((value, index) =>
        labelValueProblems(value).map((problem) => invalid(path.child("values").index(index), value, problem)),
      ),
    ]),
  ];
}

function oneSelection(
  selection: Selection | undefined,
  path: FieldPath,
  check: (one: Requirement, path: FieldPath) => FieldError[],
): FieldError[] {
  if (!selection) return [];
  const { rawSelector = "", requirements = [] } = selection;
  const errors: FieldError[] = [];
  if (rawSelector && requirements.length > 0) {
    errors.push(invalid(path.child("rawSelector"), rawSelector, "may not specified at the same time as requirements"));
  }
  if (!rawSelector && requirements.length === 0) {
    const why = `when ${path} is specified, requirements or rawSelector is required`;
    errors.push(required(path.child("requirements"), why));
  }
  const wrong = requirements.flatMap((one, index) => {
    const at = path.child("requirements").index(index);
    const [values, count] = [at.child("values"), one.values?.length ?? 0];
    const problems: FieldError[] = [];
    if (["In", "NotIn"].includes(one.operator) && count === 0) {
      problems.push(required(values, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
    if (["Exists", "DoesNotExist"].includes(one.operator) && count > 0) {
      problems.push(forbidden(values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    }
    // Of fields the key is looked at first, of labels last.
    const checked = check(one, at);
    return path.toString().endsWith("fieldSelector") ? [...checked, ...problems] : [...problems, ...checked];
  });
  return [...errors, ...wrong];
}

/** A question has no name and no labels. What the server has booked itself does not count, but it is shown with the rest. */
function unnamed(metadata: ObjectMeta, but: readonly string[] = []): FieldError[] {
  if (Object.keys(metadata).every((field) => field === "managedFields" || but.includes(field))) return [];
  const why = ["must be empty", ...but.map((field) => `except for ${field}`)].join(" ");
  return [invalid(FieldPath.root.child("metadata"), metadata, why)];
}

function localProblems({ spec: asked }: LocalSubjectAccessReview, { namespace }: VirtualRequest): FieldError[] {
  const { resourceAttributes, nonResourceAttributes } = asked;
  const named = resourceAttributes?.namespace ?? "";
  const errors: FieldError[] = [];
  if (resourceAttributes && named !== namespace) {
    errors.push(invalid(attributesField.child("namespace"), named, "must match metadata.namespace"));
  }
  if (nonResourceAttributes) {
    errors.push(invalid(pathsField, shownPaths(nonResourceAttributes), "disallowed on this kind of request"));
  }
  return errors;
}

/** Upstream names no kind in these refusals. */
function refuse(errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  const error = invalidError({ group, kind: "" }, "", errors);
  if (error.details) delete error.details.kind;
  throw error;
}
