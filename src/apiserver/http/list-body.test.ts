import { expect, test } from "vitest";
import { encodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { type MadeList, madeChunks, prettyChunks, yamlChunks } from "./list-body.ts";

const text = (parts: Iterable<Uint8Array>) => Buffer.concat([...parts]).toString();

const items = [
  { metadata: { name: "a", annotations: { note: "two\nlines", space: " leading\n  and more\n", no: "no" } }, list: [] },
  { metadata: { name: "b" }, data: { "x.y": "1", empty: "" }, nested: [[1, 2], [{ deep: true }]] },
  {},
];
const frame = { kind: "ThingList", apiVersion: "v1", metadata: { resourceVersion: "7", continue: "" } };

test.each([
  ["with items", items],
  ["without", []],
])("a list %s reads the same whether it is written at once or in pieces", (_, some) => {
  for (const member of ["items", "rows"] as const) {
    const list: MadeList = { frame, member, count: some.length, items: some };
    const whole = { ...frame, [member]: some };
    expect(text(prettyChunks(list))).toBe(JSON.stringify(whole, null, 2));
    expect(text(madeChunks(list))).toBe(`${JSON.stringify(whole)}\n`);
    expect(text(yamlChunks(list, encodeYaml))).toBe(encodeYaml(whole));
  }
});
