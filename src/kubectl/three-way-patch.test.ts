import { expect, test } from "vitest";
import { schemaForKind } from "../api/schema.ts";
import { strategicMergePatch } from "../apimachinery/patch/strategic.ts";
import { threeWayPatch } from "./three-way-patch.ts";

const deployment = schemaForKind("apps", "v1", "Deployment")!;
const withContainers = (...containers: object[]) => ({ spec: { template: { spec: { containers } } } });

test("what others set stays, what the manifest dropped goes, what it changed changes", () => {
  const original = { metadata: { labels: { a: "1", b: "2" } }, spec: { replicas: 3 } };
  const modified = { metadata: { labels: { a: "9" } }, spec: {} };
  const current = { metadata: { labels: { a: "1", b: "2", theirs: "x" } }, spec: { replicas: 3, paused: true } };
  expect(threeWayPatch(original, modified, current, deployment)).toEqual({
    metadata: { labels: { a: "9", b: null } },
    spec: { replicas: null },
  });
});

test("nothing to change is an empty patch, defaults of the server included", () => {
  const manifest = withContainers({ name: "web", image: "nginx" });
  const current = withContainers({ name: "web", image: "nginx", imagePullPolicy: "Always", resources: {} });
  expect(threeWayPatch(manifest, manifest, current, deployment)).toEqual({});
});

test("lists merge by their key: one item changed, one added, one removed, others' kept", () => {
  const original = withContainers({ name: "web", image: "nginx:1" }, { name: "old", image: "old" });
  const modified = withContainers({ name: "web", image: "nginx:2" }, { name: "new", image: "new" });
  const current = withContainers(
    { name: "web", image: "nginx:1", tty: true },
    { name: "old", image: "old" },
    { name: "injected", image: "proxy" },
  );
  const patch = threeWayPatch(original, modified, current, deployment);
  expect(strategicMergePatch(current, patch, deployment)).toEqual(
    withContainers(
      { name: "web", image: "nginx:2", tty: true },
      { name: "new", image: "new" },
      { name: "injected", image: "proxy" },
    ),
  );
});

test("without a schema lists are replaced as a whole", () => {
  expect(threeWayPatch({ a: [1] }, { a: [2] }, { a: [1], b: 1 }, undefined)).toEqual({ a: [2] });
});
