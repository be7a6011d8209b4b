import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { fetchOnce } from "../download.ts";
import { buildKustomization } from "./build.ts";
import { repositoryOf } from "./repository.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "pnt-kubectl-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function files(contents: Record<string, string>): void {
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

const { signal } = new AbortController();
const build = (target: string) =>
  buildKustomization(target, {
    readsAnywhere: false,
    helm: false,
    warn: () => {},
    log: () => {},
    fetch: (url) => fetchOnce(url, { signal }),
  });
const namesOf = async (target: string) => (await build(target)).map(({ metadata }) => metadata.name);

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n";

test("a repository is cloned at the reference that is asked for, and taken away again", async () => {
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@example.org", ...args], {
      cwd: join(folder, "repository"),
      stdio: "ignore",
    });
  files({
    "repository/base/kustomization.yaml": "resources: [cm.yaml, ../other]\nnamePrefix: one-\n",
    "repository/base/cm.yaml": configMap,
    "repository/other/kustomization.yaml": "secretGenerator: [{ name: s, literals: [a=b] }]\n",
    "repository/escaping/kustomization.yaml": "resources: [../../../outside]\n",
    "outside/kustomization.yaml": "namePrefix: x\n",
  });
  git("init", "--initial-branch=main");
  git("add", "--all");
  git("commit", "--message=one");
  git("tag", "v1");
  files({ "repository/base/kustomization.yaml": "resources: [cm.yaml]\nnamePrefix: two-\n" });
  git("commit", "--all", "--message=two");
  const address = `file://${folder}/repository`;
  files({
    "over/kustomization.yaml": `resources: ["${address}//base?ref=v1"]\nbuildMetadata: [originAnnotations]\n`,
  });
  // Clones go where no other program's are.
  const temporary = join(folder, "temporary");
  mkdirSync(temporary);
  vi.stubEnv("TMPDIR", temporary);
  const [found] = await build(join(folder, "over"));
  expect(found?.metadata.annotations).toEqual({
    "config.kubernetes.io/origin": `path: base/cm.yaml\nrepo: ${address}\nref: v1\n`,
  });
  expect(await namesOf(`${address}//base`)).toEqual(["two-a"]);
  await expect(build(`${address}//escaping`)).rejects.toThrow("security; bases in kustomizations found in cloned git");
  await expect(build(`${address}//base?ref=nope`)).rejects.toThrow(
    /failed to run '.*git fetch --depth=1 file:.* nope'/,
  );
  expect(readdirSync(temporary)).toEqual([]);
  vi.unstubAllEnvs();
});

test("files come from servers, and what these refuse is said", async () => {
  const server = createServer(({ url }, response) => {
    response.writeHead(url === "/cm.yaml" ? 200 : 404);
    response.end(configMap);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    files({
      "web/kustomization.yaml": `resources: ["${address}/cm.yaml"]\nnamePrefix: web-\n`,
      "gone/kustomization.yaml": `resources: ["${address}/gone.yaml"]\n`,
    });
    expect(await namesOf(join(folder, "web"))).toEqual(["web-a"]);
    await expect(build(join(folder, "gone"))).rejects.toThrow("accumulating resources: accumulating resources from");
    await expect(build(join(folder, "gone"))).rejects.toThrow("HTTP Error: status code 404 (Not Found)");
  } finally {
    server.close();
  }
});

test.each([
  ["https://github.com/org/repo/path?ref=v1", "https://github.com/org/repo", "path", "v1"],
  ["github.com/org/repo", "https://github.com/org/repo", "", ""],
  ["git@github.com:org/repo.git//sub", "git@github.com:org/repo.git", "sub", ""],
  ["ssh://git@github.com/org/repo", "git@github.com:org/repo", "", ""],
  ["https://example.org/a/b/c.git/deep/er?version=x", "https://example.org/a/b/c.git", "deep/er", "x"],
  ["https://me@dev.azure.com/org/project/_git/repo/sub", "https://me@dev.azure.com/org/project/_git/repo", "sub", ""],
  ["file:///srv/repo//sub", "file:///srv/repo", "sub", ""],
  ["git::https://example.org/a/b", "https://example.org/a/b", "", ""],
])("%s is a repository", (text, cloneUrl, path, ref) => {
  expect(repositoryOf(text)).toMatchObject({ cloneUrl, folder: path, ref });
});

test.each(["/srv/repo", "../base", "cm.yaml", "https://example.org/cm.yaml", "https://example.org/a/b//../../c"])(
  "%s is no repository",
  (text) => {
    expect(repositoryOf(text)).toBeUndefined();
  },
);
