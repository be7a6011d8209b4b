import { expect, test } from "vitest";
import { completed } from "./complete-role.ts";
import { on, read, toGroup, toUser } from "./default-rbac.ts";

const labels = { "kubernetes.io/bootstrapping": "rbac-defaults" };
const annotations = { "rbac.authorization.kubernetes.io/autoupdate": "true" };
const metadata = { labels, annotations };
const pods = on("", read, "pods");
const nodes = on("", ["get"], "nodes");

test("what a role lacks is added, and what users added stays", () => {
  const added = on("apps", ["get"], "deployments");
  const role = completed({ metadata: { labels: { mine: "1" } }, rules: [added] }, { metadata, rules: [pods, nodes] });
  expect(role).toEqual({
    metadata: { labels: { ...labels, mine: "1" }, annotations },
    rules: [added, pods, nodes],
  });
});

test.each([
  ["has every rule", { metadata, rules: [pods, nodes] }],
  ["has wider rules", { metadata, rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }] }],
  [
    "asks to be left alone",
    { metadata: { annotations: { ...annotations, ...{ [Object.keys(annotations)[0]!]: "false" } } } },
  ],
])("a role that %s is left as it is", (_, standing) => {
  expect(completed(standing, { metadata, rules: [pods, nodes] })).toBeUndefined();
});

test("a rule for some names does not stand for the rule without", () => {
  const named = { ...nodes, resourceNames: ["a"] };
  expect(completed({ metadata, rules: [named] }, { metadata, rules: [nodes] })?.rules).toEqual([named, nodes]);
  expect(completed({ metadata, rules: [nodes] }, { metadata, rules: [named] })).toBeUndefined();
});

test("the rules of a role that sums up others come from these", () => {
  const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { sum: "true" } }] };
  expect(completed({ metadata, aggregationRule }, { metadata, aggregationRule, rules: [pods] })).toBeUndefined();
});

test("a binding gets its subjects back", () => {
  const [masters, ada] = [toGroup("system:masters"), toUser("ada")];
  expect(completed({ metadata, subjects: [ada] }, { metadata, subjects: [masters] })?.subjects).toEqual([ada, masters]);
  expect(completed({ metadata }, { metadata })).toBeUndefined();
});
