import { expect, test } from "vitest";
import type { Container, Service } from "../api/core/v1.ts";
import { containerEnvironment, type EnvironmentSources } from "./environment.ts";
import type { PodObject } from "./pod-state.ts";

const pod = {
  metadata: { name: "web", namespace: "shop", uid: "u", labels: { app: "web" } },
  spec: { containers: [], nodeName: "n1", serviceAccountName: "sa", enableServiceLinks: true },
} as unknown as PodObject;

const objects: Record<string, object> = {
  "configmaps/settings": { data: { COLOR: "red", SIZE: "9" } },
  "secrets/keys": { data: { token: Buffer.from("s3cret").toString("base64") } },
};

const services = [
  service("default", "kubernetes", "10.96.0.1", 443, "https"),
  service("shop", "redis-master", "10.96.0.7", 6379),
  service("other", "db", "10.96.0.8", 5432),
  service("shop", "headless", "None", 80),
];

const files: Record<string, string> = {
  "app.env": "# a comment\n\n  ADDRESS = 'db # 1'\nLINES='one\ntwo' # two of them\nADDRESS2='$(A) \\n'",
  "bad.env": "A='1'\nB=unquoted\n",
};

const sources: EnvironmentSources = {
  podIPs: ["10.244.1.7"],
  hostIPs: ["10.0.2.4"],
  allocatable: { cpu: "2", memory: "1Gi" },
  services,
  file: (volume, path) => (volume === "v" ? files[path] : undefined),
  get: async (resource, name) => objects[`${resource.plural}/${name}`] as never,
};

async function environmentOf(container: Partial<Container>, of = pod): Promise<Record<string, string>> {
  const whole = { name: "main", ...container } as Container;
  const env = await containerEnvironment(
    { ...of, spec: { ...of.spec, containers: [whole] } } as PodObject,
    whole,
    sources,
  );
  return Object.fromEntries(env.map(({ name, value }) => [name, value]));
}

test("envFrom comes first, with its prefix; env sees it and overrides it", async () => {
  const env = await environmentOf({
    envFrom: [{ prefix: "CFG_", configMapRef: { name: "settings" } }, { secretRef: { name: "keys" } }],
    env: [
      { name: "SEEN", value: "$(CFG_COLOR) $(CFG_SIZE)" },
      { name: "CFG_SIZE", value: "10" },
    ],
  });
  expect(env).toMatchObject({ CFG_COLOR: "red", CFG_SIZE: "10", token: "s3cret", SEEN: "red 9" });
});

test("values see the variables before them and Services", async () => {
  const env = await environmentOf({
    env: [
      { name: "A", value: "1" },
      { name: "B", value: "$(A)$(C) $(REDIS_MASTER_SERVICE_HOST) $$(A)" },
      { name: "C", value: "3" },
    ],
  });
  expect(env["B"]).toBe("1$(C) 10.96.0.7 $(A)");
});

test("fields and resources of the pod are values", async () => {
  const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  const resource = (resource: string, divisor?: string) => ({
    valueFrom: { resourceFieldRef: { resource, ...(divisor ? { divisor } : {}) } },
  });
  const env = await environmentOf({
    resources: { requests: { cpu: "250m", memory: "64Mi" }, limits: { memory: "128Mi" } },
    env: [
      { name: "NAME", ...field("metadata.name") },
      { name: "IP", ...field("status.podIP") },
      { name: "HOST", ...field("status.hostIP") },
      { name: "APP", ...field("metadata.labels['app']") },
      { name: "CPU", ...resource("requests.cpu") },
      { name: "MILLI", ...resource("requests.cpu", "1m") },
      { name: "MEM", ...resource("limits.memory", "1Mi") },
      { name: "CPU_LIMIT", ...resource("limits.cpu") },
    ],
  });
  expect(env).toMatchObject({
    NAME: "web",
    IP: "10.244.1.7",
    HOST: "10.0.2.4",
    APP: "web",
    CPU: "1",
    MILLI: "250",
    MEM: "128",
    CPU_LIMIT: "2",
  });
});

test("Services of the namespace are variables, and the API server's always", async () => {
  const env = await environmentOf({});
  expect(env).toMatchObject({
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
    KUBERNETES_SERVICE_PORT_HTTPS: "443",
    REDIS_MASTER_PORT: "tcp://10.96.0.7:6379",
    REDIS_MASTER_PORT_6379_TCP_ADDR: "10.96.0.7",
  });
  expect(Object.keys(env).some((name) => name.startsWith("DB_") || name.startsWith("HEADLESS_"))).toBe(false);
  const unlinked = await environmentOf({}, { ...pod, spec: { ...pod.spec, enableServiceLinks: false } } as PodObject);
  expect(Object.keys(unlinked).every((name) => name.startsWith("KUBERNETES_"))).toBe(true);
});

test.each([
  [{ envFrom: [{ configMapRef: { name: "x" } }] }, 'configmap "x" not found'],
  [{ envFrom: [{ secretRef: { name: "x" } }] }, 'secret "x" not found'],
  [
    { env: [{ name: "V", valueFrom: { configMapKeyRef: { name: "settings", key: "k" } } }] },
    "couldn't find key k in ConfigMap shop/settings",
  ],
  [
    { env: [{ name: "V", valueFrom: { secretKeyRef: { name: "keys", key: "k" } } }] },
    "couldn't find key k in Secret shop/keys",
  ],
  [{ env: [{ name: "V", valueFrom: { secretKeyRef: { name: "x", key: "k" } } }] }, 'secret "x" not found'],
])("%j is refused: %s", async (container, message) => {
  await expect(environmentOf(container)).rejects.toThrow(message);
});

test("a file of the pod's gives values, character by character", async () => {
  const from = (key: string, path = "app.env", optional = false) => ({
    name: key,
    valueFrom: { fileKeyRef: { volumeName: "v", path, key, optional } },
  });
  const env = await environmentOf({
    env: [from("ADDRESS"), from("LINES"), from("ADDRESS2"), from("NONE", "app.env", true), from("X", "no.env", true)],
  });
  expect(env).toMatchObject({ ADDRESS: "db # 1", LINES: "one\ntwo", ADDRESS2: "$(A) \\n" });
  expect(env).not.toHaveProperty("NONE");
  await expect(environmentOf({ env: [from("NONE")] })).rejects.toThrow(
    'environment variable key "NONE" not found in file "app.env"',
  );
  await expect(environmentOf({ env: [from("A", "no.env")] })).rejects.toThrow(
    'environment variable file "no.env" not found',
  );
  await expect(environmentOf({ env: [from("A", "bad.env", true)] })).rejects.toThrow(
    `couldn't parse env file "bad.env": line 2 is not of the form NAME='value'`,
  );
});

test("what is optional may be missing", async () => {
  const env = await environmentOf({
    envFrom: [{ configMapRef: { name: "x", optional: true } }],
    env: [{ name: "V", valueFrom: { secretKeyRef: { name: "keys", key: "k", optional: true } } }],
  });
  expect(env).not.toHaveProperty("V");
});

function service(namespace: string, name: string, clusterIP: string, port: number, portName?: string): Service {
  const ports = [{ port, protocol: "TCP", ...(portName ? { name: portName } : {}) }];
  return { metadata: { name, namespace }, spec: { clusterIP, ports } } as unknown as Service;
}
