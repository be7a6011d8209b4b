import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { connectionOf, loadKubeconfig } from "./kubeconfig.ts";

const folder = mkdtempSync(join(tmpdir(), "pnt-kubeconfig-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, text: string) => {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
};

const home = write(
  "home",
  `
current-context: home
clusters: [{ name: one, cluster: { server: "https://one:6443", certificate-authority: ca.pem } }]
users:
- name: me
  user: { client-certificate: cert.pem, client-certificate-data: ${btoa("certificate data")}, client-key: key.pem }
contexts: [{ name: home, context: { cluster: one, user: me, namespace: mine } }]
`,
);
write("ca.pem", "authority");
write("cert.pem", "certificate");
write("key.pem", "key");
const work = write(
  "work",
  `
current-context: work
clusters:
- { name: one, cluster: { server: "https://not-this" } }
- { name: two, cluster: { server: "https://two/k8s", insecure-skip-tls-verify: true, tls-server-name: other } }
users:
- { name: robot, user: { tokenFile: token } }
- { name: boss, user: { token: secret, as: jane, as-groups: [devs], as-user-extra: { scopes: [all] } } }
- { name: cloud, user: { exec: { command: no-such-login, apiVersion: client.authentication.k8s.io/v1beta1, installHint: get it } } }
- name: shell
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      interactiveMode: Never
      provideClusterInfo: true
      command: sh
      args: [-c, 'echo "{\\"apiVersion\\":\\"client.authentication.k8s.io/v1\\",\\"status\\":{\\"token\\":\\"$MARK-\${#KUBERNETES_EXEC_INFO}\\"}}"']
      env: [{ name: MARK, value: from-the-program }]
contexts:
- { name: work, context: { cluster: two, user: robot } }
- { name: boss, context: { cluster: two, user: boss } }
- { name: cloud, context: { cluster: two, user: cloud } }
- { name: shell, context: { cluster: two, user: shell } }
- { name: nowhere, context: { cluster: none, user: me } }
`,
);

test("of several files the first to name a thing decides it, and paths count from their file", async () => {
  const config = await loadKubeconfig([home, work]);
  expect(connectionOf(config)).toEqual({
    server: "https://one:6443",
    ca: "authority",
    certificate: "certificate data",
    key: "key",
    namespace: "mine",
  });
});

test("a token is read from its file each time it is used", async () => {
  const config = await loadKubeconfig([work]);
  write("token", "first\n");
  const connection = connectionOf(config);
  expect(connection.token?.()).toBe("first");
  write("token", "second\n");
  expect(connection.token?.()).toBe("second");
  expect(connection).toMatchObject({ insecureSkipTlsVerify: true, tlsServerName: "other" });
});

test("a context says whom to impersonate", async () => {
  const { impersonate, token } = connectionOf(await loadKubeconfig([work]), "boss");
  expect(token?.()).toBe("secret");
  expect(impersonate).toEqual({ user: "jane", groups: ["devs"], extra: { scopes: ["all"] } });
});

test("a program gives the credentials, and is told of the cluster", async () => {
  const { token } = connectionOf(await loadKubeconfig([work]), "shell");
  expect(token?.()).toMatch(/^from-the-program-1\d\d$/);
});

test("what is missing is named", async () => {
  const config = await loadKubeconfig([home, work, join(folder, "absent")]);
  expect(() => connectionOf(config, "other")).toThrow('context "other" does not exist');
  expect(() => connectionOf(config, "nowhere")).toThrow('cluster "none" of context "nowhere" names no server');
  expect(() => connectionOf(config, "cloud")).toThrow(
    "getting credentials: exec: executable no-such-login not found\n\nget it",
  );
  const empty = await loadKubeconfig([join(folder, "absent")]);
  expect(() => connectionOf(empty)).toThrow("no context is set");
  const broken = write("broken", "clusters: [");
  await expect(loadKubeconfig([broken])).rejects.toThrow(`the kubeconfig ${broken} is not valid YAML`);
});
