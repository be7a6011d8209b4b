import { expect, test } from "vitest";
import { parse } from "yaml";
import { parsePlainYaml } from "./plain-yaml.ts";

const whole = (text: string): unknown => parse(text, { version: "1.1", schema: "failsafe" });

const plain = [
  "apiVersion: v1\nkind: Config\nclusters:\n- name: a\n  cluster:\n    server: https://127.0.0.1:6443\n    x-data: LS0tLS1CRUdJTg==\n",
  "# what for\na: 1\n",
  "---\na: 1\nb: true\nc: 0x10\nd: ~\n",
  "a:\nb:\n  c:\n",
  "users: []\nextensions: {}\ncontexts: null\n",
  'a: "with: colon"\nb: \'single # quoted\'\nc: ""\n',
  "args:\n  - get\n  - --flag=a b\n  -   spaced\n",
  "args:\n-   name: far\n    value: in\n- name: near\n",
  "exec:\n  env:\n  - name: A\n    value: b c\n  command: gke\n",
  "  a: indented\n  b: too\n",
  "key.with/slash-1: v\n",
];

test.each(plain)("the short way reads %j as a whole parser does", (text) => {
  expect(parsePlainYaml(text)).toEqual(whole(text));
});

const more = [
  "a: &anchor b\nc: *anchor\n",
  "a: |\n  text\n",
  "a: {b: c}\n",
  "a: first\n  second\n",
  'a: "escaped \\n"\n',
  "a: b\na: c\n",
  "a: b # said\n",
  "- - a\n",
  "a: b\n  c: d\n",
  "a: b\n---\na: c\n",
  "a:\n    b: c\n  d: e\n",
  "? a\n: b\n",
  "a:\tb\n",
  "just text\n",
  "# what for\n---\na: 1\n",
  "'quoted key': b\n",
  "",
  "!!str a: b\n",
  "-\n  a: b\n",
  "a: - b\n",
  "%YAML 1.1\n---\na: b\n",
];

test.each(more)("what is more than plain is left to it: %j", (text) => {
  expect(parsePlainYaml(text)).toBeUndefined();
});
