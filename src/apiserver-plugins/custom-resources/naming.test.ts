import { describe, expect, it } from "vitest";
import type { CustomResourceDefinition } from "../../api/apiextensions/v1.ts";
import { plannedStatus } from "./naming.ts";

const time = "2026-01-01T00:00:00Z";
const names = { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" };

function definition(change: object = {}): CustomResourceDefinition {
  const spec = { group: "a.test", scope: "Namespaced", names, versions: [] };
  return { metadata: { name: "things.a.test" }, spec: { ...spec, ...change } } as never;
}

const conditionsOf = (one: CustomResourceDefinition, others: CustomResourceDefinition[] = []) =>
  plannedStatus(one, others, time).conditions?.map(({ type, status, reason, message }) =>
    [type, status, reason, message].join(" | "),
  );

describe("a CustomResourceDefinition's status", () => {
  it("takes its names and establishes it", () => {
    expect(conditionsOf(definition())).toEqual([
      "NamesAccepted | True | NoConflicts | no conflicts found",
      "Established | True | InitialNamesAccepted | the initial names have been accepted",
    ]);
  });

  it("tells the last of the names that others have", () => {
    const other = { ...definition(), status: { acceptedNames: names } } as never;
    expect(conditionsOf(definition(), [other])).toEqual([
      'NamesAccepted | False | ListKindConflict | "ThingList" is already in use',
      "Established | False | NotAccepted | not all names are accepted",
    ]);
  });

  it("waits for a webhook's authority that can be read", () => {
    const conversion = { strategy: "Webhook", webhook: { clientConfig: { caBundle: "eA==" } } };
    expect(conditionsOf(definition({ conversion }))).toEqual([
      "NamesAccepted | True | NoConflicts | no conflicts found",
      "Established | False | InvalidCABundle | The conversion webhook CABundle is invalid",
    ]);
  });

  it("tells who approved it, in a group of the project's own", () => {
    const said = (annotation?: string) => {
      const one = definition({ group: "a.k8s.io" });
      if (annotation) one.metadata.annotations = { "api-approved.kubernetes.io": annotation };
      return conditionsOf(one)?.[0];
    };
    const see = "see https://github.com/kubernetes/enhancements/pull/1111";
    const due = 'protected groups must have approval annotation "api-approved.kubernetes.io"';
    const type = "KubernetesAPIApprovalPolicyConformant";
    expect(said()).toBe(`${type} | False | MissingAnnotation | ${due}, ${see}`);
    expect(said("https://a.test/1")).toBe(`${type} | True | ApprovedAnnotation | approved in https://a.test/1`);
    expect(said("unapproved, for tests")).toBe(
      `${type} | False | UnapprovedAnnotation | not approved: "unapproved, for tests"`,
    );
    expect(said("me")).toBe(
      `${type} | False | InvalidAnnotation | ${due} with either a URL or a reason starting with "unapproved", ${see}`,
    );
  });
});
