/** ClusterTrustBundles: served where they are asked for, written by who may speak for a signer, published for API servers' own. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ClusterTrustBundles } from "../api/gated-resources.ts";
import { Pods } from "../api/resources.ts";
import { admissionPlugins } from "../apiserver-plugins/admission/catalog.ts";
import { RegistryReader } from "../apiserver-plugins/object-reader.ts";
import { WebhookCaller } from "../apiserver-plugins/webhooks/webhook-caller.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { controllerCatalog } from "../controller-manager/catalog.ts";
import { runControllers } from "../controller-runtime/run-controllers.ts";
import { definitionsWith } from "../resources/catalog.ts";
import { type FeatureSwitches, featureSwitchMistakes } from "../resources/feature-switches.ts";
import { admin, startTestApiServer, type TestApiServer } from "./api-server.ts";
import { clientCertificate, newAuthority } from "./webhook-server.ts";

const switches: FeatureSwitches = {
  featureGates: { ClusterTrustBundle: true, ClusterTrustBundleProjection: true },
  runtimeConfig: { "certificates.k8s.io/v1beta1": true, "certificates.k8s.io/v1alpha1": "true" },
};

let api: TestApiServer;
let one: string;
let two: string;
let leaf: string;
let published: string;
const stop = new AbortController();

/** May do all, but speak for no signer but those of her own domain. */
const signerOfOne = { name: "signer", groups: ["system:authenticated"] };

beforeAll(async () => {
  const [first, second] = [newAuthority(), newAuthority()];
  one = `${first.certificatePem.trim()}\n`;
  two = `${second.certificatePem.trim()}\n`;
  published = one;
  leaf = clientCertificate(first, "someone").certificatePem;
  api = await startTestApiServer({
    switches,
    authorizers: [
      {
        name: "Test",
        authorize: ({ user, resource, verb, name }) => {
          if (user.name !== "signer" || resource !== "signers") return { kind: "allow", reason: "" };
          return verb === "attest" && name === "example.com/*"
            ? { kind: "allow", reason: "" }
            : { kind: "no-opinion", reason: "" };
        },
      },
    ],
    admission: (access) =>
      admissionPlugins({
        objects: new RegistryReader(access.registry),
        random: systemRandom,
        selection: { disable: ["ServiceAccount"] },
        extension: {
          registry: access.registry,
          authorizers: () => access.pipeline.authorizers,
          webhooks: new WebhookCaller({ router: { dial: undefined } as never, clock: systemClock }),
        },
      }),
  });
});

afterAll(async () => {
  stop.abort();
  await api.close();
});

const bundle = (name: string, trustBundle: string, signerName?: string) => ({
  metadata: { name },
  spec: { trustBundle, ...(signerName === undefined ? {} : { signerName }) },
});

test("a bundle holds authorities, each once, under a name that fits its signer", async () => {
  const refusal = async (...[name, pem, signer]: Parameters<typeof bundle>) => {
    const error = await api.client.create(ClusterTrustBundles, bundle(name, pem, signer)).then(
      () => "taken",
      (reason: Error) => reason.message,
    );
    return error.replace(/^ClusterTrustBundle.certificates.k8s.io "[^"]*" is invalid: /, "");
  };
  const omitted = 'spec.trustBundle: Invalid value: "<value omitted>": ';
  expect(await refusal("mine", "")).toBe(`${omitted}at least one trust anchor must be provided`);
  expect(await refusal("mine", leaf)).toBe(`${omitted}entry 0 does not have the CA bit set`);
  expect(await refusal("mine", `${one}${two}${one}`)).toBe(`${omitted}duplicate trust anchor (indices [0 2])`);
  expect(await refusal("mine", one.replaceAll("CERTIFICATE", "PUBLIC KEY"))).toBe(
    `${omitted}entry 0 has bad block type: PUBLIC KEY`,
  );
  expect(await refusal("mine", one.replace("-----\n", "-----\nFor: you\n\n"))).toBe(
    `${omitted}entry 0 has PEM block headers`,
  );
  expect(await refusal("mine", one.replace(/\n[^-]*\n/, "\nAAAA\n"))).toBe(`${omitted}entry 0 does not parse as X.509`);
  expect(await refusal("mine", `${one}${" ".repeat(1024 * 1024)}`)).toBe(
    "spec.trustBundle: Too long: may not be more than 1048576 bytes",
  );
  expect(await refusal("a:b", one)).toBe(
    'metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have ":" in its name',
  );
  expect(await refusal("mine", one, "example.com/mine")).toBe(
    'metadata.name: Invalid value: "mine": ClusterTrustBundle for signerName example.com/mine must be named with prefix example.com:mine:',
  );
  expect(await refusal("example:v1", one, "example")).toContain(
    "spec.signerName: Invalid value: \"example\": must be a fully qualified domain and path of the form 'example.com/signer-name'",
  );
  expect(await refusal("mine", `written by hand\n${one}and\n${two}`)).toBe("taken");
});

test("whoever writes in a signer's name must be allowed to attest for it", async () => {
  const signer = api.server.client(signerOfOne, "test");
  const foreign = bundle("example.org:a:v1", one, "example.org/a");
  await expect(signer.create(ClusterTrustBundles, foreign)).rejects.toThrow(
    'clustertrustbundles.certificates.k8s.io "example.org:a:v1" is forbidden: user not permitted to attest for signerName "example.org/a"',
  );
  await signer.create(ClusterTrustBundles, bundle("example.com:a:v1", one, "example.com/a"));
  const ref = { name: "example.org:a:v1" };
  await api.client.create(ClusterTrustBundles, foreign);
  await expect(
    signer.patch(ClusterTrustBundles, ref, { type: "merge", body: { spec: { trustBundle: two } } }),
  ).rejects.toThrow("user not permitted to attest");
  await expect(
    signer.patch(ClusterTrustBundles, ref, { type: "merge", body: { metadata: { labels: { a: "b" } } } }),
  ).rejects.toThrow("user not permitted to attest");
  // What garbage collection needs is nobody's word about a signer.
  await signer.patch(ClusterTrustBundles, ref, { type: "merge", body: { metadata: { finalizers: ["a.b/c"] } } });
  await signer.patch(ClusterTrustBundles, ref, { type: "merge", body: { metadata: { finalizers: null } } });
  await expect(
    api.client.patch(ClusterTrustBundles, ref, { type: "merge", body: { spec: { signerName: "example.com/b" } } }),
  ).rejects.toThrow('spec.signerName: Invalid value: "example.com/b": field is immutable');
});

test("bundles are found by their signer, in both versions, with upstream's columns", async () => {
  const { items } = await api.client.list(ClusterTrustBundles, { fieldSelector: "spec.signerName=example.com/a" });
  expect(items.map(({ metadata }) => metadata.name)).toEqual(["example.com:a:v1"]);
  const alpha = await api.client.get({ ...ClusterTrustBundles, version: "v1alpha1" }, { name: "example.com:a:v1" });
  expect(alpha).toMatchObject({ apiVersion: "certificates.k8s.io/v1alpha1", spec: { signerName: "example.com/a" } });
  const columns = api.server.registry
    .find("certificates.k8s.io", "v1beta1", "clustertrustbundles")
    ?.definition.columns?.map(({ name }) => name);
  expect(columns).toEqual(["Name", "SignerName"]);
});

test("the authority of API servers is published, and only the one of now", async () => {
  await api.client.create({ group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", scope: "Namespaced" }, {
    metadata: { name: "kube-root-ca.crt", namespace: "kube-system" },
    data: { "ca.crt": published },
  } as never);
  const controllers = controllerCatalog({
    discover: async () => ({ resources: [], failures: [] }),
    rootCa: () => published,
    hasTrustBundles: true,
  }).filter(({ name }) => name === "kube-apiserver-serving-clustertrustbundle-publisher-controller");
  expect(controllers).toHaveLength(1);
  const running = runControllers(controllers, {
    client: api.server.client(admin, "controllers"),
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
    signal: stop.signal,
  });
  await running.ready;
  const of = async () => {
    const fieldSelector = "spec.signerName=kubernetes.io/kube-apiserver-serving";
    const { items } = await api.client.list(ClusterTrustBundles, { fieldSelector });
    return items.map(({ metadata, spec }) => ({ name: metadata.name, trustBundle: spec.trustBundle }));
  };
  await expect
    .poll(of)
    .toEqual([
      { name: expect.stringMatching(/^kubernetes\.io:kube-apiserver-serving:[0-9a-f]{24}$/), trustBundle: one },
    ]);
  published = two;
  const configMap = { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", scope: "Namespaced" } as const;
  const ref = { name: "kube-root-ca.crt", namespace: "kube-system" };
  await api.client.patch(configMap, ref, { type: "merge", body: { data: { "ca.crt": two } } });
  await expect.poll(of).toEqual([{ name: expect.stringContaining("kubernetes.io:"), trustBundle: two }]);
});

test("a Pod names one bundle, or those of a signer; what is wrong with that is said in upstream's words", async () => {
  const podWith = (source: object) => ({
    metadata: { name: "pod", namespace: "default" },
    spec: {
      containers: [{ name: "main", image: "busybox" }],
      volumes: [{ name: "ca", projected: { sources: [{ clusterTrustBundle: source }] } }],
    },
  });
  const refusal = (source: object) =>
    api.client.create(Pods, podWith(source) as never, { dryRun: true }).then(
      () => "taken",
      (error: Error) => error.message.replace(/^Pod "pod" is invalid: /, ""),
    );
  const at = "spec.volumes[0].projected.sources[0].clusterTrustBundlePEM";
  expect(await refusal({ path: "ca.pem" })).toBe(`${at}: Required value: either name or signerName must be specified`);
  expect(await refusal({ name: "", path: "ca.pem" })).toContain(
    `${at}.name: Required value: must be a valid object name`,
  );
  expect(await refusal({ name: "a", signerName: "example.com/a", path: "ca.pem" })).toContain(
    "only one of name and signerName may be used",
  );
  expect(await refusal({ name: "a", labelSelector: {}, path: "ca.pem" })).toContain(
    "labelSelector must be unset if name is specified",
  );
  expect(await refusal({ name: "a" })).toBe(`${at}.path: Required value`);
  expect(await refusal({ name: "a", path: "../x" })).toContain(
    `${at}.path: Invalid value: "../x": must not contain '..'`,
  );
  expect(await refusal({ signerName: "example.com/a", labelSelector: {}, path: "ca.pem" })).toBe("taken");
});

test("where nobody turned them on, there are none, and Pods forget them", async () => {
  await using bare = await startTestApiServer();
  expect(bare.server.registry.find("certificates.k8s.io", "v1beta1", "clustertrustbundles")).toBeUndefined();
  const source = { clusterTrustBundle: { name: "a", path: "ca.pem" } };
  const pod = await bare.client.create(Pods, {
    metadata: { name: "pod", namespace: "default" },
    spec: {
      containers: [{ name: "main", image: "busybox" }],
      volumes: [{ name: "ca", projected: { sources: [source] } }],
    },
  });
  expect(pod.spec.volumes?.[0]?.projected?.sources).toEqual([{}]);
  const names = (chosen: FeatureSwitches) =>
    definitionsWith(chosen)
      .filter(({ plural }) => plural === "clustertrustbundles")
      .map(({ version }) => version);
  const gate = { featureGates: { ClusterTrustBundle: true } };
  expect(names(gate)).toEqual([]);
  expect(names({ runtimeConfig: { "api/beta": true } })).toEqual([]);
  expect(names({ ...gate, runtimeConfig: { "api/beta": true } })).toEqual(["v1beta1"]);
  expect(names({ featureGates: { AllBeta: true }, runtimeConfig: { "api/all": true } })).toEqual([
    "v1beta1",
    "v1alpha1",
  ]);
  const onlyAlpha = { "api/all": true, "certificates.k8s.io/v1beta1/clustertrustbundles": false };
  expect(names({ ...gate, runtimeConfig: onlyAlpha })).toEqual(["v1alpha1"]);
  expect(featureSwitchMistakes({ featureGates: { Warp: true }, runtimeConfig: { "apps/v1": false } })).toMatchObject([
    { path: ["featureGates", "Warp"], message: expect.stringContaining("unrecognized feature gate: Warp") },
    { path: ["runtimeConfig", "apps/v1"], message: expect.stringContaining("unknown api") },
  ]);
});
