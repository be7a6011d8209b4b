/**
 * What extends the API from inside the cluster, with servers that run in a pod: admission and conversion webhooks, an aggregated API,
 * a pod that looks at its own token. The conformance words of each are ticked off in src/apiserver-plugins/README.md.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { serverCertificate } from "../src/testing/webhook-server.ts";

interface Answer {
  code: number;
  // Any object of the API: the tests say what is in it.
  // biome-ignore lint/suspicious/noExplicitAny: parsed JSON
  body: any;
}

/** Manifests of three sorts of operators, under test/extension/manifests. */
const sets: Record<string, { service: string; account: string; may: string[]; user?: string }> = {
  issuer: {
    service: "issuer-webhook",
    account: "issuer",
    may: ["get", "pki.example.com", "certificates"],
    user: "issuer-user",
  },
  engine: { service: "engine-svc", account: "engine", may: ["list", "engine.example.com", "clusterrules"] },
  constraints: {
    service: "constraints-webhook-service",
    account: "constraints",
    may: ["delete", "constraints.example.com", "requiredlabels"],
  },
};

const registration = "/apis/admissionregistration.k8s.io/v1";
const configMaps = (namespace = "default") => `/api/v1/namespaces/${namespace}/configmaps`;

describeCluster("servers in pods", { config: "nodes: [{ name: n1, kind: local }]\ningress: none\n" }, (cluster) => {
  const { kubectl } = cluster;
  const agent = new Agent({ keepAlive: true });
  let server: string;
  let pki: {
    ca: { certificatePem: string; privateKeyPem: string };
    admin: { certificatePem: string; privateKeyPem: string };
    frontProxy: { caCertificatePem: string };
  };
  let caBundle: string;

  function ask(method: string, path: string, body?: object, type = "application/json"): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const asking = request(`${server}${path}`, {
        method,
        agent,
        ca: pki.ca.certificatePem,
        cert: pki.admin.certificatePem,
        key: pki.admin.privateKeyPem,
        headers: body ? { "content-type": type } : {},
      });
      asking.once("error", reject);
      asking.once("response", async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        resolve({ code: response.statusCode ?? 0, body: isObject(response, text) ? JSON.parse(text) : text });
      });
      asking.end(body && JSON.stringify(body));
    });
  }
  const create = (path: string, body: object) => ask("POST", path, body);
  const merge = (path: string, body: object) => ask("PATCH", path, body, "application/merge-patch+json");
  const remove = (path: string) => ask("DELETE", path);
  const good = async (answer: Promise<Answer>) => {
    const { code, body } = await answer;
    if (code >= 300) throw new Error(`${code}: ${JSON.stringify(body)}`);
    return body;
  };
  const configMap = (name: string, data: object = {}, labels: object = {}) => ({ metadata: { name, labels }, data });
  const clientConfig = (path: string) => ({
    service: { name: "hooks", namespace: "ext", path, port: 443 },
    caBundle,
  });
  const rule = (resources: string, operations = ["CREATE"], apiGroups = [""]) => ({
    apiGroups,
    apiVersions: ["*"],
    resources: [resources],
    operations,
  });
  const hook = (path: string, rules: object[], more: object = {}) => ({
    name: `${path.slice(1)}.example.com`,
    clientConfig: clientConfig(path),
    rules,
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
    namespaceSelector: { matchExpressions: [{ key: "exempt", operator: "DoesNotExist" }] },
    ...more,
  });
  const configurations = (kind: "mutating" | "validating") => `${registration}/${kind}webhookconfigurations`;

  /** Registered for as long as `work` takes. */
  async function during<T>(
    kind: "mutating" | "validating",
    name: string,
    webhooks: object[],
    work: () => Promise<T>,
  ): Promise<T> {
    await good(create(configurations(kind), { metadata: { name }, webhooks }));
    try {
      return await work();
    } finally {
      await good(remove(`${configurations(kind)}/${name}`));
    }
  }

  beforeAll(async () => {
    server = await kubectl`config view --raw -o jsonpath={.clusters[0].cluster.server}`;
    pki = JSON.parse(readFileSync(join(cluster.home, "clusters", cluster.name, "pki", "pki.json"), "utf8"));
    caBundle = Buffer.from(pki.ca.certificatePem).toString("base64");
    const leaf = serverCertificate(
      pki.ca,
      ["hooks", "wardle", ...Object.keys(sets).map((name) => sets[name]!.service)].map((name) => `${name}.ext.svc`),
    );
    await good(create("/api/v1/namespaces", { metadata: { name: "ext", labels: { exempt: "yes" } } }));
    await good(
      create("/api/v1/namespaces/ext/secrets", {
        metadata: { name: "server" },
        stringData: {
          "tls.key": leaf.privateKeyPem,
          "tls.crt": leaf.certificatePem,
          "proxy-ca.crt": pki.frontProxy.caCertificatePem,
          "server.mjs": readFileSync("test/extension/server.mjs", "utf8"),
        },
      }),
    );
    // This machine's Node, with the libraries that it needs.
    const libraries = execFileSync("ldd", [process.execPath], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g);
    const folders = [...new Set([...libraries].map(([, file]) => dirname(file!)))];
    const volumes = folders.map((path, i) => ({ name: `lib-${i}`, hostPath: { path } }));
    await good(
      create("/apis/apps/v1/namespaces/ext/deployments", {
        metadata: { name: "server" },
        spec: {
          selector: { matchLabels: { app: "server" } },
          template: {
            metadata: { labels: { app: "server" } },
            spec: {
              terminationGracePeriodSeconds: 1,
              containers: [
                {
                  name: "server",
                  image: "busybox",
                  command: ["/machine/node", "/server/server.mjs"],
                  readinessProbe: { httpGet: { path: "/healthz", port: 8443, scheme: "HTTPS" }, periodSeconds: 1 },
                  volumeMounts: [
                    { name: "server", mountPath: "/server" },
                    { name: "node", mountPath: "/machine/node" },
                    ...folders.map((mountPath, i) => ({ name: `lib-${i}`, mountPath })),
                  ],
                },
              ],
              volumes: [
                { name: "server", secret: { secretName: "server" } },
                { name: "node", hostPath: { path: process.execPath } },
                ...volumes,
              ],
            },
          },
        },
      }),
    );
    for (const name of ["hooks", "wardle"]) {
      const spec = { selector: { app: "server" }, ports: [{ port: 443, targetPort: 8443 }] };
      await good(create("/api/v1/namespaces/ext/services", { metadata: { name }, spec }));
    }
    await kubectl`wait -n ext --for=condition=Available deployment/server --timeout=60s`;
    await kubectl`wait --for=create serviceaccount/default --timeout=30s`;
    // The Service's rules are in force when a webhook behind it answers.
    await during("validating", "warm", [hook("/deny", [rule("configmaps")], { failurePolicy: "Ignore" })], () =>
      eventually(
        () => create(`${configMaps()}?dryRun=All`, configMap("warm")),
        ({ code }) => expect(code).toBe(403),
      ),
    );
  }, 120_000);
  afterAll(() => agent.destroy());

  const versions = (kind: string, group: string, plural: string, storage: "v1" | "v2") => ({
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: (["v1", "v2"] as const).map((name) => ({
        name,
        served: true,
        storage: name === storage,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: { color: { type: "string" }, [name === "v1" ? "rig" : "sails"]: { type: "string" } },
              },
            },
          },
        },
      })),
      conversion: {
        strategy: "Webhook",
        webhook: { conversionReviewVersions: ["v1"], clientConfig: clientConfig("/convert") },
      },
    },
  });
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const established = (name: string) =>
    eventually(
      () => ask("GET", `${crds}/${name}`),
      ({ body }) =>
        expect(body.status?.conditions).toContainEqual(
          expect.objectContaining({ type: "Established", status: "True" }),
        ),
    );

  test("webhooks are found by discovery", async () => {
    const { groups } = await good(ask("GET", "/apis"));
    const group = groups.find(({ name }: { name: string }) => name === "admissionregistration.k8s.io");
    expect(group.versions.map(({ version }: { version: string }) => version)).toContain("v1");
    const { resources } = await good(ask("GET", registration));
    const names = resources.map(({ name }: { name: string }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "validatingadmissionpolicies/status",
        "mutatingadmissionpolicybindings",
      ]),
    );
  });

  test("a webhook refuses pods and ConfigMaps as they come, change and are attached to, but where a namespace is exempt", async () => {
    const rules = [rule("configmaps", ["CREATE", "UPDATE"]), rule("pods")];
    await during("validating", "refuse", [hook("/validate", rules)], async () => {
      const spec = { containers: [{ name: "a", image: "busybox" }] };
      const pod = { metadata: { name: "bad", labels: { conscience: "bad" } }, spec };
      expect((await create("/api/v1/namespaces/default/pods", pod)).body.message).toBe(
        'admission webhook "validate.example.com" denied the request: it has a bad conscience',
      );
      expect((await create(configMaps(), configMap("bad", { conscience: "bad" }))).code).toBe(403);
      await good(create(configMaps(), configMap("fine", { a: "b" })));
      expect((await merge(`${configMaps()}/fine`, { data: { conscience: "bad" } })).code).toBe(403);
      const standing = await good(ask("GET", `${configMaps()}/fine`));
      expect((await ask("PUT", `${configMaps()}/fine`, { ...standing, data: { conscience: "bad" } })).code).toBe(403);
      await good(create(configMaps("ext"), configMap("bad", { conscience: "bad" })));
    });
    await during("validating", "never", [hook("/never", [rule("configmaps")], { timeoutSeconds: 1 })], async () => {
      const { code, body } = await create(configMaps(), configMap("waits"));
      expect([code, body.message]).toEqual([500, expect.stringContaining("context deadline exceeded")]);
    });
    const connections = ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy"];
    const connect = connections.map((resource) => rule(resource, ["CONNECT"]));
    const everywhere = { namespaceSelector: {} };
    await during("validating", "connect", [hook("/deny", connect, everywhere)], async () => {
      await good(
        create("/api/v1/namespaces/default/pods", {
          metadata: { name: "still" },
          spec: { containers: [{ name: "a", image: "busybox", command: ["sleep", "60"] }] },
        }),
      );
      await kubectl`wait --for=condition=Ready pod/still --timeout=60s`;
      const attempts = [
        ["attach", "still"],
        ["exec", "still", "--", "true"],
        ["port-forward", "still", ":80"],
        ["get", "--raw", "/api/v1/namespaces/default/pods/still:80/proxy/"],
        ["get", "--raw", "/api/v1/namespaces/ext/services/https:hooks:443/proxy/healthz"],
        ["get", "--raw", "/api/v1/nodes/n1/proxy/healthz"],
      ].map((args) => cluster.kubectlRaw(args));
      for (const { stderr } of await Promise.all(attempts)) expect(stderr).toContain("denied the request: not here");
      await good(remove("/api/v1/namespaces/default/pods/still?gracePeriodSeconds=0"));
    });
  }, 60_000);

  test("a webhook that nobody can call refuses everything when its failures count", async () => {
    const closed = hook("/deny", [rule("configmaps", ["*"])], { failurePolicy: "Fail" });
    await during(
      "validating",
      "closed",
      [{ ...closed, clientConfig: { service: clientConfig("/deny").service } }],
      async () => {
        const { code, body } = await create(configMaps(), configMap("nothing"));
        expect([code, body.message]).toEqual([
          500,
          expect.stringMatching(/failed calling webhook.*(x509|certificate)/),
        ]);
      },
    );
  });

  test("a webhook that takes a second and a half is waited for as long as its timeout says, and then its policy decides", async () => {
    const cases: [timeoutSeconds: number | undefined, failurePolicy: string, code: number][] = [
      [1, "Fail", 500],
      [1, "Ignore", 201],
      [10, "Fail", 201],
      [undefined, "Fail", 201],
    ];
    const webhooks = cases.map(([timeoutSeconds, failurePolicy], i) =>
      hook("/slow", [rule("configmaps")], {
        name: `slow-${i}.example.com`,
        failurePolicy,
        objectSelector: { matchLabels: { slowly: `${i}` } },
        ...(timeoutSeconds ? { timeoutSeconds } : {}),
      }),
    );
    await during("validating", "slow", webhooks, async () => {
      const answers = await Promise.all(
        cases.map((_, i) => create(`${configMaps()}?dryRun=All`, configMap("slowly", {}, { slowly: `${i}` }))),
      );
      expect(answers.map(({ code }) => code)).toEqual(cases.map(([, , code]) => code));
      expect(answers[0]!.body.message).toContain("/slow?timeout=1s");
    });
  }, 30_000);

  test("webhooks change ConfigMaps one after the other, pods before their defaults, and nothing that is passed over", async () => {
    const stages = [hook("/stage-1", [rule("configmaps")]), hook("/stage-2", [rule("configmaps")])];
    await during("mutating", "stages", stages, async () => {
      const made = await good(create(configMaps(), configMap("staged", { start: "yes" })));
      expect(made.data).toEqual({ start: "yes", "stage-1": "yes", "stage-2": "yes" });
    });
    await during("mutating", "first", [hook("/init-container", [rule("pods")])], async () => {
      const spec = { containers: [{ name: "a", image: "busybox" }] };
      const made = await good(create("/api/v1/namespaces/default/pods?dryRun=All", { metadata: { name: "p" }, spec }));
      expect(made.spec.initContainers).toMatchObject([{ name: "first", terminationMessagePolicy: "File" }]);
    });
    const matchConditions = [{ name: "not-skipped", expression: "object.metadata.name != 'skip-me'" }];
    await during("mutating", "mark", [hook("/mark", [rule("configmaps")], { matchConditions })], async () => {
      const skipped = await good(create(`${configMaps()}?dryRun=All`, configMap("skip-me")));
      const other = await good(create(`${configMaps()}?dryRun=All`, configMap("other")));
      expect([skipped.metadata.labels?.marked, other.metadata.labels.marked]).toEqual([undefined, "yes"]);
    });
  });

  test.each([
    ["mutating", "/mark", (answer: Answer) => answer.body.metadata?.labels?.marked === "yes"],
    ["validating", "/deny", (answer: Answer) => answer.code === 403],
  ] as const)(
    "%s webhooks are listed, updated, patched and deleted by label, and act accordingly",
    async (kind, path, acts) => {
      const all = configurations(kind);
      const attempt = async () => acts(await create(`${configMaps()}?dryRun=All`, configMap("probe")));
      for (let i = 0; i < 10; i++) {
        const metadata = { name: `many-${i}`, labels: { many: kind } };
        await good(create(all, { metadata, webhooks: [hook(path, [rule("configmaps")])] }));
      }
      expect((await good(ask("GET", `${all}?labelSelector=many=${kind}`))).items).toHaveLength(10);
      expect(await attempt()).toBe(true);
      await good(remove(`${all}?labelSelector=many=${kind}`));
      expect(await attempt()).toBe(false);

      const matchConditions = [{ name: "named", expression: "object.metadata.name != ''" }];
      const webhooks = [hook(path, [rule("configmaps")], { matchConditions })];
      const standing = await good(create(all, { metadata: { name: "one" }, webhooks }));
      expect(standing.webhooks[0].matchConditions).toEqual(matchConditions);
      standing.webhooks[0].rules[0].operations = ["UPDATE"];
      standing.webhooks[0].matchConditions[0].expression = "true";
      const changed = await good(ask("PUT", `${all}/one`, standing));
      expect(changed.webhooks[0].matchConditions[0].expression).toBe("true");
      expect(await attempt()).toBe(false);
      const operations = [{ op: "replace", path: "/webhooks/0/rules/0/operations", value: ["CREATE"] }];
      await good(ask("PATCH", `${all}/one`, operations, "application/json-patch+json"));
      expect(await attempt()).toBe(true);
      await good(remove(`${all}/one`));

      const broken = [hook(path, [rule("configmaps")], { matchConditions: [{ name: "x", expression: "... [] bad" }] })];
      const refused = await create(all, { metadata: { name: "broken" }, webhooks: broken });
      expect([refused.code, refused.body.message]).toEqual([422, expect.stringContaining("compilation failed")]);
    },
  );

  test("webhooks neither change nor keep webhook configurations", async () => {
    const own = [rule("*", ["*"], ["admissionregistration.k8s.io"])];
    await during("mutating", "self-mark", [hook("/mark", own)], () =>
      during("validating", "self-deny", [hook("/deny", own)], async () => {
        const webhooks = [hook("/admit", [rule("secrets")])];
        const made = await good(create(configurations("mutating"), { metadata: { name: "free" }, webhooks }));
        expect(made.metadata.labels).toBeUndefined();
        await good(remove(`${configurations("mutating")}/free`));
      }),
    );
  });

  test("webhooks change and refuse custom resources and their definitions; conversion by webhook changes what is stored", async () => {
    const crd = versions("Boat", "ext.example.com", "boats", "v1");
    await during(
      "validating",
      "no-crds",
      [hook("/deny", [rule("customresourcedefinitions", ["CREATE"], ["apiextensions.k8s.io"])])],
      async () => {
        expect((await create(crds, crd)).code).toBe(403);
      },
    );
    await good(create(crds, crd));
    await established("boats.ext.example.com");
    const boats = (version: string) => `/apis/ext.example.com/${version}/namespaces/default/boats`;
    const boat = (name: string, version: string, spec: object) => ({
      apiVersion: `ext.example.com/${version}`,
      kind: "Boat",
      metadata: { name },
      spec,
    });
    const rules = [rule("boats", ["CREATE", "UPDATE", "DELETE"], ["ext.example.com"])];
    await during(
      "mutating",
      "paint",
      [hook("/extra-fields", [rule("boats", ["CREATE"], ["ext.example.com"])])],
      async () => {
        const made = await good(create(boats("v1"), boat("beagle", "v1", { rig: "brig" })));
        // The field that the schema lacks is pruned.
        expect(made.spec).toEqual({ rig: "brig", color: "red" });
      },
    );
    await during("validating", "no-boats", [hook("/deny", rules)], async () => {
      const spec = { rig: "sloop" };
      const codes = [await create(boats("v1"), boat("no", "v1", spec)), await merge(`${boats("v1")}/beagle`, { spec })];
      codes.push(await remove(`${boats("v1")}/beagle`));
      expect(codes.map(({ code }) => code)).toEqual([403, 403, 403]);
    });
    expect((await good(ask("GET", `${boats("v2")}/beagle`))).spec).toEqual({ sails: "brig", color: "red" });
    const stored = versions("Boat", "ext.example.com", "boats", "v2");
    await good(merge(`${crds}/boats.ext.example.com`, { spec: { versions: stored.spec.versions } }));
    await during("mutating", "mark-boats", [hook("/mark", rules)], async () => {
      const changed = await good(merge(`${boats("v1")}/beagle`, { spec: { color: "blue" } }));
      expect([changed.spec, changed.metadata.labels]).toEqual([{ rig: "brig", color: "blue" }, { marked: "yes" }]);
    });
    await good(create(boats("v2"), boat("victory", "v2", { sails: "ship" })));
    const { items } = await good(ask("GET", boats("v2")));
    expect(items.map(({ apiVersion, spec }: Answer["body"]) => [apiVersion, spec.sails])).toEqual([
      ["ext.example.com/v2", "brig"],
      ["ext.example.com/v2", "ship"],
    ]);
    await good(remove(`${crds}/boats.ext.example.com`));
  }, 60_000);

  test("an aggregated API is there, in discovery, and keeps its objects, and says when its server is away", async () => {
    const name = "v1alpha1.wardle.example.com";
    const apiServices = "/apis/apiregistration.k8s.io/v1/apiservices";
    await good(
      create(apiServices, {
        metadata: { name },
        spec: {
          group: "wardle.example.com",
          version: "v1alpha1",
          service: { namespace: "ext", name: "wardle" },
          groupPriorityMinimum: 2000,
          versionPriority: 200,
          caBundle,
        },
      }),
    );
    await kubectl`wait --for=condition=Available apiservice/${name} --timeout=60s`;
    await cluster.apply(
      "apiVersion: wardle.example.com/v1alpha1\nkind: Flunder\nmetadata: { name: one, namespace: default }\n",
    );
    expect(await kubectl`api-resources --api-group=wardle.example.com -o name`).toContain(
      "flunders.wardle.example.com",
    );
    expect(await kubectl`get flunders -o name`).toBe("flunder.wardle.example.com/one\n");
    expect(await kubectl`get flunder one -o jsonpath={.metadata.annotations.made-by}`).toBe("kubernetes-admin");
    await merge("/apis/wardle.example.com/v1alpha1/namespaces/default/flunders/one", {
      metadata: { labels: { a: "b" } },
    });
    expect(await kubectl`get flunder one -o jsonpath={.metadata.labels.a}`).toBe("b");
    await kubectl`delete flunder one --wait=false`;
    expect(await kubectl`get flunders -o name`).toBe("");

    const wardle = "/api/v1/namespaces/ext/services/wardle";
    await good(merge(wardle, { spec: { selector: { app: "nobody" } } }));
    const where = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders";
    await eventually(
      () => ask("GET", where),
      ({ code }) => expect(code).toBe(503),
    );
    // Whoever asks for anything else notices nothing.
    await good(ask("GET", configMaps()));
    await eventually(
      () => ask("GET", `${apiServices}/${name}`),
      ({ body }) => expect(body.status.conditions[0]).toMatchObject({ status: "False", reason: "MissingEndpoints" }),
    );
    await good(merge(wardle, { spec: { selector: { app: "server" } } }));
    await eventually(
      () => ask("GET", where),
      ({ code }) => expect(code).toBe(200),
    );
    await good(remove(`${apiServices}/${name}`));
  }, 120_000);

  test("a pod proves its own token by what the issuer publishes", async () => {
    await kubectl`wait -n ext --for=condition=Available deployment/server --timeout=60s`;
    const found = await eventually(
      () => ask("GET", "/api/v1/namespaces/ext/services/https:hooks:443/proxy/own-token"),
      ({ code }) => expect(code).toBe(200),
    );
    expect(found.body).toEqual({
      isGenuine: true,
      isOurIssuer: true,
      sub: "system:serviceaccount:ext:default",
      namespace: "ext",
    });
  });

  test("every kind of this sort is made, read, listed, watched, changed and deleted, one by one and together", async () => {
    const policyMatch = {
      resourceRules: [rule("configmaps", ["CREATE"])].map(({ apiVersions, ...rest }) => ({
        ...rest,
        apiVersions: [...apiVersions],
      })),
    };
    const csr = await cluster.host(
      "sh",
      "-c",
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=somebody",
    );
    const flow = "/apis/flowcontrol.apiserver.k8s.io/v1";
    const kinds: [path: string, spec: object][] = [
      [`${flow}/flowschemas`, { matchingPrecedence: 9000, priorityLevelConfiguration: { name: "catch-all" } }],
      [`${flow}/prioritylevelconfigurations`, { type: "Limited", limited: { limitResponse: { type: "Reject" } } }],
      [
        `${registration}/validatingadmissionpolicies`,
        { matchConstraints: policyMatch, validations: [{ expression: "true" }] },
      ],
      [`${registration}/validatingadmissionpolicybindings`, { policyName: "none", validationActions: ["Deny"] }],
      [
        `${registration}/mutatingadmissionpolicies`,
        {
          matchConstraints: policyMatch,
          reinvocationPolicy: "Never",
          failurePolicy: "Fail",
          mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: "Object{}" } }],
        },
      ],
      [`${registration}/mutatingadmissionpolicybindings`, { policyName: "none" }],
      [
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        {
          request: Buffer.from(csr.slice(csr.indexOf("-----BEGIN CERTIFICATE REQUEST"))).toString("base64"),
          signerName: "example.com/nobody",
          usages: ["client auth"],
        },
      ],
      ["/api/v1/namespaces/default/limitranges", { limits: [{ type: "Pod", max: { cpu: "4" } }] }],
      ["/api/v1/namespaces/default/serviceaccounts", {}],
    ];
    const watched: [string, string][] = [];
    const parts: Record<string, string[]> = {
      flowschemas: ["status"],
      prioritylevelconfigurations: ["status"],
      validatingadmissionpolicies: ["status"],
      certificatesigningrequests: ["status", "approval"],
    };
    const live = async ([path, spec]: [string, object]) => {
      const name = (i: number) => `every-${i}`;
      const labels = { every: "kind" };
      const body = (i: number) => ({
        metadata: { name: name(i), labels },
        ...(Object.keys(spec).length > 0 ? { spec } : {}),
      });
      for (const i of [1, 2, 3]) await good(create(path, body(i)));
      const made = await good(ask("GET", `${path}/every-1`));
      expect((await good(ask("GET", `${path}?labelSelector=every=kind`))).items, path).toHaveLength(3);
      await good(merge(`${path}/every-1`, { metadata: { annotations: { patched: "yes" } } }));
      const fresh = await good(ask("GET", `${path}/every-1`));
      fresh.metadata.annotations.updated = "yes";
      expect((await good(ask("PUT", `${path}/every-1`, fresh))).metadata.annotations).toEqual({
        patched: "yes",
        updated: "yes",
      });
      for (const part of parts[path.split("/").at(-1)!] ?? []) {
        const at = `${path}/every-1/${part}`;
        const lastTransitionTime = "2026-01-01T00:00:00Z";
        const example = { type: "Example", status: "True", reason: part, message: "patched", lastTransitionTime };
        await good(merge(at, { status: { conditions: [example] } }));
        // Those who keep the status write it, too.
        const update = async () => {
          const standing = await good(ask("GET", at));
          const found = standing.status.conditions.find(({ type }: { type: string }) => type === "Example");
          expect(found, at).toMatchObject({ reason: part });
          found.message = "updated";
          return ask("PUT", at, standing);
        };
        const { body } = await eventually(update, ({ code }) => expect(code).toBe(200));
        const updated = expect.objectContaining({ reason: part, message: "updated" });
        expect(body.status.conditions, at).toContainEqual(updated);
      }
      const since = `resourceVersion=${made.metadata.resourceVersion}&fieldSelector=metadata.name%3Devery-1`;
      await good(remove(`${path}/every-1`));
      watched.push([path, since]);
      await good(remove(`${path}?labelSelector=every=kind`));
      expect((await good(ask("GET", `${path}?labelSelector=every=kind`))).items).toEqual([]);
    };
    await Promise.all(kinds.map(live));
    const seen = async ([path, since]: [string, string]) => {
      const stream = await good(ask("GET", `${path}?watch=1&timeoutSeconds=1&${since}`));
      return String(stream)
        .match(/"type":"(MODIFIED|DELETED)"/g)
        ?.at(-1);
    };
    expect(new Set(await Promise.all(watched.map(seen)))).toEqual(new Set(['"type":"DELETED"']));
  }, 60_000);

  test("policies judge and change Deployments", async () => {
    const deployments = "/apis/apps/v1/namespaces/default/deployments";
    const deployment = (replicas: number) => ({
      metadata: { name: "policed" },
      spec: {
        replicas,
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "a", image: "busybox" }] } },
      },
    });
    const matchConstraints = {
      resourceRules: [{ apiGroups: ["apps"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["deployments"] }],
    };
    const bind = (kind: string, spec: object) =>
      good(
        create(`${registration}/${kind}admissionpolicybindings`, {
          metadata: { name: "policed" },
          spec: { policyName: "policed", ...spec },
        }),
      );
    const validations = [
      { expression: "variables.replicas > 1", messageExpression: "'only ' + string(variables.replicas)" },
    ];
    const variables = [{ name: "replicas", expression: "object.spec.replicas" }];
    await good(
      create(`${registration}/validatingadmissionpolicies`, {
        metadata: { name: "policed" },
        spec: { matchConstraints, variables, validations },
      }),
    );
    await bind("validating", { validationActions: ["Deny"] });
    const refused = await create(`${deployments}?dryRun=All`, deployment(1));
    expect([refused.code, refused.body.message]).toEqual([422, expect.stringContaining("only 1")]);
    const expression =
      'Object{metadata: Object.metadata{annotations: {"made": "better"}}, spec: Object.spec{replicas: 3}}';
    const mutations = [{ patchType: "ApplyConfiguration", applyConfiguration: { expression } }];
    const spec = { matchConstraints, mutations, reinvocationPolicy: "Never", failurePolicy: "Fail" };
    await good(create(`${registration}/mutatingadmissionpolicies`, { metadata: { name: "policed" }, spec }));
    await bind("mutating", {});
    const made = await good(create(`${deployments}?dryRun=All`, deployment(2)));
    expect([made.spec.replicas, made.metadata.annotations.made]).toEqual([3, "better"]);
    for (const kind of ["validating", "mutating"]) {
      await good(remove(`${registration}/${kind}admissionpolicybindings/policed`));
      await good(remove(`${registration}/${kind}admissionpolicies/policed`));
    }
  });

  test("a quota counts the life of whatever it names, and pods by their sort", async () => {
    const namespace = "/api/v1/namespaces/counted";
    await good(create("/api/v1/namespaces", { metadata: { name: "counted" } }));
    await kubectl`wait -n counted --for=create serviceaccount/default --timeout=30s`;
    await kubectl`wait -n counted --for=create configmap/kube-root-ca.crt --timeout=30s`;
    const used = async (name: string) =>
      (await good(ask("GET", `${namespace}/resourcequotas/${name}`))).status?.used ?? {};
    const quota = (name: string, hard: object, scopes?: string[]) =>
      good(
        create(`${namespace}/resourcequotas`, { metadata: { name }, spec: { hard, ...(scopes ? { scopes } : {}) } }),
      );
    const counted = [
      "configmaps",
      "secrets",
      "services",
      "replicationcontrollers",
      "count/replicasets.apps",
      "resourcequotas",
    ];
    await quota("all", Object.fromEntries(counted.map((name) => [name, "10"])));
    const standing = { configmaps: "1", resourcequotas: "1", secrets: "0", services: "0" };
    await eventually(
      () => used("all"),
      (counts) => expect(counts).toMatchObject(standing),
    );
    const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "a", image: "busybox" }] } };
    const lives: [key: string, path: string, body: object][] = [
      ["configmaps", `${namespace}/configmaps`, {}],
      ["secrets", `${namespace}/secrets`, {}],
      ["services", `${namespace}/services`, { spec: { ports: [{ port: 80 }] } }],
      [
        "replicationcontrollers",
        `${namespace}/replicationcontrollers`,
        { spec: { replicas: 0, selector: { a: "b" }, template } },
      ],
      [
        "count/replicasets.apps",
        "/apis/apps/v1/namespaces/counted/replicasets",
        { spec: { replicas: 0, selector: { matchLabels: { a: "b" } }, template } },
      ],
    ];
    const live = async ([key, path, body]: (typeof lives)[number]) => {
      const before = Number((await used("all"))[key]);
      await good(create(path, { metadata: { name: "life" }, ...body }));
      await eventually(
        () => used("all"),
        (counts) => expect(counts[key]).toBe(String(before + 1)),
      );
      await good(remove(`${path}/life`));
      await eventually(
        () => used("all"),
        (counts) => expect(counts[key]).toBe(String(before)),
      );
    };
    await Promise.all(lives.map(live));
    await good(remove(`${namespace}/resourcequotas/all`));

    const sorts = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating"];
    for (const scope of sorts) await quota(scope.toLowerCase(), { pods: "5" }, [scope]);
    const counts = async () => Promise.all(sorts.map(async (scope) => (await used(scope.toLowerCase())).pods));
    await eventually(counts, (all) => expect(all).toEqual(["0", "0", "0", "0"]));
    const pod = (name: string, more: object, resources: object = {}) => ({
      metadata: { name },
      spec: { nodeSelector: { nowhere: "yes" }, containers: [{ name: "a", image: "busybox", resources }], ...more },
    });
    await good(create(`${namespace}/pods`, pod("loose", {})));
    await eventually(counts, (all) => expect(all).toEqual(["1", "0", "0", "1"]));
    await good(
      create(`${namespace}/pods`, pod("strict", { activeDeadlineSeconds: 3600 }, { requests: { cpu: "1m" } })),
    );
    await eventually(counts, (all) => expect(all).toEqual(["1", "1", "1", "1"]));
    for (const name of ["loose", "strict"]) await good(remove(`${namespace}/pods/${name}?gracePeriodSeconds=0`));
    await eventually(counts, (all) => expect(all).toEqual(["0", "0", "0", "0"]));
    await good(remove("/api/v1/namespaces/counted"));
  }, 90_000);

  test("accounts give tokens that reviews know, the authority comes back to its namespaces, and reviews say what is allowed", async () => {
    const accounts = "/api/v1/namespaces/default/serviceaccounts";
    await good(create(accounts, { metadata: { name: "worker" } }));
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 600 } };
    const { token } = (await good(create(`${accounts}/worker/token`, request))).status;
    const reviewed = await good(
      create("/apis/authentication.k8s.io/v1/tokenreviews", {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenReview",
        spec: { token },
      }),
    );
    expect(reviewed.status).toMatchObject({
      authenticated: true,
      user: { username: "system:serviceaccount:default:worker" },
    });
    expect(reviewed.status.error).toBeUndefined();
    const review = async (kind: string, spec: object, where = "") =>
      (
        await good(
          create(`/apis/authorization.k8s.io/v1${where}/${kind.toLowerCase()}s`, {
            apiVersion: "authorization.k8s.io/v1",
            kind,
            metadata: { ...(where ? { namespace: "default" } : {}) },
            spec,
          }),
        )
      ).status.allowed;
    const user = "system:serviceaccount:default:worker";
    const resourceAttributes = { verb: "list", resource: "pods", namespace: "default" };
    const asked = { user, resourceAttributes };
    const both = async () => [
      await review("SubjectAccessReview", asked),
      await review("LocalSubjectAccessReview", asked, "/namespaces/default"),
      (await cluster.kubectlRaw(["get", "pods", `--as=${user}`])).exitCode === 0,
    ];
    expect(await both()).toEqual([false, false, false]);
    await kubectl`create rolebinding worker --clusterrole=view --serviceaccount=default:worker`;
    await eventually(both, (all) => expect(all).toEqual([true, true, true]));

    const root = configMaps();
    const { data } = await good(ask("GET", `${root}/kube-root-ca.crt`));
    await good(remove(`${root}/kube-root-ca.crt`));
    await eventually(
      () => ask("GET", `${root}/kube-root-ca.crt`),
      ({ code }) => expect(code).toBe(200),
    );
    await good(merge(`${root}/kube-root-ca.crt`, { data: { "ca.crt": "another" } }));
    await eventually(
      () => ask("GET", `${root}/kube-root-ca.crt`),
      ({ body }) => expect(body.data).toEqual(data),
    );
  }, 60_000);

  test("manifests of operators work in the end, whatever order they and their servers come in", async () => {
    type Manifest = { apiVersion: string; kind: string; metadata: { name: string; namespace?: string } };
    const { parseAllDocuments } = await import("yaml");
    const file = (set: string) => `test/extension/manifests/${set}.yaml`;
    const manifestsOf = (set: string) =>
      parseAllDocuments(readFileSync(file(set), "utf8")).map((one) => one.toJS() as Manifest);
    const pathOf = ({ apiVersion, kind, metadata: { namespace } }: Manifest) => {
      const plural = kind === "RequiredLabels" ? "requiredlabels" : `${kind.toLowerCase()}s`;
      const root = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
      return `${root}${namespace ? `/namespaces/${namespace}` : ""}/${plural}`;
    };
    const put = async (one: Manifest) => {
      const answer = await create(pathOf(one), one);
      return answer.code < 300 || answer.body.reason === "AlreadyExists";
    };
    /** Whoever injects authorities finds what is there by now. */
    const inject = async (manifests: readonly Manifest[]) => {
      const operations = (path: string) => [{ op: "add", path: `${path}/clientConfig/caBundle`, value: caBundle }];
      for (const one of manifests as (Manifest & { webhooks?: object[]; spec?: { conversion?: object } })[]) {
        const paths = one.webhooks?.map((_, i) => `/webhooks/${i}`) ?? [];
        if (one.spec?.conversion) paths.push("/spec/conversion/webhook");
        if (paths.length === 0) continue;
        const patch = paths.flatMap(operations);
        await ask("PATCH", `${pathOf(one)}/${one.metadata.name}`, patch, "application/json-patch+json");
      }
    };
    const isAllowed = async (spec: object) =>
      (
        await create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SubjectAccessReview",
          spec,
        })
      ).body.status.allowed;

    const orders: Record<string, (set: string) => Promise<void>> = {
      // What cannot be yet is tried again, as whoever installs does.
      "as they stand, with kubectl": async (set) => {
        await eventually(
          async () => {
            const { stderr } = await cluster.kubectlRaw(["apply", "-f", file(set)]);
            await inject(manifestsOf(set));
            return stderr;
          },
          (complaints) => expect(complaints).toBe(""),
          60_000,
        );
      },
      "the other way round": (set) => oneByOne(manifestsOf(set).reverse()),
      "the middle first": (set) => {
        const all = manifestsOf(set);
        return oneByOne([...all.slice(all.length / 2), ...all.slice(0, all.length / 2)]);
      },
    };
    const oneByOne = async (manifests: Manifest[]) => {
      let left = manifests;
      await eventually(
        async () => {
          const failed: Manifest[] = [];
          for (const one of left) if (!(await put(one))) failed.push(one);
          left = failed;
          await inject(manifests);
          return left.map(({ kind }) => kind);
        },
        (kinds) => expect(kinds).toEqual([]),
        60_000,
      );
    };
    for (const [order, arrive] of Object.entries(orders)) {
      await Promise.all(Object.keys(sets).map(arrive));
      // Converted, defaulted; and what comes now is marked.
      const certificates = "/apis/pki.example.com/v1/namespaces/default/certificates";
      const certificate = await good(ask("GET", `${certificates}/web`));
      expect(certificate.spec, order).toEqual({ issuer: "own", dnsNames: ["web.example.com"] });
      const rules = "/apis/engine.example.com/v1/clusterrules";
      expect((await good(ask("GET", `${rules}/no-root`))).spec.action, order).toBe("Enforce");
      const constraints = "/apis/constraints.example.com/v1/requiredlabels";
      expect((await good(ask("GET", `${constraints}/owner`))).spec.parameters, order).toEqual({ labels: ["owner"] });
      const fresh: [path: string, apiVersion: string, kind: string, spec: object][] = [
        [certificates.replace("v1", "v2"), "pki.example.com/v2", "Certificate", { issuerRef: "own" }],
        [rules, "engine.example.com/v1", "ClusterRule", {}],
        [constraints, "constraints.example.com/v1", "RequiredLabels", {}],
      ];
      for (const [path, apiVersion, kind, spec] of fresh) {
        const made = await good(create(`${path}?dryRun=All`, { apiVersion, kind, metadata: { name: "fresh" }, spec }));
        expect([made.apiVersion, made.metadata.labels], order).toEqual([apiVersion, { marked: "yes" }]);
      }
      // Each refuses what it is there to refuse, in its name.
      const bad = { conscience: "bad" };
      const refusal = async (answer: Promise<Answer>) => (await answer).body.message;
      const webhooks = {
        engine: "validate.engine.example.com-fail",
        constraints: "validation.constraints.example.com",
      };
      for (const [set, webhook] of Object.entries(webhooks)) {
        const labels = { "judged-by": set };
        expect(await refusal(create(configMaps(), configMap("bad", bad, labels))), order).toContain(webhook);
        await good(create(`${configMaps()}?dryRun=All`, configMap("judged", {}, labels)));
      }
      const labels = { conscience: "bad" };
      const body = { metadata: { labels } };
      const refused = refusal(merge("/apis/pki.example.com/v2/namespaces/default/certificates/web", body));
      expect(await refused, order).toContain("webhook.issuer.example.com");
      const exempting = create("/api/v1/namespaces", { metadata: { name: "sly", labels: { exempt: "please" } } });
      expect(await refusal(exempting), order).toContain("check-ignore-label.constraints.example.com");
      // Roles have been gathered.
      for (const { account, may, user } of Object.values(sets)) {
        const [verb, group, resource] = may;
        const resourceAttributes = { verb, group, resource, ...(user ? { namespace: "default" } : {}) };
        const users = [`system:serviceaccount:${account}:${account}`, ...(user ? [user] : [])];
        for (const one of users)
          await eventually(
            () => isAllowed({ user: one, resourceAttributes }),
            (allowed) => expect(allowed, `${order}: ${one}`).toBe(true),
          );
      }
      // The last ones go with the cluster.
      if (order === Object.keys(orders).at(-1)) break;
      const all = Object.keys(sets).flatMap(manifestsOf);
      // Whoever removes it all takes the webhooks away first, and leaves the namespaces for last.
      const isLast = ({ kind }: Manifest) => kind === "Namespace" || kind === "CustomResourceDefinition";
      const isFirst = ({ kind }: Manifest) => kind.endsWith("WebhookConfiguration");
      const rest = all.filter((one) => !isLast(one) && !isFirst(one));
      for (const some of [all.filter(isFirst), rest, all.filter(isLast)])
        await Promise.all(some.map((one) => remove(`${pathOf(one)}/${one.metadata.name}`)));
      await eventually(
        async () => Promise.all(all.filter(isLast).map((one) => ask("GET", `${pathOf(one)}/${one.metadata.name}`))),
        (answers) => expect(answers.map(({ code }) => code)).toEqual(answers.map(() => 404)),
        60_000,
      );
    }
  }, 180_000);
});

/** Not several of them, as watches send. */
function isObject({ headers }: IncomingMessage, text: string): boolean {
  return text.startsWith("{") && (headers["content-type"] ?? "").includes("json") && !text.trimEnd().includes("\n{");
}
