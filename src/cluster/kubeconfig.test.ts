import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { parse } from "yaml";
import type { ClusterPki } from "./certificates.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { addContext, removeContext } from "./kubeconfig.ts";

const folder = mkdtempSync(join(tmpdir(), "pinnace-kubeconfig-"));
afterAll(() => rmSync(folder, { recursive: true }));

const plan = { name: "lab", apiServer: { address: "127.0.0.1", port: 6443 } } as ClusterPlan;
const pair = { certificatePem: "certificate", privateKeyPem: "key" };
const pki: ClusterPki = { ca: pair, apiServer: pair, admin: pair, serviceAccountKeyPem: "" };

test("a user without a kubeconfig gets one that only they can read", async () => {
  const file = join(folder, "new", "config");
  await addContext(plan, pki, { file });
  expect(parse(readFileSync(file, "utf8"))).toMatchObject({
    "current-context": "pinnace-lab",
    contexts: [{ name: "pinnace-lab" }],
  });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("other contexts and comments stay when ours comes, is renewed, and goes", async () => {
  const file = join(folder, "config");
  const theirs =
    "apiVersion: v1\nkind: Config\nclusters:\n# work\n- name: work\n  cluster: { server: https://work }\nusers: []\ncontexts:\n- name: work\n  context: { cluster: work, user: me }\ncurrent-context: work\n";
  writeFileSync(file, theirs);
  await addContext(plan, pki, { file });
  await addContext({ ...plan, apiServer: { address: "127.0.0.1", port: 6444 } }, pki, { file });
  const text = readFileSync(file, "utf8");
  expect(text).toContain("# work");
  expect(parse(text)).toMatchObject({
    "current-context": "pinnace-lab",
    clusters: [{ name: "work" }, { name: "pinnace-lab", cluster: { server: "https://127.0.0.1:6444" } }],
    contexts: [{ name: "work" }, { name: "pinnace-lab" }],
    users: [{ name: "pinnace-lab" }],
  });
  await removeContext("lab", { file });
  expect(parse(readFileSync(file, "utf8"))).toMatchObject({
    "current-context": "",
    clusters: [{ name: "work" }],
    users: [],
    contexts: [{ name: "work" }],
  });
});

test("when a lab's cluster goes, kubectl is back with the one cluster of ours that is left", async () => {
  const file = join(folder, "two");
  await addContext({ ...plan, name: "pinnace" }, pki, { file });
  await addContext(plan, pki, { file });
  expect(await removeContext("lab", { file })).toBe("pinnace");
  expect(parse(readFileSync(file, "utf8"))["current-context"]).toBe("pinnace");
  expect(await removeContext("pinnace", { file })).toBeUndefined();
  expect(parse(readFileSync(file, "utf8"))["current-context"]).toBe("");
});

test("a kubeconfig that is not YAML is refused and left as it is", async () => {
  const file = join(folder, "broken");
  writeFileSync(file, "clusters: [\n");
  await expect(addContext(plan, pki, { file })).rejects.toThrow("is not valid YAML");
  expect(readFileSync(file, "utf8")).toBe("clusters: [\n");
});

test("clusters that come up at the same time all find their way into the user's file", async () => {
  const file = join(folder, "many");
  const plans = ["a", "b", "c", "d"].map((name) => ({ ...plan, name }));
  await Promise.all(plans.map((each) => addContext(each, pki, { file })));
  for (const { name } of plans) expect(readFileSync(file, "utf8")).toContain(`name: pinnace-${name}`);
});
