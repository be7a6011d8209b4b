import { describe, expect, it } from "vitest";
import type { KubeObject } from "../../api/object.ts";
import type { VirtualRequest } from "../../apiserver/virtual-resource.ts";
import { accessReviews } from "./access-reviews.ts";

const request = {
  context: { user: { name: "jane", groups: [] } },
  namespace: "default",
  name: "",
  query: {},
} as unknown as VirtualRequest;
const managedFields = [{ manager: "curl", operation: "Update" }];

async function answer(kind: string, spec: object, metadata: object): Promise<unknown> {
  const asked = accessReviews(() => []).find(({ definition }) => definition.kind === kind)!;
  return asked.create!({ kind, spec, metadata } as unknown as KubeObject, request).then(
    () => "answered",
    (error: Error) => error.message,
  );
}

const anything = { user: "u", resourceAttributes: { namespace: "default" } };
const refused = '.authorization.k8s.io "" is invalid: ';

describe("a review", () => {
  it.each([
    ["SubjectAccessReview", anything, { managedFields }, "answered"],
    [
      "SubjectAccessReview",
      anything,
      { name: "a", managedFields },
      `${refused}metadata: Invalid value: {"name":"a","managedFields":[{"manager":"curl","operation":"Update"}]}: must be empty`,
    ],
    [
      "SubjectAccessReview",
      {},
      {},
      `${refused}[spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: "": at least one of user or group must be specified]`,
    ],
    ["LocalSubjectAccessReview", anything, { namespace: "default", managedFields }, "answered"],
    [
      "LocalSubjectAccessReview",
      { groups: ["g"], resourceAttributes: { namespace: "other" } },
      { name: "a", namespace: "default" },
      `${refused}[metadata: Invalid value: {"name":"a","namespace":"default"}: must be empty except for namespace, spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace]`,
    ],
    [
      "SelfSubjectAccessReview",
      { resourceAttributes: {}, nonResourceAttributes: { path: "/a" } },
      {},
      `${refused}spec.nonResourceAttributes: Invalid value: {"Path":"/a","Verb":""}: cannot be specified in combination with resourceAttributes`,
    ],
  ])("%s of %j, called %j", async (kind, spec, metadata, expected) => {
    expect(await answer(kind, spec, metadata)).toBe(expected);
  });
});
