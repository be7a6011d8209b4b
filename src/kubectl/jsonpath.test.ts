import { expect, test } from "vitest";
import { parseJsonPath, parseJsonPathExpression } from "./jsonpath.ts";

const list = {
  kind: "List",
  items: [
    {
      kind: "None",
      metadata: { name: "127.0.0.1", labels: { "kubernetes.io/hostname": "one" } },
      status: { capacity: { cpu: "4" }, addresses: [{ type: "LegacyHostIP", address: "127.0.0.1" }] },
    },
    {
      kind: "None",
      metadata: { name: "127.0.0.2" },
      status: {
        capacity: { cpu: "8" },
        addresses: [
          { type: "LegacyHostIP", address: "127.0.0.2" },
          { type: "another", address: "127.0.0.3" },
        ],
      },
    },
  ],
  users: [
    { name: "myself", user: {} },
    { name: "e2e", user: { username: "admin", password: "secret" } },
  ],
};

test.each([
  ["kind is {.kind}", "kind is List"],
  ["{['kind']}", "List"],
  ["{..name}", "127.0.0.1 127.0.0.2 myself e2e"],
  ["{.items[*].metadata.name}", "127.0.0.1 127.0.0.2"],
  ["{.users[0].name}", "myself"],
  ["{.users[-1].name}", "e2e"],
  ["{.items[0:1].metadata.name}", "127.0.0.1"],
  ["{.users[*]['name','user']}", 'myself e2e {} {"password":"secret","username":"admin"}'],
  ['{.users[?(@.name=="e2e")].user.password}', "secret"],
  ['{.items[?(@.metadata.name!="127.0.0.1")].status.capacity.cpu}', "8"],
  [
    "{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}",
    '[127.0.0.1, {"cpu":"4"}] [127.0.0.2, {"cpu":"8"}] ',
  ],
  ['{range .items[*]}{.metadata.name}{"\\t"}{end}', "127.0.0.1\t127.0.0.2\t"],
  ["{.items[0].metadata.labels.kubernetes\\.io/hostname}", "one"],
  ["{.users[*].missing}", ""],
])("%s", (template, expected) => {
  expect(parseJsonPath(template)(list)).toBe(expected);
});

test("an index beyond the end says how long the list is", () => {
  expect(() => parseJsonPath("{.users[5].name}")(list)).toThrow("array index out of bounds: index 5, length 2");
});

test("a template that is not one says where it breaks", () => {
  expect(() => parseJsonPath("{.users")).toThrow("unclosed action");
  expect(() => parseJsonPath("{end}")({})).toThrow("not in range, nothing to end");
});

test("a bare path is read with and without its dot and braces", () => {
  for (const path of [".kind", "kind", "{.kind}", "{kind}"])
    expect(parseJsonPathExpression(path)(list)).toEqual(["List"]);
});
