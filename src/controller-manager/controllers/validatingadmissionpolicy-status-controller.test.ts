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
      fieldRef: "spec.validations[0].expression",
      warning:
        "apps/v1, Kind=DaemonSet: ERROR: <input>:1:12: undefined field 'replicas'\n | object.spec.replicas > 1\n | ...........^\n",
    },
    {
      fieldRef: "spec.validations[1].messageExpression",
      warning:
        "apps/v1, Kind=DaemonSet: ERROR: <input>:1:12: undefined field 'foo'\n | object.spec.foo\n | ...........^\n\napps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'foo'\n | object.spec.foo\n | ...........^\n",
    },
  ]);
  expect(typeWarnings({ ...spec, matchConstraints: { resourceRules: [rule("*")] } })).toEqual([]);
});

it("custom kinds are known by their definitions, as objects and as parameters", () => {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "boats.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "boats", kind: "Boat" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: { spec: { type: "object", properties: { sails: { type: "integer" } } } },
            },
          },
        },
      ],
    },
    status: {},
  };
  const spec = {
    paramKind: { apiVersion: "example.com/v1", kind: "Boat" },
    matchConstraints: {
      resourceRules: [
        { apiGroups: ["example.com"], apiVersions: ["v1"], resources: ["boats"], operations: ["CREATE"] },
      ],
    },
    validations: [
      { expression: "object.spec.sails > params.spec.sails && object.metadata.labels['a'] == 'b'" },
      { expression: "object.spec.sails > '1'" },
      { expression: "params.spec.oars > 1" },
    ],
  };
  expect(typeWarnings(spec, [definition as never])).toMatchObject([
    {
      fieldRef: "spec.validations[1].expression",
      warning: expect.stringMatching(
        /^example.com\/v1, Kind=Boat: .*no matching overload for '_>_' applied to '\(int, string\)'/,
      ),
    },
    { fieldRef: "spec.validations[2].expression", warning: expect.stringContaining("undefined field 'oars'") },
  ]);
  expect(typeWarnings(spec)).toEqual([]);
});
