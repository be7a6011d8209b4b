import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type {
  MutatingAdmissionPolicySpec,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBindingSpec,
  ValidatingAdmissionPolicySpec,
} from "../../../api/admissionregistration/v1.ts";
import {
  ConfigMaps,
  Deployments,
  MutatingAdmissionPolicies,
  MutatingAdmissionPolicyBindings,
  Namespaces,
  ValidatingAdmissionPolicies,
  ValidatingAdmissionPolicyBindings,
} from "../../../api/resources.ts";
import { InProcessClient } from "../../../apiserver/in-process-client.ts";
import type { TestApiServer } from "../../../testing/api-server.ts";
import { startPolicyServer } from "../../../testing/policy-server.ts";

let api: TestApiServer;
beforeEach(async () => {
  api = await startPolicyServer();
});
afterEach(() => api.close());

const rules = (group: string, resource: string) => ({
  resourceRules: [{ apiGroups: [group], apiVersions: ["v1"], resources: [resource], operations: ["CREATE", "UPDATE"] }],
});
const onDeployments = rules("apps", "deployments");
const onConfigMaps = rules("", "configmaps");

async function validating(
  spec: Partial<ValidatingAdmissionPolicySpec>,
  binding: Partial<ValidatingAdmissionPolicyBindingSpec> = {},
) {
  await api.client.create(ValidatingAdmissionPolicies, {
    metadata: { name: "policy" },
    spec: { matchConstraints: onDeployments, ...spec },
  } as never);
  await api.client.create(ValidatingAdmissionPolicyBindings, {
    metadata: { name: "binding" },
    spec: { policyName: "policy", validationActions: ["Deny"], ...binding },
  });
}

const mutating = async (spec: Partial<MutatingAdmissionPolicySpec>, name = "policy") => {
  await api.client.create(MutatingAdmissionPolicies, {
    metadata: { name },
    spec: { matchConstraints: onConfigMaps, reinvocationPolicy: "Never", ...spec },
  });
  await api.client.create(MutatingAdmissionPolicyBindings, {
    metadata: { name: `binding-of-${name}` },
    spec: { policyName: name },
  });
};

const deployment = (name: string, replicas: number, namespace = "default") => ({
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "main", image: "nginx:1.27" }] } },
  },
});
const deploy = (...args: Parameters<typeof deployment>) => api.client.create(Deployments, deployment(...args) as never);
const configMap = (name: string, data: Record<string, string> = {}) =>
  api.client.create(ConfigMaps, { metadata: { name, namespace: "default" }, data });

/** What a client is warned of when it creates such a Deployment. */
async function warningsOf(...args: Parameters<typeof deployment>): Promise<string[]> {
  const warnings: string[] = [];
  const client = new InProcessClient({
    pipeline: api.server.pipeline,
    user: { name: "admin", groups: ["system:masters"] },
    fieldManager: "test",
    onWarning: (text) => warnings.push(text),
  });
  await client.create(Deployments, deployment(...args) as never);
  return warnings;
}

describe("a ValidatingAdmissionPolicy", () => {
  it("refuses what its expression does not hold for, in upstream's words", async () => {
    await validating({ validations: [{ expression: "object.spec.replicas <= 5" }] });
    await deploy("few", 5);
    await expect(deploy("many", 6)).rejects.toMatchObject({
      code: 422,
      reason: "Invalid",
      message:
        "deployments.apps \"many\" is forbidden: ValidatingAdmissionPolicy 'policy' with binding 'binding' denied request: failed expression: object.spec.replicas <= 5",
    });
  });

  it("has variables, messages in CEL, and reasons", async () => {
    await validating({
      variables: [
        { name: "limit", expression: "3" },
        { name: "images", expression: "object.spec.template.spec.containers.map(c, c.image)" },
        { name: "never", expression: "object.spec.nothing.at.all" },
      ],
      validations: [
        {
          expression: "object.spec.replicas <= variables.limit && variables.images.all(i, !i.endsWith(':latest'))",
          messageExpression: "'at most ' + string(variables.limit) + ' replicas of ' + variables.images[0]",
          reason: "Forbidden",
        },
      ],
    });
    await deploy("few", 3);
    await expect(deploy("many", 4)).rejects.toMatchObject({
      code: 403,
      message: expect.stringContaining("denied request: at most 3 replicas of nginx:1.27"),
    });
  });

  it("takes parameters from another object, of its own namespace when none is named", async () => {
    await validating(
      {
        paramKind: { apiVersion: "v1", kind: "ConfigMap" },
        validations: [{ expression: "object.spec.replicas <= int(params.data.most)", message: "too many" }],
      },
      { paramRef: { name: "limits", parameterNotFoundAction: "Deny" } },
    );
    await expect(deploy("any", 1)).rejects.toThrow(
      "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    );
    await configMap("limits", { most: "2" });
    await deploy("few", 2);
    await expect(deploy("many", 3)).rejects.toThrow("denied request: too many");
  });

  it("sees the namespace, the request and what its user may do", async () => {
    await api.client.create(Namespaces, { metadata: { name: "prod", labels: { stage: "prod" } }, spec: {} });
    await validating({
      matchConditions: [{ name: "not-system", expression: "request.userInfo.username != 'system:root'" }],
      validations: [
        {
          expression: "!('stage' in namespaceObject.metadata.labels) || object.spec.replicas >= 2",
          message: "prod needs two",
        },
        {
          expression:
            "authorizer.group('apps').resource('deployments').namespace(request.namespace).check('create').allowed()",
        },
        { expression: "authorizer.requestResource.check('delete').allowed() && request.operation == 'CREATE'" },
      ],
    });
    await expect(deploy("one", 1, "prod")).rejects.toThrow("denied request: prod needs two");
    await deploy("two", 2, "prod");
  });

  it("that fails to evaluate refuses, unless failures are ignored", async () => {
    const validations = [{ expression: "object.spec.missing > 0" }];
    await validating({ validations });
    await expect(deploy("a", 1)).rejects.toThrow(
      "denied request: expression 'object.spec.missing > 0' resulted in error: no such key: missing",
    );
    const policy = await api.client.get(ValidatingAdmissionPolicies, { name: "policy" });
    await api.client.update(ValidatingAdmissionPolicies, {
      ...policy,
      spec: { ...policy.spec, failurePolicy: "Ignore" },
    });
    await deploy("a", 1);
  });

  it("that costs too much is ended", async () => {
    const list = `[${Array.from({ length: 60 }, (_, i) => i).join(",")}]`;
    await validating({
      validations: [
        { expression: `${list}.all(a, ${list}.all(b, ${list}.all(c, ${list}.all(d, a + b + c + d >= 0))))` },
      ],
    });
    await expect(deploy("a", 1)).rejects.toThrow("operation cancelled: actual cost limit exceeded");
  });

  it("that spends all it may is judged by that alone, and not at all when failures are ignored", async () => {
    const dear = Array(9).fill("!object.data.big.contains('zz')").join(" && ");
    const spec = {
      matchConstraints: onConfigMaps,
      validations: [
        { expression: "false" },
        ...Array.from({ length: 13 }, (_, i) => ({ expression: `${dear} || ${i} > 0` })),
      ],
    };
    await validating(spec);
    const big = { big: "a".repeat(900_000) };
    await expect(configMap("a", big)).rejects.toThrow(
      "denied request: validation failed due to running out of cost budget, no further validation rules will be run",
    );
    await expect(configMap("b", { big: "a" })).rejects.toThrow("denied request: failed expression: false");
    const policy = await api.client.get(ValidatingAdmissionPolicies, { name: "policy" });
    await api.client.update(ValidatingAdmissionPolicies, {
      ...(policy as ValidatingAdmissionPolicy),
      spec: { ...spec, failurePolicy: "Ignore" },
    });
    await configMap("a", big);
  });

  it("whose kind of parameters does not exist is nobody's to pass, whatever its bindings are about", async () => {
    await validating(
      { paramKind: { apiVersion: "nowhere.io/v1", kind: "None" }, validations: [{ expression: "true" }] },
      { matchResources: { namespaceSelector: { matchLabels: { not: "this" } } } },
    );
    await expect(deploy("a", 1)).rejects.toThrow(
      "ValidatingAdmissionPolicy 'policy' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'nowhere.io/v1, Kind=None'",
    );
  });

  it("may only warn", async () => {
    await validating({ validations: [{ expression: "object.spec.replicas <= 1" }] }, { validationActions: ["Warn"] });
    expect(await warningsOf("two", 2)).toEqual([
      "Validation failed for ValidatingAdmissionPolicy 'policy' with binding 'binding': failed expression: object.spec.replicas <= 1",
    ]);
  });

  it("that cannot be judged does what its binding says, too", async () => {
    await validating(
      { validations: [{ expression: "object.spec.nothing == 1" }] },
      { validationActions: ["Warn", "Audit"] },
    );
    expect(await warningsOf("unjudged", 1)).toEqual([
      expect.stringContaining("expression 'object.spec.nothing == 1' resulted in error: no such key: nothing"),
    ]);
  });

  it("does not ask who may do what for its messages", async () => {
    const messageExpression = "string(authorizer.path('/').check('get').allowed())";
    await expect(validating({ validations: [{ expression: "true", messageExpression }] })).rejects.toThrow(
      "undeclared reference to 'authorizer'",
    );
  });

  it("that does not compile is not accepted", async () => {
    await expect(validating({ validations: [{ expression: "object.spec.replicas <" }] })).rejects.toThrow(
      'spec.validations[0].expression: Invalid value: "object.spec.replicas <": compilation failed: ERROR: <input>:1:23: Syntax error:',
    );
    await expect(validating({ validations: [{ expression: "'a' + 'b'" }] })).rejects.toThrow("must evaluate to bool");
    await expect(
      validating({ variables: [{ name: "a", expression: "variables.b" }], validations: [{ expression: "true" }] }),
    ).rejects.toThrow("undefined field 'b'");
  });

  it("is asked about a resource in another of its versions too", async () => {
    const constraints = (apiVersions: string[]) => ({
      resourceRules: [
        { apiGroups: ["autoscaling"], apiVersions, resources: ["horizontalpodautoscalers"], operations: ["CREATE"] },
      ],
    });
    await validating({
      matchConstraints: constraints(["v1"]),
      validations: [
        { expression: "object.apiVersion == 'autoscaling/v1' && object.spec.targetCPUUtilizationPercentage < 50" },
      ],
    });
    const { HorizontalPodAutoscalers } = await import("../../../api/resources.ts");
    const autoscaler = (averageUtilization: number) => ({
      metadata: { name: "web", namespace: "default" },
      spec: {
        maxReplicas: 3,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
        metrics: [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization } } }],
      },
    });
    await expect(api.client.create(HorizontalPodAutoscalers, autoscaler(80) as never)).rejects.toThrow(
      "failed expression",
    );
    await api.client.create(HorizontalPodAutoscalers, autoscaler(40) as never);
  });
});

describe("a MutatingAdmissionPolicy", () => {
  it("applies a configuration", async () => {
    await mutating({
      mutations: [
        {
          patchType: "ApplyConfiguration",
          applyConfiguration: {
            expression:
              'Object{metadata: Object.metadata{labels: {"seen-by": request.userInfo.username}}, data: {"added": string(size(object.data))}}',
          },
        },
      ],
    });
    const made = await configMap("a", { given: "1" });
    expect(made.data).toEqual({ given: "1", added: "1" });
    expect(made.metadata.labels).toEqual({ "seen-by": "kubernetes-admin" });
  });

  it("merges lists by their keys", async () => {
    await mutating({
      matchConstraints: onDeployments,
      mutations: [
        {
          patchType: "ApplyConfiguration",
          applyConfiguration: {
            expression:
              "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: object.spec.template.spec.containers.map(c, Object.spec.template.spec.containers{name: c.name, imagePullPolicy: 'Always'})}}}}",
          },
        },
      ],
    });
    const { spec } = await deploy("a", 1);
    expect(spec.template.spec!.containers[0]).toMatchObject({
      name: "main",
      image: "nginx:1.27",
      imagePullPolicy: "Always",
    });
  });

  it("patches, escaping keys", async () => {
    await mutating({
      mutations: [
        {
          patchType: "JSONPatch",
          jsonPatch: {
            expression:
              "[JSONPatch{op: 'add', path: '/metadata/labels', value: {}}, JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('example.com/team'), value: 'a'}]",
          },
        },
      ],
    });
    expect((await configMap("a")).metadata.labels).toEqual({ "example.com/team": "a" });
  });

  it("whose changes others want to see is followed by another round", async () => {
    const add = (key: string, value: string) => ({
      patchType: "ApplyConfiguration",
      applyConfiguration: { expression: `Object{data: {'${key}': ${value}}}` },
    });
    await mutating({ reinvocationPolicy: "IfNeeded", mutations: [add("count", "string(size(object.data))")] }, "a");
    await mutating({ mutations: [add("b", "'1'")] }, "b");
    expect((await configMap("x", { given: "1" })).data).toEqual({ given: "1", b: "1", count: "3" });
  });

  it("sees what its mutations before made, and leaves alone what a test of a patch finds otherwise", async () => {
    const apply = (expression: string) => ({ patchType: "ApplyConfiguration", applyConfiguration: { expression } });
    await mutating({
      variables: [{ name: "count", expression: "size(object.data)" }],
      mutations: [
        apply("Object{apiVersion: 'v7', kind: 'Other', data: {'first': string(variables.count)}}"),
        {
          patchType: "JSONPatch",
          jsonPatch: {
            expression:
              "[JSONPatch{op: 'test', path: '/data/first', value: '7'}, JSONPatch{op: 'remove', path: '/data/first'}]",
          },
        },
        apply("Object{data: {'second': string(variables.count)}}"),
      ],
    });
    expect((await configMap("a", { given: "1" })).data).toEqual({ given: "1", first: "1", second: "2" });
  });

  it("may not replace what is one whole, nor name fields that there are not; all that fails is told", async () => {
    const inPod = (fields: string) =>
      `Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{${fields}}}}}`;
    const apply = (expression: string) => ({ patchType: "ApplyConfiguration", applyConfiguration: { expression } });
    await mutating({
      matchConstraints: onDeployments,
      mutations: [
        apply(
          inPod(
            "containers: object.spec.template.spec.containers.map(c, Object.spec.template.spec.containers{name: c.name, args: ['x']})",
          ),
        ),
        apply(inPod("replicasOfPods: 3")),
        {
          patchType: "JSONPatch",
          jsonPatch: { expression: "[JSONPatch{op: 'remove', path: '/spec/nothing'}]" },
        },
      ],
    });
    const denied = "policy 'policy' with binding 'binding-of-policy' denied request:";
    const message = `${denied} error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.template.spec.containers[0].args`;
    await expect(deploy("a", 1)).rejects.toMatchObject({
      code: 403,
      reason: "Invalid",
      message,
      details: {
        causes: [
          { message },
          {
            message: `${denied} error applying patch: failed to convert patch object to typed object: .spec.template.spec.replicasOfPods: field not declared in schema`,
          },
          { message: expect.stringContaining(`${denied} JSON Patch: `) },
        ],
      },
    });
  });

  it("that names structs wrongly is not accepted", async () => {
    await expect(
      mutating({
        mutations: [
          { patchType: "ApplyConfiguration", applyConfiguration: { expression: "Object{metadata: Object.meta{}}" } },
        ],
      }),
    ).rejects.toThrow('unexpected type name "Object.meta", expected "Object.metadata"');
  });
});
