import { expect, test } from "vitest";
import type { Unstructured } from "../../api.ts";
import { parseGoTemplate } from "./go-template.ts";

const service = {
  kind: "Service",
  metadata: { name: "web" },
  spec: { ports: [{ name: "http", port: 80 }], selector: { app: "web", tier: "front" } },
} as unknown as Unstructured;

const fill = (template: string): string => parseGoTemplate(template, true)(service);

test.each([
  ['{{printf "%s-%v" .kind .spec.ports}}', "Service-[map[name:http port:80]]"],
  ["{{range $i, $p := .spec.ports}}{{$i}}:{{$p.port}}{{end}}", "0:80"],
  ["{{range $k, $v := .spec.selector}}{{$k}}={{$v}} {{else}}none{{end}}", "app=web tier=front "],
  ["{{range 3}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{end}}", "02"],
  ["{{with .nope}}a{{else with .kind}}b{{.}}{{end}}", "bService"],
  ['{{define "x"}}<{{.}}>{{end}}{{template "x" .kind}}{{block "y" .spec}}{{len .ports}}{{end}}', "<Service>1"],
  ['{{html "<a>"}} {{js "it\'s"}} {{urlquery "a b&c"}}', "&lt;a&gt; it\\'s a+b%26c"],
  ['{{ "YQ==" | base64decode | printf "%q" -}}   !', '"a"!'],
  ['{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}{{exists . "spec" "ports" 0 "port"}}', "2true"],
  ["{{.nope}} {{.nope.deeper}} {{(index .spec.ports 0).port}}", "<no value> <no value> 80"],
  ['{{printf "%05d|%-3s|%x|%d" 42 "a" "b" "c"}}', "00042|a  |62|%!d(string=c)"],
])("%s", (template, expected) => {
  expect(fill(template)).toBe(expected);
});

test.each([
  ["{{nope}}", 'template: output:1: function "nope" not defined'],
  ["a\n{{if .kind}}", "template: output:2: unexpected EOF"],
  ["{{end}}", "template: output:1: unexpected {{end}}"],
  ["{{$x}}", 'template: output:1: undefined variable "$x"'],
  ["{{.kind", "template: output:1: unclosed action"],
  ["{{len .spec.nope}}", "at <len .spec.nope>: error calling len: reflect: call of reflect.Value.Type on zero Value"],
  ["{{eq .kind 1}}", "incompatible types for comparison: string and int"],
  [
    "{{.kind.x}}",
    'template: output:1:7: executing "output" at <.kind.x>: can\'t evaluate field x in type interface {}',
  ],
  ["{{index .spec.ports 5}}", "error calling index: index out of range: 5"],
])("%s is told where it is wrong", (template, expected) => {
  expect(() => fill(template)).toThrow(expected);
});
