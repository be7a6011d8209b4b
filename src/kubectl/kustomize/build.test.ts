import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { encodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { buildKustomization } from "./build.ts";

const folder = mkdtempSync(join(tmpdir(), "pnt-kubectl-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function files(contents: Record<string, string>): void {
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

const build = (name: string) => buildKustomization(join(folder, name), () => {}).map((object) => encodeYaml(object));

test("an overlay renames, labels and patches its base, and references follow the names", () => {
  files({
    "base/kustomization.yaml": "resources: [web.yaml]\nconfigMapGenerator: [{ name: settings, literals: [a=b] }]\n",
    "base/web.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { role: front } }
  template:
    metadata: { labels: { role: front } }
    spec:
      containers:
      - { name: web, image: "registry:5000/web:1", envFrom: [{ configMapRef: { name: settings } }] }
`,
    "over/kustomization.yaml": `resources: [../base]
namePrefix: dev-
namespace: shop
labels: [{ pairs: { team: red }, includeSelectors: true }]
images: [{ name: registry:5000/web, newTag: "2" }]
replicas: [{ name: web, count: 3 }]
patches:
- target: { kind: Deployment }
  patch: |-
    - { op: add, path: /spec/paused, value: true }
`,
  });
  expect(build("over")).toMatchInlineSnapshot(`
    [
      "apiVersion: v1
    data:
      a: b
    kind: ConfigMap
    metadata:
      labels:
        team: red
      name: dev-settings-4h2mbtbbt6
      namespace: shop
    ",
      "apiVersion: apps/v1
    kind: Deployment
    metadata:
      labels:
        team: red
      name: dev-web
      namespace: shop
    spec:
      paused: true
      replicas: 3
      selector:
        matchLabels:
          role: front
          team: red
      template:
        metadata:
          labels:
            role: front
            team: red
        spec:
          containers:
          - envFrom:
            - configMapRef:
                name: dev-settings-4h2mbtbbt6
            image: registry:5000/web:2
            name: web
    ",
    ]
  `);
});

test("a field that is not understood is an error, not left out in silence", () => {
  files({ "one/kustomization.yaml": "vars: []\n", "two/kustomization.yaml": "nope: 1\n" });
  expect(() => build("one")).toThrow('the field "vars" of kustomizations is not supported by this kubectl yet');
  expect(() => build("two")).toThrow('invalid Kustomization: json: unknown field "nope"');
});

const replaced = `apiVersion: v1
kind: ConfigMap
metadata: { name: a }
data: { host: reg.example/path, port: "8080" }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { replicas: 1, template: { spec: { containers: [{ name: c, image: "docker.io/x:1", env: [{ name: PORT, value: "1" }] }] } } }
`;

test("replacements write a value of one object into fields of others", () => {
  files({
    "r/r.yaml": replaced,
    "r/more.yaml":
      "- source: { kind: Deployment, fieldPath: spec.replicas }\n  targets: [{ select: { kind: ConfigMap }, fieldPaths: [data.replicas], options: { create: true } }]\n",
    "r/kustomization.yaml": `resources: [r.yaml]
namePrefix: p-
replacements:
- path: more.yaml
- source: { kind: ConfigMap, name: a, fieldPath: data.host, options: { delimiter: "/" } }
  targets:
  - select: { kind: Deployment, name: web }
    fieldPaths: [spec.template.spec.containers.0.image]
    options: { delimiter: "/", index: 0 }
- source: { kind: ConfigMap, fieldPath: data.port }
  targets:
  - select: { kind: Deployment }
    reject: [{ name: nobody }]
    fieldPaths: ["spec.template.spec.containers.[name=c].env.[name=PORT].value", 'metadata.annotations.example\\.org/port']
    options: { create: true }
`,
    "none/r.yaml": replaced,
    "none/kustomization.yaml":
      "resources: [r.yaml]\nreplacements: [{ source: { kind: ConfigMap, fieldPath: data.nope }, targets: [{ select: { kind: Deployment } }] }]\n",
    "chart/kustomization.yaml": "helmCharts: [{ name: web, version: 1.0.0 }]\n",
  });
  expect(build("r").join("---\n")).toMatchInlineSnapshot(`
    "apiVersion: v1
    data:
      host: reg.example/path
      port: "8080"
      replicas: 1
    kind: ConfigMap
    metadata:
      name: p-a
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      annotations:
        example.org/port: "8080"
      name: p-web
    spec:
      replicas: 1
      template:
        spec:
          containers:
          - env:
            - name: PORT
              value: "8080"
            image: reg.example/x:1
            name: c
    "
  `);
  expect(() => build("none")).toThrow(
    "fieldPath `data.nope` is missing for replacement source ConfigMap.[noVer].[noGrp]/[noName].[noNs]",
  );
  expect(() => build("chart")).toThrow(
    "trouble configuring builtin HelmChartInflationGenerator with config: `\nname: web\nversion: 1.0.0\n`: must specify --enable-helm",
  );
});

test("a patch whose object is not there is an error", () => {
  files({
    "patched/kustomization.yaml":
      'patches: [{ patch: "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {}}" }]\n',
  });
  expect(() => build("patched")).toThrow("no matches for Id Service.v1.[noGrp]/web.[noNs]");
});

test("what contains itself, or says a thing of the wrong kind, is an error", () => {
  files({
    "loop/kustomization.yaml": "resources: [../loop]\n",
    "labelled/kustomization.yaml": "labels: [{ pairs: { on: yes } }]\n",
    "other/kustomization.yaml": "kind: ConfigMap\n",
    "empty/kustomization.yaml": "",
  });
  expect(() => build("loop")).toThrow("cycle detected: candidate root");
  expect(() => build("labelled")).toThrow(
    "json: cannot unmarshal bool into Go struct field Kustomization.labels.0.pairs.",
  );
  expect(() => build("other")).toThrow("kind should be Kustomization or Component");
  expect(() => build("empty")).toThrow("kustomization.yaml is empty");
});

test("objects stand in the order that the kustomization asks for", () => {
  const object = (kind: string, apiVersion = "v1") =>
    `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: a }\n`;
  const all = ["Secret", "Namespace", "Service"].map((kind) => object(kind)).join("---\n");
  const sorted = (options: string) => {
    files({ "sorted/all.yaml": all, "sorted/kustomization.yaml": `resources: [all.yaml]\n${options}\n` });
    return build("sorted").map((text) => /^kind: (.*)$/m.exec(text)?.[1]);
  };
  expect(sorted("")).toEqual(["Namespace", "Secret", "Service"]);
  expect(sorted("sortOptions: { order: fifo }")).toEqual(["Secret", "Namespace", "Service"]);
  expect(
    sorted("sortOptions: { order: legacy, legacySortOptions: { orderFirst: [Service], orderLast: [Namespace] } }"),
  ).toEqual(["Service", "Secret", "Namespace"]);
});
