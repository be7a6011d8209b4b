import { describe, expect, it } from "vitest";
import { compile } from "./compile.ts";
import { kubernetesEnvironment } from "./kubernetes-environment.ts";
import { authorizerType, authorizerValue } from "./library/authorizer.ts";
import { celTypeOfOpenApi } from "./schema-types.ts";
import { Dyn } from "./types.ts";
import { toJson } from "./values.ts";

const environment = kubernetesEnvironment({ variables: { object: Dyn, authorizer: authorizerType } });

function evaluate(source: string, variables: Record<string, unknown> = {}, costLimit?: number): unknown {
  const compiled = compile(source, environment);
  if (!compiled.program) throw new Error(compiled.message);
  return toJson(compiled.program.evaluate(variables, costLimit).value);
}

const problem = (source: string, of = environment) => {
  const compiled = compile(source, of);
  return compiled.program ? undefined : compiled.message;
};

describe("Kubernetes' CEL libraries", () => {
  it.each([
    "[1, 2, 2].isSorted()",
    "[1.5, 2.0].sum() == 3.5",
    "['b', 'a'].max() == 'b'",
    "[3, 1, 2].min() == 1",
    "['a', 'b', 'a'].lastIndexOf('a') == 2",
    "sets.contains([1, 2, 3], [3, 1])",
    "!sets.equivalent([1, 2], [1, 3])",
    "sets.intersects([1], [1, 5])",
    "'abc 123 def 45'.find('[0-9]+') == '123'",
    "'123 abc 456'.findAll('[0-9]*') == ['123', '', '', '', '', '456']",
    "'1 22 333'.findAll('[0-9]+', 2) == ['1', '22']",
    "'a.b'.matches('^a\\\\.b$')",
    "url('https://user@example.com:80/p%20q?k=v&k=w').getHost() == 'example.com:80'",
    "url('https://[::1]:80/').getHostname() == '::1'",
    "url('https://example.com/?k=1&k=2').getQuery()['k'] == ['1', '2']",
    "isURL('/path') && !isURL('no path')",
    "ip('192.168.0.1').family() == 4 && ip('::1').isLoopback()",
    "!isIP('1.2.3') && !isIP('::ffff:1.2.3.4') && ip.isCanonical('2001:db8::1')",
    "cidr('192.168.0.0/24').containsIP('192.168.0.7')",
    "cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24'))",
    "string(cidr('192.168.1.5/24').masked()) == '192.168.1.0/24'",
    "quantity('1.5Gi').isGreaterThan(quantity('1Gi')) && quantity('50k').add(20) == quantity('50020')",
    "quantity('2').asInteger() == 2 && !quantity('0.5').isInteger()",
    "isQuantity('1Mi') && !isQuantity('1Zi')",
    "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))",
    "semver('v1.2', true).minor() == 2 && !isSemver('01.2.3')",
    "!format.dns1123Label().validate('ok').hasValue()",
    "format.named('dns1123Label').value().validate('No').value().size() == 1",
    "object.?spec.?missing.orValue('x') == 'x'",
    "object.spec.names.all(i, name, i < 2 && name != '')",
    "object.spec.names.transformList(i, name, name + string(i)) == ['a0', 'b1']",
    "object.spec.labels.exists(k, v, k == 'a' && v == '1')",
    "has(object.spec.labels.a) && !has(object.spec.nothing)",
    "object.spec.replicas > 2 && object.spec.ratio < 2.0 && type(object.spec.replicas) == int",
    "'%s has %d of %.2f'.format(['a', 3, 1.5]) == 'a has 3 of 1.50'",
    "jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'",
    "authorizer.group('apps').resource('deployments').namespace('ns').check('create').allowed()",
    "!authorizer.path('/metrics').check('get').allowed()",
    "authorizer.serviceAccount('ns', 'sa').group('').resource('pods').check('get').reason() == 'ns/sa'",
  ])("%s", (source) => {
    const object = { spec: { replicas: 3, ratio: 1.5, names: ["a", "b"], labels: { a: "1" } } };
    const authorizer = authorizerValue((asked) => ({
      allowed: asked.path === undefined,
      reason: asked.serviceAccount ? `${asked.serviceAccount.namespace}/${asked.serviceAccount.name}` : "",
    }));
    expect(evaluate(source, { object, authorizer })).toBe(true);
  });
});

describe("an expression that does not compile", () => {
  it.each([
    ["object.", "ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'\n | object.\n | .......^"],
    ["1 = 2", "ERROR: <input>:1:3: Syntax error: token recognition error at: '= '\n | 1 = 2\n | ..^"],
    ["nobody == 1", "ERROR: <input>:1:1: undeclared reference to 'nobody' (in container '')\n | nobody == 1\n | ^"],
    [
      "1 + 'a'",
      "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 'a'\n | ..^",
    ],
    ["['a', 1]", "ERROR: <input>:1:7: expected type 'string' but found 'int'\n | ['a', 1]\n | ......^"],
    [
      "'a'.matches('(')",
      "ERROR: <input>:1:12: error parsing regexp: missing closing ): `(`\n | 'a'.matches('(')\n | ...........^",
    ],
  ])("%s is refused with its place", (source, wanted) => {
    expect(problem(source)).toBe(wanted);
  });

  it("may be nested very deeply without harm", () => {
    expect(problem(`${"(".repeat(5000)}1${")".repeat(5000)}`)).toContain("expression recursion limit exceeded: 250");
    expect(problem(Array(5000).fill("true").join(" && "))).toBeUndefined();
  });
});

describe("an expression typed by a schema", () => {
  const self = celTypeOfOpenApi(
    {
      type: "object",
      properties: {
        count: { type: "integer" },
        "dash-ed": { type: "string", maxLength: 10 },
        when: { type: "string", format: "date-time" },
        ports: {
          type: "array",
          maxItems: 10,
          items: { type: "object", properties: { port: { type: "integer" } } },
        },
        either: { "x-kubernetes-int-or-string": true },
        tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
      },
    },
    "object",
    true,
  )!;
  const typed = kubernetesEnvironment({ variables: { self, oldSelf: self } });
  const run = (source: string, value: object) => {
    const compiled = compile(source, typed);
    if (!compiled.program) throw new Error(compiled.message);
    return compiled.program.evaluate({ self: value }).value;
  };

  it("reads dates, escaped names, sets and either of two types", () => {
    expect(run("self.when < timestamp('2030-01-01T00:00:00Z')", { when: "2026-01-01T00:00:00Z" })).toBe(true);
    expect(run("self.dash__dash__ed == 'x'", { "dash-ed": "x" })).toBe(true);
    expect(run("self.tags == ['b', 'a']", { tags: ["a", "b"] })).toBe(true);
    expect(run("type(self.either) == string ? self.either == '1' : self.either == 1", { either: 1 })).toBe(true);
    expect(run("self.metadata.name.startsWith('a')", { metadata: { name: "abc" } })).toBe(true);
  });

  it("refuses fields that the schema does not have", () => {
    expect(problem("self.cuont > 1", typed)).toContain("undefined field 'cuont'");
    expect(problem("self.count == 'x'", typed)).toContain(
      "found no matching overload for '_==_' applied to '(int, string)'",
    );
  });

  it("is estimated by the sizes that the schema allows", () => {
    const cost = (source: string) => compile(source, typed).program?.estimatedCost.max;
    expect(cost("self.count > 1")).toBe(3);
    expect(cost("self.ports.all(p, p.port > 0)")).toBe(2 + 1 + 10 * 6);
    expect(cost("self.tags.all(t, self.tags.exists(u, u == t))")).toBeGreaterThan(10_000_000);
  });
});

describe("evaluation", () => {
  it("ends when it has cost too much", () => {
    const numbers = `[${Array.from({ length: 100 }, (_, i) => i).join(",")}]`;
    const loop = `${numbers}.all(a, ${numbers}.all(b, ${numbers}.all(c, a + b + c >= 0)))`;
    expect(() => evaluate(loop)).toThrow("operation cancelled: actual cost limit exceeded");
  });

  it("says what went wrong", () => {
    expect(() => evaluate("object.nothing.there == 1", { object: {} })).toThrow("no such key: nothing");
    expect(() => evaluate("[1][3] == 1")).toThrow("index out of bounds: 3");
    expect(() => evaluate("1 / 0 == 1")).toThrow("division by zero");
    expect(evaluate("object.nothing == 1 || true", { object: {} })).toBe(true);
  });
});

describe("what an expression costs", () => {
  // [expression, at most by estimate, in fact]
  it.each<[string, number, number]>([
    ["[1, 2].max() == 2", 13, 13],
    ["['abcdefghijklmnopqrstuvwxyz', 'a'].min() == 'a'", Number.POSITIVE_INFINITY, 13],
    ["sets.contains([1, 2], [1])", 23, 23],
    ["sets.equivalent([1, 2], [1])", 25, 25],
    ["'a-b-c'.split('-')", 1, 1],
    ["'one two three four five'.replace(' ', '--')", 5, 5],
    ["'one two three four five'.indexOf('two')", 3, 2],
    ["['aaaaaaaaaa', 'bbbbbbbbbb'].join('-')", Number.POSITIVE_INFINITY, 15],
    ["[1, 2, 3].exists(x, x > 0)", 29, 20],
    ["[1, 2, 3].all(x, x > 0)", 26, 26],
    ["[1, 2].map(x, x + 1)", 49, 49],
    ["[1, 2].filter(x, x > 1)", 51, 39],
    ["[1, 2].transformList(i, v, v > 1, v)", 51, 39],
    ["{'a': 1}.transformMap(k, v, v)", 65, 65],
    ["{'a': 1}.transformMapEntry(k, v, {v: k})", 95, 95],
    ["format.named('uuid').value().validate('a')", 34, 20],
    ["authorizer.group('').resource('pods').fieldSelector('a=b')", 114, 114],
    ["authorizer.path('/').check('get').allowed()", 350003, 350003],
    ["ip('10.0.0.1') == ip('10.0.0.1')", 3, 3],
    ["url('https://example.com/') == url('https://example.com/')", 6, 5],
  ])("%s", (source, most, actual) => {
    const { program } = compile(source, environment);
    const authorizer = authorizerValue(() => ({ allowed: true, reason: "" }));
    expect([program?.estimatedCost.max, program?.evaluate({ authorizer }).cost]).toEqual([most, actual]);
  });
});
