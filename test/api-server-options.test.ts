/** What the configuration file says of the API server, seen with the real kubectl: who comes in, what is admitted, what is sealed. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "pnt-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const seals = join(folder, "encryption.yaml");
const sealedWith = (...names: string[]) =>
  writeFileSync(
    seals,
    `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
${names.map((name) => `  - secretbox: { keys: [{ name: ${name}, secret: ${keys[name]} }] }`).join("\n")}
  - identity: {}
`,
    { mode: 0o600 },
  );
const keys: Record<string, string> = {
  old: randomBytes(32).toString("base64"),
  new: randomBytes(32).toString("base64"),
};
sealedWith("old");
const authentication = join(folder, "authentication.yaml");
const anonymousAt = (...paths: string[]) =>
  writeFileSync(
    authentication,
    `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous: { enabled: true, conditions: [${paths.map((path) => `{ path: ${path} }`).join(", ")}] }
`,
  );
anonymousAt("/livez");
const authorization = join(folder, "authorization.yaml");
const authorizedBy = (...types: string[]) =>
  writeFileSync(
    authorization,
    `apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers: [${types.map((type) => `{ type: ${type}, name: ${type.toLowerCase()} }`).join(", ")}]
`,
  );
authorizedBy("Node", "RBAC");

const config = `
nodes: [{ name: n1, kind: simulated }]
apiServer:
  admission: { enable: [AlwaysPullImages], disable: [DefaultTolerationSeconds] }
  authentication:
    configurationFile: ${authentication}
    tokens: [{ token: token-of-the-robot, user: robot, groups: [robots] }]
  authorizationFile: ${authorization}
  encryption: { configuration: ${seals} }
`;

describeCluster("an API server as it was configured", { config }, (cluster) => {
  const store = () => readFileSync(join(cluster.home, "clusters", cluster.name, "store", "data.mdb"), "latin1");
  const restart = async () => {
    const status = await cluster.pinnace("status", "-o", "json");
    process.kill(JSON.parse(status).server.pid, "SIGKILL");
    await cluster.pinnace("up");
  };

  test("knows the users of its list, and lets nobody without proof beyond the paths that it names", async () => {
    const server = await cluster.kubectl`config view --raw -o jsonpath={.clusters[0].cluster.server}`;
    const ask = (path: string, ...options: string[]) =>
      cluster.host("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", ...options, `${server}${path}`);
    expect(await ask("/livez")).toBe("200");
    expect(await ask("/version")).toBe("401");
    const proof = ["-H", "Authorization: Bearer token-of-the-robot"];
    expect(await ask("/version", ...proof)).toBe("200");
    expect(await ask("/api/v1/pods", ...proof)).toBe("403");
    await cluster.kubectl`create clusterrolebinding robots --clusterrole=view --group=robots`;
    expect(await ask("/api/v1/pods", ...proof)).toBe("200");
    expect(await ask("/api/v1/secrets", ...proof)).toBe("403");
  });

  test("reads its files again when they change, and stays as it was when they make no sense", async () => {
    const server = await cluster.kubectl`config view --raw -o jsonpath={.clusters[0].cluster.server}`;
    const ask = (path: string, ...options: string[]) =>
      cluster.host("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", ...options, `${server}${path}`);
    const reloads = async (kind: string, status: string) => {
      const metrics = await cluster.kubectl`get --raw /metrics`;
      const [, count] =
        new RegExp(
          `^apiserver_${kind}_config_controller_automatic_reloads_total{status="${status}",.*} (\\d+)$`,
          "m",
        ).exec(metrics) ?? [];
      return Number(count ?? 0);
    };
    anonymousAt("/livez", "/readyz");
    await eventually(
      () => ask("/readyz"),
      (code) => expect(code).toBe("200"),
    );
    expect(await reloads("authentication", "success")).toBe(1);
    writeFileSync(authentication, "kind: AuthenticationConfiguration\napiVersion: nonsense/v1\n");
    await eventually(
      () => reloads("authentication", "failure"),
      (count) => expect(count).toBeGreaterThan(0),
    );
    expect(await ask("/readyz")).toBe("200");
    expect(await ask("/version")).toBe("401");

    const proof = ["-H", "Authorization: Bearer token-of-the-robot"];
    authorizedBy("RBAC", "Node", "AlwaysAllow");
    await eventually(
      () => reloads("authorization", "failure"),
      (count) => expect(count).toBeGreaterThan(0),
    );
    expect(await ask("/api/v1/secrets", ...proof)).toBe("403");
    authorizedBy("RBAC", "Node");
    await eventually(
      () => reloads("authorization", "success"),
      (count) => expect(count).toBe(1),
    );
    expect(await ask("/api/v1/secrets", ...proof)).toBe("403");
    expect(await ask("/api/v1/pods", ...proof)).toBe("200");
    // The server starts with what the files say.
    anonymousAt("/livez");
  });

  test("keeps the flows that it must have, as far as nobody says otherwise, and tells operators of them", async () => {
    const precedenceOf = (schema: string) =>
      cluster.kubectl`get flowschema ${schema} -o jsonpath={.spec.matchingPrecedence}`.catch(() => "");
    const become = (schema: string, precedence: string) =>
      eventually(
        () => precedenceOf(schema),
        (value) => expect(value).toBe(precedence),
      );
    await cluster.kubectl`delete flowschema service-accounts`;
    await become("service-accounts", "9000");
    await cluster.kubectl`annotate flowschema global-default apf.kubernetes.io/autoupdate-spec=false --overwrite`;
    for (const schema of ["catch-all", "probes", "global-default"])
      await cluster.kubectl`patch flowschema ${schema} --type merge -p ${'{"spec":{"matchingPrecedence":7}}'}`.catch(
        // Whose precedence is not to be changed at all.
        () => {},
      );
    await become("probes", "2");
    await become("catch-all", "10000");
    expect(await precedenceOf("global-default")).toBe("7");
    const levels = await cluster.kubectl`get --raw /debug/api_priority_and_fairness/dump_priority_levels`;
    expect(levels).toMatch(/^exempt, +0, +false, +false, +0, +1, /m);
    expect(await cluster.kubectl`get --raw /metrics`).toMatch(
      /^apiserver_flowcontrol_dispatched_requests_total\{priority_level="exempt",flow_schema="exempt"\} \d+$/m,
    );
  });

  test("runs the admission plugins that it was told to, and not the others", async () => {
    await cluster.kubectl`run pulled --image=nowhere.invalid/any:1`;
    const columns = "{.spec.containers[0].imagePullPolicy} {.spec.tolerations}";
    expect(await cluster.kubectl`get pod pulled -o jsonpath=${columns}`).toBe("Always ");
  });

  test("keeps Secrets sealed, and changes their keys", async () => {
    await cluster.kubectl`create secret generic sealed --from-literal=word=opensesame`;
    await cluster.kubectl`create configmap plain --from-literal=word=forallofus`;
    const word = Buffer.from("opensesame").toString("base64");
    expect(store()).not.toContain(word);
    expect(store()).toContain("k8s:enc:secretbox:v1:old:");
    expect(store()).toContain("forallofus");

    sealedWith("new", "old");
    await restart();
    expect(await cluster.kubectl`get secret sealed -o jsonpath={.data.word}`).toBe(word);
    await cluster.kubectl`label secret sealed rewritten=yes`;
    sealedWith("new");
    await restart();
    expect(await cluster.kubectl`get secret sealed -o jsonpath={.data.word}`).toBe(word);
    expect(store()).toContain("k8s:enc:secretbox:v1:new:");
  });
});
