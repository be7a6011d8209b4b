import { expect, it } from "vitest";
import { typeWarnings } from "./validatingadmissionpolicy-status-controller.ts";

const rule = (resource: string) => ({
  apiGroups: ["apps"],
  apiVersions: ["v1"],
  resources: [resource],
  operations: ["CREATE"],
});

it("a policy's expressions are checked against the kinds that its rules name", () => {
  const spec = {
    matchConstraints: { resourceRules: [rule("deployments"), rule("daemonsets"), rule("*")] },
    variables: [{ name: "labels", expression: "object.metadata.labels" }],
    validations: [
      { expression: "object.spec.replicas > 1" },
      { expression: "'app' in variables.labels", messageExpression: "object.spec.foo" },
    ],
  };
  expect(typeWarnings(spec)).toEqual([
    {
      fieldRef: "spec.validations[1].messageExpression",
      warning:
        "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'foo'\n | object.spec.foo\n | ...........^\napps/v1, Kind=DaemonSet: ERROR: <input>:1:12: undefined field 'foo'\n | object.spec.foo\n | ...........^",
    },
    {
      fieldRef: "spec.validations[0].expression",
      warning:
        "apps/v1, Kind=DaemonSet: ERROR: <input>:1:12: undefined field 'replicas'\n | object.spec.replicas > 1\n | ...........^",
    },
  ]);
  expect(typeWarnings({ ...spec, matchConstraints: { resourceRules: [rule("*")] } })).toEqual([]);
});
