import { Agent, request } from "node:https";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestApiServer, type TestApiServer } from "../testing/api-server.ts";
import { StartUpChecks } from "./health.ts";

const startUp = new StartUpChecks(["informer-sync", "poststarthook/rbac/bootstrap-roles"]);
let api: TestApiServer;
let ask: (path: string) => Promise<{ code: number; text: string }>;

beforeAll(async () => {
  api = await startTestApiServer({ healthChecks: startUp.checks });
  const agent = new Agent({
    ca: api.pki.ca.certificatePem,
    cert: api.pki.admin.certificatePem,
    key: api.pki.admin.privateKeyPem,
    keepAlive: true,
  });
  ask = (path) =>
    new Promise((resolve, reject) => {
      request(api.url + path, { agent }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        response.on("end", () => resolve({ code: response.statusCode ?? 0, text }));
      })
        .on("error", reject)
        .end();
    });
});
afterAll(() => api.close());

test("a server that has not done all it starts with is not ready, and says with what it is behind", async () => {
  expect(await ask("/readyz")).toEqual({
    code: 500,
    text: `[+]ping ok
[+]log ok
[+]etcd ok
[+]etcd-readiness ok
[-]informer-sync failed: reason withheld
[-]poststarthook/rbac/bootstrap-roles failed: reason withheld
[+]shutdown ok
readyz check failed
`,
  });
  const excluded = "exclude=informer-sync&exclude=poststarthook/rbac/bootstrap-roles";
  expect(await ask(`/readyz?${excluded}`)).toEqual({ code: 200, text: "ok" });
  startUp.pass("poststarthook/rbac/bootstrap-roles");
  expect((await ask("/readyz/informer-sync")).code).toBe(500);
  expect(await ask("/readyz/poststarthook/rbac/bootstrap-roles")).toEqual({ code: 200, text: "ok" });
  // What is only a matter of readiness is no reason to restart the server.
  expect(await ask("/livez?verbose&exclude=informer-sync")).toEqual({
    code: 200,
    text: `[+]ping ok
[+]log ok
[+]etcd ok
[+]poststarthook/rbac/bootstrap-roles ok
warn: some health checks cannot be excluded: no matches for "informer-sync"
livez check passed
`,
  });
  expect((await ask("/livez/informer-sync")).code).toBe(404);
  startUp.pass("informer-sync");
  expect((await ask("/readyz?verbose")).text).toContain("[+]informer-sync ok\n");
  expect((await ask("/")).text).toContain('"/readyz/poststarthook/rbac/bootstrap-roles"');
});
